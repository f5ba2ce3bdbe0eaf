"""What a query plan says, and which index a query would want. Pure functions; sqlglot reads the SQL."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from perfcrew.errors import ToolError

if TYPE_CHECKING:
    from sqlglot import exp

BIG_TABLE_ROWS = 1000
"""A scan of a smaller table is no problem."""
SELECTIVE = 0.2
"""PostgreSQL: a sequential scan that keeps less than this share of its rows wants an index."""
MAX_COLUMNS = 4
_REFUSED_FUNCTION = re.compile(
    r"^(?:pg_|lo_|dblink|query_to|set_config|nextval|setval|currval|load_extension|load_file|sleep|benchmark|get_lock)",
    re.I,
)
_NAMED = re.compile(r"%\(([A-Za-z_]\w*)\)s|(?<![:\w]):([A-Za-z_]\w*)|\$(\d+)|%s")


@dataclass(frozen=True)
class Scan:
    """A table that a plan reads from end to end."""

    table: str
    """Name or alias, as the plan has it."""
    rows: int | None = None
    """Rows read, where the plan says so (PostgreSQL)."""
    kept: int | None = None


@dataclass(frozen=True)
class Candidate:
    """An index that a query would want."""

    table: str
    columns: tuple[str, ...]
    engine: str = "sqlite"
    """Decides how names are quoted."""

    @property
    def name(self) -> str:
        """A name in the common manner."""
        return f"ix_{self.table}_{'_'.join(self.columns)}"[:60]

    @property
    def ddl(self) -> str:
        """The statement that creates it."""
        columns = ", ".join(self._quoted(column) for column in self.columns)
        return f"CREATE INDEX {self._quoted(self.name)} ON {self._quoted(self.table)} ({columns})"

    @property
    def drop(self) -> str:
        """The statement that removes it again."""
        where = f" ON {self._quoted(self.table)}" if self.engine == "mysql" else ""
        return f"DROP INDEX {self._quoted(self.name)}{where}"

    def _quoted(self, name: str) -> str:
        return quoted(name, self.engine)


_RESERVED = frozenset(
    ("all", "check", "default", "desc", "end", "from", "group", "index", "key", "limit", "offset", "order", "primary",
     "references", "select", "table", "to", "transaction", "unique", "user", "values", "when", "where")
)  # fmt: skip


def quoted(name: str, engine: str) -> str:
    """A name as the engine reads it; plain ones stay plain."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _RESERVED:
        return name
    mark = "`" if engine == "mysql" else '"'
    return mark + name.replace(mark, mark * 2) + mark


@dataclass(frozen=True)
class ForeignKey:
    """Columns that refer to another table."""

    columns: tuple[str, ...]
    refers_to: str


@dataclass(frozen=True)
class Table:
    """A table as a copy has it."""

    name: str
    rows: int
    columns: tuple[str, ...]
    indexes: Mapping[str, tuple[str, ...]]
    """Name to columns, in order; those of other kinds than plain ones on columns are left out."""
    unique: frozenset[str] = frozenset()
    """Names of the indexes that keep values unique, the primary key's among them."""
    foreign_keys: tuple[ForeignKey, ...] = ()


@dataclass(frozen=True)
class PlanFacts:
    """What a plan says beside its steps. Shares are of the query's time, sizes in rows."""

    read: int | None = None
    """Rows read from tables and indexes; None where the engine does not tell."""
    exact: bool = False
    """False: `read` is a lower bound, taken from what the plan reads from end to end."""
    worst: tuple[tuple[str, float], ...] = ()
    spills: tuple[str, ...] = ()
    misjudged: tuple[str, float] | None = None
    scans: tuple[tuple[str, int], ...] = ()
    """Tables that are read from end to end, with the rows read, the largest first."""
    kilobytes: int | None = None
    indexes: frozenset[str] = frozenset()
    """Names of the indexes that it uses."""


@dataclass(frozen=True)
class Explained:
    """A query's plan and time on a copy, and the index that it would want."""

    plan: list[str]
    ms: float
    rows: int
    candidate: Candidate | None = None
    scanned: int | None = None
    """Rows of the table that is read from end to end."""
    facts: PlanFacts = PlanFacts()


