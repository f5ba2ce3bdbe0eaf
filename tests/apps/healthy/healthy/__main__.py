"""Command line: seed, serve."""

import argparse

from healthy import connect, create_app, fill


def main() -> None:
    parser = argparse.ArgumentParser(prog="healthy", description=__doc__)
    parser.add_argument("command", choices=["seed", "serve"])
    parser.add_argument("--database", default="sqlite:///stock.db")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    if options.command == "seed":
        connection = connect(options.database)
        fill(connection)
        connection.close()
        return
    import uvicorn

    uvicorn.run(create_app(options.database), host="127.0.0.1", port=options.port, log_level="warning")


main()
