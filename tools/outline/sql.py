"""Which tables a SQL text reads and writes, and which indexes it creates."""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from perfcrew.records.base import Record
from tools.outline.parts import Builder

if TYPE_CHECKING:
    from sqlglot import exp

_LOOKS_LIKE_SQL = re.compile(
    r"\s*(--[^\n]*\n\s*)*(select\s|with\s+\w+|insert\s+(or\s+\w+\s+)?into\s|replace\s+into\s|update\s+\S+\s+set\s"
    r"|delete\s+from\s|create\s+(unique\s+)?(index|table|materialized|view)|alter\s+table\s)",
    re.IGNORECASE,
)
_READ = re.compile(r"\b(?:from|join)\s+[\"`\[]?([A-Za-z_][\w.]*)", re.IGNORECASE)
_WRITTEN = re.compile(r"\b(?:insert\s+into|update|delete\s+from)\s+[\"`\[]?([A-Za-z_][\w.]*)", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"%\(\w+\)s|%s|\$\d+")
_NAME = re.compile(r"[^\W\d][\w$]*")
_ELISION = re.compile(r"\(\s*\.\.\.\s*\)")


class IndexMade(Record):
    """An index that a statement creates."""

    name: str
    table: str
    columns: tuple[str, ...]


class Statement(Record):
    """What one SQL text touches; several statements in one text count together."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    creates: tuple[str, ...] = ()
    """Tables that are created."""
    indexes: tuple[IndexMade, ...] = ()


def looks_like_sql(text: str) -> bool:
    """Whether a string constant begins as a SQL statement does."""
    return bool(_LOOKS_LIKE_SQL.match(text))


@lru_cache(maxsize=4096)
def read_statement(text: str) -> Statement:
    """What a SQL text touches. Text that the parser refuses is searched for table names instead."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    plain = _ELISION.sub("(?)", _PLACEHOLDER.sub("?", text))
    for dialect in ("postgres", "sqlite", "mysql"):
        try:
            parsed = [tree for tree in sqlglot.parse(plain, read=dialect) if tree is not None]
        except SqlglotError:
            continue
        return _combine(parsed)
    writes = tuple(sorted(set(_WRITTEN.findall(plain))))
    reads = tuple(sorted(set(_READ.findall(plain)) - set(writes)))
    return Statement(reads=reads, writes=writes)


def add_statement(owner: str, text: str, builder: Builder, detail: str = "") -> None:
    """Connect a function or query to what its SQL touches."""
    found = read_statement(text)
    for name in found.reads:
        builder.edge(owner, "reads", builder.node("table", name), detail)
    for name in found.writes:
        builder.edge(owner, "writes", builder.node("table", name), detail)
    _add_schema(found, builder)


def add_sql_file(path: str, text: str, builder: Builder) -> None:
    """Take tables and indexes from a `.sql` file: schemas and migrations."""
    found = read_statement(text)
    _add_schema(found, builder)
    touched = {*found.creates, *found.writes, *(made.table for made in found.indexes)}
    if touched:
        file = builder.node("file", path, path)
        for name in sorted(touched):
            builder.edge(f"table:{name}", "defined_in", file)
            builder.node("table", name)


def _add_schema(found: Statement, builder: Builder) -> None:
    for name in found.creates:
        builder.node("table", name)
    for made in found.indexes:
        add_index(made.table, made.name, made.columns, builder)


def add_index(table: str, name: str, columns: tuple[str, ...], builder: Builder) -> None:
    """Connect a table to one of its indexes."""
    owner = builder.node("table", table)
    builder.edge(owner, "has_index", builder.node("index", name, detail=f"{table}({', '.join(columns)})"))


def _combine(trees: "list[exp.Expr]") -> Statement:
    reads: set[str] = set()
    writes: set[str] = set()
    creates: set[str] = set()
    indexes: list[IndexMade] = []
    for tree in trees:
        _collect(tree, reads, writes, creates, indexes)
    return Statement(
        reads=tuple(sorted(reads)), writes=tuple(sorted(writes)), creates=tuple(sorted(creates)), indexes=tuple(indexes)
    )


def _collect(tree: "exp.Expr", reads: set[str], writes: set[str], creates: set[str], indexes: list[IndexMade]) -> None:
    from sqlglot import exp

    if isinstance(tree, exp.Create) and tree.kind == "INDEX":
        indexes.extend(_index(tree))
        return
    common = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables = [table.name for table in tree.find_all(exp.Table)]
    named = [name for name in tables if _NAME.fullmatch(name) and name not in common]
    target = _target(tree)
    if target and isinstance(tree, exp.Create):
        creates.add(target)
        indexes.extend(_keys(target, tree))
    elif target:
        writes.add(target)
    if not isinstance(tree, exp.Create) or tree.expression is not None:
        others = [name for name in named if name != target]
        reads.update(others if target else named)


def _target(tree: "exp.Expr") -> str | None:
    from sqlglot import exp

    if not isinstance(tree, exp.Insert | exp.Update | exp.Delete | exp.Create | exp.Merge | exp.Alter):
        return None
    table = tree.this.find(exp.Table) if tree.this is not None else None
    return table.name if table is not None and _NAME.fullmatch(table.name) else None


def _keys(table: str, tree: "exp.Create") -> list[IndexMade]:
    """The indexes behind primary keys of several columns and behind unique columns."""
    from sqlglot import exp

    found = []
    for key in tree.find_all(exp.PrimaryKey):
        columns = tuple(_column(column) for column in key.expressions)
        found.append(IndexMade(name=f"{table}_pkey", table=table, columns=columns))
    for unique in tree.find_all(exp.UniqueColumnConstraint):
        column = unique.find_ancestor(exp.ColumnDef)
        columns = (column.name,) if column is not None else tuple(_column(part) for part in unique.this.expressions)
        found.append(IndexMade(name=f"{table}_{'_'.join(columns)}_unique", table=table, columns=columns))
    return found


def _index(tree: "exp.Create") -> list[IndexMade]:
    from sqlglot import exp

    index = tree.this
    table = index.args.get("table") if isinstance(index, exp.Index) else None
    if not isinstance(table, exp.Table) or not index.name:
        return []
    parameters = index.args.get("params")
    columns = parameters.args.get("columns") if parameters is not None else None
    names = tuple(_column(column) for column in columns or ())
    return [IndexMade(name=index.name, table=table.name, columns=names)]


def _column(tree: "exp.Expr") -> str:
    from sqlglot import exp

    ordered = tree.this if isinstance(tree, exp.Ordered) else tree
    name = ordered.name if isinstance(ordered, exp.Column | exp.Identifier) else str(ordered.sql())
    return f"{name} DESC" if isinstance(tree, exp.Ordered) and tree.args.get("desc") else name
