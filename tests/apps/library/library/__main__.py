"""Command line: migrate, seed, serve."""

import argparse
from datetime import date

from library import create_app, db, seed


def main() -> None:
    parser = argparse.ArgumentParser(prog="library", description=__doc__)
    parser.add_argument("command", choices=["migrate", "rollback", "seed", "serve"])
    parser.add_argument("--database", default="sqlite:///library.db")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--today", type=date.fromisoformat, help="serve as on this day (ISO date)")
    options = parser.parse_args()
    if options.command == "serve":
        import waitress

        waitress.serve(create_app(options.database, options.today), host="127.0.0.1", port=options.port, threads=4)
        return
    connection = db.connect(options.database)
    if options.command == "rollback":
        print(db.rollback(connection) or "nothing to roll back")
    else:
        for name in db.migrate(connection):
            print(f"applied {name}")
    if options.command == "seed":
        seed.fill(connection)
    connection.close()


main()
