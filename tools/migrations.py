"""How a target changes its schema: which tool, which files are migrations, and what of a patch is none.

A change of the schema counts only as a new migration with a way back. Statements that a model runs by hand, or puts
into the application's start, are refused before anything is measured.
"""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Literal

from perfcrew.records.base import Record
from tools.paths import matches

ToolName = Literal["Alembic", "Django", "Knex", "Prisma", "SQL scripts"]
_FILES: dict[ToolName, tuple[str, ...]] = {
    "Prisma": ("**/prisma/migrations/*/*.sql",),
    "Alembic": ("**/versions/*.py",),
    "Django": ("**/migrations/[0-9]*.py",),
    "Knex": ("**/migrations/*.js", "**/migrations/*.ts", "**/migrations/*.cjs", "**/migrations/*.mjs"),
    "SQL scripts": ("**/migrations/*.sql", "**/migrate/*.sql", "**/*.up.sql", "**/*.down.sql"),
}
_NAME = r"[\"'`\[]?[A-Za-z_][\w.$]*[\"'`\]]?"
_DDL = re.compile(
    rf"\bCREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(?:{_NAME}\s+)?ON\s+{_NAME}"
    rf"|\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s*(?:\(|AS\b)"
    rf"|\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:MATERIALIZED\s+)?VIEW\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s+AS\b"
    rf"|\bCREATE\s+TRIGGER\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s+(?:BEFORE|AFTER|INSTEAD)\b"
    rf"|\bALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?{_NAME}\s+(?:ADD|DROP|ALTER|RENAME|MODIFY|CHANGE|SET)\b"
    rf"|\bDROP\s+(?:TABLE|INDEX|VIEW)\s+(?:CONCURRENTLY\s+)?(?:IF\s+EXISTS\s+){_NAME}"
    r"|\.create_all\s*\(|\bop\.create_index\s*\(",
    re.IGNORECASE,
)
_QUOTES = re.compile(r"[\"']\s*\n\s*[fr]?[\"']")
"""Where one text literal ends and the next goes on, so that a statement spread over lines is one."""
_DOCUMENTS = ("**/*.md", "**/*.rst", "**/*.txt")
_BOOKS = re.compile(
    r"^(alembic_version|django_migrations|knex_migrations\w*|_?prisma_migrations|schema_migrations|migrations|\w*_migrations)$"
)


class Way(Record):
    """How a target changes its schema."""

    tool: ToolName
    files: tuple[str, ...]
    """Migrations that the base has, in order."""

    @property
    def newest(self) -> str:
        """The base's last migration; empty where there is none."""
        ups = [path for path in self.files if not is_down(path)]
        return ups[-1] if ups else ""


def find_way(paths: Iterable[str], migrate: str | None) -> Way | None:
    """The tool that a repository's files and its migration command show; None where there is none."""
    known = sorted(paths)
    names = {PurePosixPath(path).name for path in known}
    command = migrate or ""
    marks: tuple[tuple[ToolName, bool], ...] = (
        ("Alembic", "alembic.ini" in names or "alembic" in command or " db upgrade" in command),
        ("Django", "manage.py" in names and ("manage.py" in command or not command)),
        ("Prisma", "schema.prisma" in names),
        ("Knex", any(name.startswith("knexfile.") for name in names) or "knex" in command),
    )
    for tool, marked in marks:
        if marked:
            return Way(tool=tool, files=tuple(path for path in known if matches(path, _FILES[tool])))
    scripts = tuple(path for path in known if matches(path, _FILES["SQL scripts"]))
    return Way(tool="SQL scripts", files=scripts) if scripts else None


def is_down(path: str) -> bool:
    """Whether an SQL file is a way back."""
    parts = PurePosixPath(path)
    return parts.name.endswith((".down.sql", "_down.sql")) or parts.name == "down.sql" or "down" in parts.parts[:-1]


def is_migration(path: str, way: Way | None) -> bool:
    """Whether a path is one of the target's migrations, or would be a plain SQL one where it has none yet."""
    return matches(path, _FILES[way.tool] if way else _FILES["SQL scripts"])


def describe_way(way: Way | None) -> str:
    """A line for those who write migrations."""
    if way is None:
        return (
            "Migrations: the repository has none. A change of the schema is a numbered script `migrations/NAME.up.sql` "
            "with its `NAME.down.sql`"
        )
    newest = f", the newest is `{way.newest}`" if way.newest else ", none so far"
    return f"Migrations: {way.tool}{newest}. A new one needs {_BACK[way.tool]}; the old ones stay as they are"


_BACK: dict[ToolName, str] = {
    "Alembic": "a `downgrade` that undoes its `upgrade`",
    "Django": "to be reversible: `reverse_sql` and `reverse_code` where it runs SQL or Python",
    "Knex": "a `down` that undoes its `up`",
    "Prisma": "a `down.sql` beside its `migration.sql`",
    "SQL scripts": "a down script beside it, named as the others are",
}


def refuse_by_hand(patch: Mapping[str, tuple[str, str]], way: Way | None) -> list[str]:
    """Changes of the schema that are no migration, a line each.

    Args:
        patch: path to its added and its removed lines.
        way: how the target changes its schema.
    """
    problems = []
    for path, (added, removed) in patch.items():
        if is_migration(path, way) or matches(path, _DOCUMENTS):
            continue
        before = {_plain(match[0]) for match in _DDL.finditer(_joined(removed))}
        new = [match[0] for match in _DDL.finditer(_joined(added)) if _plain(match[0]) not in before]
        # Without any tool the application's own script is its way, where it held the schema already.
        if new and not (way is None and before):
            how = f"a new {way.tool} migration" if way else "a numbered SQL script with a down script"
            problems.append(f"{path}: changes the schema by hand ({' '.join(new[0].split())} …): write {how}")
    return problems


