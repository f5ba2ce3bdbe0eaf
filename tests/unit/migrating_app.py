"""A small target with numbered SQL migrations, and branches on it, for tests of the way back."""

from pathlib import Path
from typing import Any

from target_repo import PYTHON, make_workspace

from tools import git
from tools.workspace import Workspace

MIGRATE = """
import os, pathlib, sqlite3, sys
db = sqlite3.connect(os.environ["DATABASE"].removeprefix("sqlite:///"))
db.execute("CREATE TABLE IF NOT EXISTS schema_migrations (name)")
known = {name for (name,) in db.execute("SELECT name FROM schema_migrations")}
files = sorted(path for path in pathlib.Path("migrations").glob("*.sql") if not path.name.endswith(".down.sql"))
if sys.argv[1] == "up":
    for path in files:
        if path.stem not in known:
            db.executescript(path.read_text())
            db.execute("INSERT INTO schema_migrations VALUES (?)", (path.stem,))
else:
    for path in reversed(files):
        if path.stem in known and path.stem[:3] > sys.argv[2]:
            db.executescript(path.with_name(path.stem + ".down.sql").read_text())
            db.execute("DELETE FROM schema_migrations WHERE name = ?", (path.stem,))
db.commit()
"""
SUITE = """
import sqlite3, os, unittest
class Suite(unittest.TestCase):
    def test_pets(self):
        db = sqlite3.connect(os.environ["DATABASE"].removeprefix("sqlite:///"))
        self.assertEqual(db.execute("SELECT count(*) FROM pets").fetchone(), (2,))
"""
FILES = {
    "app.py": "value = 1\n",
    "requirements.txt": "prometheus-flask-exporter\n",
    "suite.py": SUITE,
    "migrate.py": MIGRATE,
    "migrations/001_pets.sql": "CREATE TABLE pets (id INTEGER PRIMARY KEY, owner TEXT);\n"
    "INSERT INTO pets (owner) VALUES ('ada'), ('bob');\n",
    "migrations/001_pets.down.sql": "DROP TABLE pets;\n",
}
INDEX = {
    "migrations/002_owner.sql": "-- owners are looked up\nCREATE INDEX pets_by_owner ON pets (owner);\n",
    "migrations/002_owner.down.sql": "DROP INDEX pets_by_owner;\n",
}


async def make_migrating(folder: Path, *, rollback: str | None = None, **own: Any) -> Workspace:
    """A workspace on it; `rollback` as in a description's `[database]`."""
    target = {
        "start": "serve {port}",
        "test": f"{PYTHON} -m unittest suite",
        "environment": {"DATABASE": "{database_url}"},
    }
    database = {"engine": "sqlite", "migrate": f"{PYTHON} migrate.py up", "rollback": rollback}
    return await make_workspace(folder, FILES, {"target": target, "database": database, **own})


async def commit_files(workspace: Workspace, parent: str, title: str, files: dict[str, str]) -> str:
    """A commit on a parent; an empty text deletes the file."""
    work = workspace.folder / "work"
    await git.checkout(workspace.clone, parent, work)
    for name, text in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    return await git.commit(work, title, "2026-01-02T03:04:05Z")