def parse_select(sql: str, dialect: str) -> "exp.Query":
    """A single reading statement.

    Raises:
        ToolError: it is no single SELECT, writes, or calls a function of the server's administration.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        statements = [
            item for item in sqlglot.parse(_neutral(sql, dialect), dialect=_dialect(dialect)) if item is not None
        ]
    except SqlglotError as error:
        raise ToolError(f"not understood as SQL: {str(error).splitlines()[0]}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ToolError("only a single SELECT is explained")
    query = statements[0]
    if any(query.find_all(exp.Insert, exp.Update, exp.Delete, exp.Command, exp.Into)):
        raise ToolError("only reading statements are explained; this one writes")
    for function in query.find_all(exp.Func):
        name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
        if _REFUSED_FUNCTION.match(name):
            raise ToolError(f"the function {name} is not allowed here")
    return query


def _dialect(engine: str) -> str:
    return {"postgresql": "postgres"}.get(engine, engine)


def _neutral(sql: str, engine: str) -> str:
    # Placeholders of drivers are no SQL. `?` is understood nearly everywhere; before a cast PostgreSQL has an operator
    # of that name.
    if engine != "postgresql":
        return _NAMED.sub("?", sql).replace("%%", "%")
    return re.sub(r"\?(?=\s*::)", "$1", _NAMED.sub("$1", sql)).replace("%%", "%")


def tables_of(query: "exp.Query") -> dict[str, str]:
    """Alias or name to the table's name."""
    from sqlglot import exp

    return {table.alias_or_name: table.name for table in query.find_all(exp.Table)}


def find_candidate(sql: str, dialect: str, alias: str, columns: Mapping[str, Sequence[str]]) -> Candidate | None:
    """The index that would serve a table of a query: columns compared with values, or else join columns, then order or
    one range.

    Args:
        sql: the query.
        dialect: `sqlite`, `postgresql` or `mysql`.
        alias: the table as the plan names it.
        columns: table name to its columns, to place columns that have no table.
    """
    from sqlglot import exp

    try:
        query = parse_select(sql, dialect)
    except ToolError:
        return None
    tables = tables_of(query)
    table = tables.get(alias, alias)
    if table not in columns:
        return None

    def mine(node: Any) -> str | None:
        if not isinstance(node, exp.Column) or node.name not in columns[table]:
            return None
        if node.table:
            return node.name if node.table == alias or (node.table == table and alias == table) else None
        holders = [name for name in set(tables.values()) if node.name in columns.get(name, ())]
        return node.name if holders == [table] else None

    sides = [(node.left, node.right) for node in query.find_all(exp.EQ, exp.Is)]
    sides += [(right, left) for left, right in sides]
    joined = [name for one, other in sides if (name := mine(one)) and isinstance(other, exp.Column)]
    equal = [name for one, other in sides if (name := mine(one)) and not isinstance(other, exp.Column)]
    equal += [name for node in query.find_all(exp.In) if (name := mine(node.this))]
    ranges = [
        name
        for node in query.find_all(exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)
        for name in (mine(node.this), mine(node.args.get("expression")))
        if name
    ]
    order = [name for node in query.find_all(exp.Ordered) if (name := mine(node.this))]
    # What is narrowed down by values is read by them; what is only joined, by what it is joined on.
    chosen = list(dict.fromkeys(equal or joined))[: MAX_COLUMNS - 1]
    # A range ends what an index can order: with one, order comes after it in vain.
    tail = [name for name in dict.fromkeys(ranges[:1] or order or joined) if name not in chosen]
    found = tuple([*chosen, *tail][:MAX_COLUMNS])
    return Candidate(table, found, dialect) if found else None


def covered(candidate: Candidate, indexes: Mapping[str, Sequence[str]]) -> bool:
    """Whether an existing index begins with the candidate's columns."""
    wanted = list(candidate.columns)
    return any(list(have[: len(wanted)]) == wanted for have in indexes.values())


def bind(params: Any) -> Any:
    """Recorded parameters as a driver takes them: a list or a mapping.

    Raises:
        ValueError: a parameter was cut or has a type that can't be recorded.
    """
    if isinstance(params, dict):
        return {key: _bind_one(value) for key, value in params.items()}
    return [_bind_one(value) for value in params or ()]


def _bind_one(value: Any) -> Any:
    if isinstance(value, list):
        return [_bind_one(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind, inner = next(iter(value.items()), ("other", None))
    known: dict[str, Callable[[str], Any]] = {
        "datetime": datetime.fromisoformat,
        "date": date.fromisoformat,
        "time": time.fromisoformat,
        "Decimal": Decimal,
        "UUID": UUID,
    }
    if kind not in known:
        raise ValueError(f"a parameter could not be recorded ({kind})")
    return known[kind](str(inner))