def _joined(text: str) -> str:
    return _QUOTES.sub(" ", text)


def _plain(statement: str) -> str:
    return " ".join(statement.lower().split())


def check_migrations(files: Mapping[str, str], touched: Collection[str], way: Way | None) -> list[str]:
    """What is wrong with a patch's migrations, a line each.

    Args:
        files: new migrations, path to text.
        touched: every path that the patch changes.
        way: how the target changes its schema.
    """
    if way is None and not files:
        return []
    applied = set(way.files if way else ())
    problems = [f"{path}: has been applied already and can't be changed; add a new one"
                for path in sorted(touched) if path in applied]  # fmt: skip
    tool: ToolName = way.tool if way else "SQL scripts"
    for path, text in files.items():
        if path not in applied and (why := _way_back(tool, path, text, files)):
            problems.append(f"{path}: {why}; it needs {_BACK[tool]}")
    return problems


def _way_back(tool: ToolName, path: str, text: str, files: Mapping[str, str]) -> str:
    """Why a migration can't be undone; empty where it can, as far as its text shows."""
    if tool == "Alembic":
        return "" if _defines(text, "downgrade") else "has no `downgrade`"
    if tool == "Django":
        return _irreversible(text)
    if tool == "Knex":
        found = re.search(r"\bdown\b[^{]*(?:\{\s*(?:return\s*;?)?\s*\}|\{)", text)
        return "" if found and not found[0].rstrip().endswith("}") else "has no `down`"
    if is_down(path) or re.search(r"^--\s*(?:\+goose\s+Down|migrate:down)", text, re.IGNORECASE | re.MULTILINE):
        return ""
    return "" if find_down(path, files) else "has no down script"


def find_down(path: str, known: Collection[str]) -> str | None:
    """The script that undoes an SQL migration, by the ways in which they are named."""
    pure = PurePosixPath(path)
    stem = pure.name.removesuffix(".sql").removesuffix(".up").removesuffix("_up")
    names = [pure.with_name(f"{stem}.down.sql"), pure.with_name(f"{stem}_down.sql"), pure.with_name("down.sql"),
             pure.parent.parent / "down" / pure.name]  # fmt: skip
    return next((str(name) for name in names if str(name) in known), None)


def _defines(text: str, name: str) -> bool:
    """Whether a Python file has a function that does something."""
    for node in _parse(text):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return any(not isinstance(part, ast.Pass | ast.Raise) and not _is_text(part) for part in node.body)
    return False


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _irreversible(text: str) -> str:
    for node in _parse(text):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        back = {"RunSQL": "reverse_sql", "RunPython": "reverse_code"}.get(name)
        if back and len(node.args) < 2 and back not in {keyword.arg for keyword in node.keywords}:
            return f"{name} has no `{back}`"
    return ""


def _parse(text: str) -> Iterator[ast.AST]:
    try:
        return ast.walk(ast.parse(text))
    except (SyntaxError, ValueError):
        return iter(())


def is_bookkeeping(table: str) -> bool:
    """Whether a table is a migration tool's own, whose rows differ after going back and up again."""
    return bool(_BOOKS.match(table))


def may_migrate(paths: Iterable[str]) -> bool:
    """Whether some path looks like a migration of any tool."""
    return any(matches(path, globs) for path in paths for globs in _FILES.values())


def new_migrations(way: Way | None, added: Iterable[str]) -> tuple[str, ...]:
    """The migrations among new paths that go up, in the order of their names."""
    return tuple(path for path in sorted(added) if is_migration(path, way) and not is_down(path))


def back_commands(way: Way, migrate: str | None, new: Collection[str]) -> tuple[str, ...]:
    """Commands that take a copy with the new migrations back to the base's schema; empty where scripts do it.

    They derive from the command that brings a copy up: `alembic upgrade head` to `alembic downgrade -1`.
    """
    command, count = migrate or "", len(new)
    if way.tool == "Alembic" and " db upgrade" in command:
        return (re.sub(r" db upgrade( heads?)?", " db downgrade", command),) * count
    if way.tool == "Alembic" and " upgrade " in command:
        return (re.sub(r" upgrade heads?", f" downgrade -{count}", command),)
    if way.tool == "Knex" and "migrate:latest" in command:
        return (command.replace("migrate:latest", "migrate:down"),) * count
    if way.tool == "Django" and " migrate" in command:
        return tuple(_django_back(way, command.partition(" migrate")[0], new))
    return ()


def _django_back(way: Way, prefix: str, new: Iterable[str]) -> Iterator[str]:
    for folder in dict.fromkeys(PurePosixPath(path).parent for path in new):
        mine = [PurePosixPath(path) for path in way.files if PurePosixPath(path).parent == folder]
        last = mine[-1].stem if mine else "zero"
        yield f"{prefix} migrate {folder.parent.name} {last} --noinput"


def version_of(path: str) -> str:
    """What a migration is called by: the digits that its name begins with, or its whole name."""
    name = PurePosixPath(path).name
    digits = re.match(r"\d+", name)
    return digits[0] if digits else name.partition(".")[0]
