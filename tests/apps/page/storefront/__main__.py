"""Serve the shop on loopback."""

import argparse

from storefront.server import serve

parser = argparse.ArgumentParser(prog="storefront")
parser.add_argument("--port", type=int, required=True)
serve(parser.parse_args().port)
