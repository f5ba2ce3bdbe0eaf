"""Ways to start: `migrate`, `seed`, `serve`."""

import argparse
from http.server import ThreadingHTTPServer

from till import seed, store
from till.server import make_handler


def main() -> None:
    parser = argparse.ArgumentParser(prog="till")
    parser.add_argument("command", choices=("migrate", "seed", "serve"))
    parser.add_argument("--database", required=True)
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args()
    path = given.database.removeprefix("sqlite:///")
    if given.command == "migrate":
        store.migrate(path)
    elif given.command == "seed":
        store.migrate(path)
        seed.fill(path)
    else:
        Server(("127.0.0.1", given.port), make_handler(path)).serve_forever()


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    request_queue_size = 64
    daemon_threads = True


main()
