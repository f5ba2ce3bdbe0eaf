"""Models, tables and indexes: SQLAlchemy, Flask-SQLAlchemy, SQLModel, Django, Alembic, and `Table` objects."""

import ast
import re
from collections.abc import Iterator

from tools.outline.parts import Builder
from tools.outline.sql import add_index, looks_like_sql, read_statement
from tools.outline.symbols import Module, Scope, Symbols

_COLUMNS = {"Column", "mapped_column", "Field"}


def add_models(symbols: Symbols, builder: Builder) -> dict[str, str]:
    """Add models, tables and indexes; return the full name of each model or `Table` variable with its table's name."""
    tables: dict[str, str] = {}
    for module in symbols.modules.values():
        for name, node in module.classes.items():
            table = _table_of(node, module, symbols)
            if table is not None:
                tables[f"{module.name}.{name}"] = table
                _add_model(f"{module.name}.{name}", table, node, module, builder)
        for name, value in module.values.items():
            if isinstance(value, ast.Call) and call_name(value) == "Table" and (table := text_of(value.args[:1])):
                tables[f"{module.name}.{name}"] = table
                builder.node("table", table)
                _add_columns(table, value, builder)
    for module in symbols.modules.values():
        _add_loose_indexes(module, tables, symbols, builder)
    return tables


def _table_of(node: ast.ClassDef, module: Module, symbols: Symbols) -> str | None:
    fields = dict(_fields(node))
    if isinstance(named := fields.get("__tablename__"), ast.Constant) and isinstance(named.value, str):
        return named.value
    bases = [ast.unparse(base) for base in node.bases]
    if any(word.arg == "table" and ast.unparse(word.value) == "True" for word in node.keywords):
        return node.name.lower()
    if any(base.endswith("db.Model") for base in bases):
        return None if "__abstract__" in fields else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", node.name).lower()
    if _is_django(node, module, symbols):
        return _django_table(node, module)
    return None


def _is_django(node: ast.ClassDef, module: Module, symbols: Symbols, depth: int = 6) -> bool:
    for base in node.bases:
        dotted = symbols.refer(base, Scope(module)) or ""
        if dotted == "django.db.models.Model":
            return True
        owner = symbols.classes.get(dotted)
        home = symbols.module(dotted.rsplit(".", 1)[0]) if owner is not None else None
        if owner is not None and home is not None and depth and _is_django(owner, home, symbols, depth - 1):
            return True
    return False


def _meta(node: ast.ClassDef) -> dict[str, ast.expr]:
    inner = [child for child in node.body if isinstance(child, ast.ClassDef) and child.name == "Meta"]
    return dict(_fields(inner[0])) if inner else {}


def _django_table(node: ast.ClassDef, module: Module) -> str | None:
    meta = _meta(node)
    if "abstract" in meta:
        return None
    if (named := meta.get("db_table")) is not None and (table := text_of([named])):
        return table
    parts = module.name.split(".")
    label = parts[parts.index("models") - 1] if "models" in parts[1:] else parts[0]
    return f"{label}_{node.name.lower()}"


def _add_model(full: str, table: str, node: ast.ClassDef, module: Module, builder: Builder) -> None:
    owner = builder.node("class", full, module.path, (node.lineno, node.end_lineno or node.lineno), f"model of {table}")
    builder.edge(owner, "defined_in", builder.node("file", module.path, module.path))
    builder.edge(owner, "maps_to", builder.node("table", table))
    for name, value in _fields(node):
        if isinstance(value, ast.Call):
            _add_column(table, name, value, builder)
    for call in (part for part in ast.walk(node) if isinstance(part, ast.Call)):
        if call_name(call) == "Index":
            _add_declared(table, call, builder)


def _add_column(table: str, name: str, call: ast.Call, builder: Builder) -> None:
    kind = call_name(call)
    true = {word.arg for word in call.keywords if isinstance(word.value, ast.Constant) and word.value.value is True}
    no_index = any(word.arg == "db_index" and ast.unparse(word.value) == "False" for word in call.keywords)
    if kind in _COLUMNS and "index" in true:
        add_index(table, f"ix_{table}_{name}", (name,), builder)
    elif "unique" in true:
        add_index(table, f"{table}_{name}_unique", (name,), builder)
    elif "db_index" in true or (kind in ("ForeignKey", "OneToOneField") and not no_index):
        column = name if "db_index" in true else f"{name}_id"
        add_index(table, f"{table}_{column}", (column,), builder)


def _add_columns(table: str, call: ast.Call, builder: Builder) -> None:
    for argument in call.args[1:]:
        if isinstance(argument, ast.Call) and call_name(argument) == "Column" and (name := text_of(argument.args[:1])):
            _add_column(table, name, argument, builder)
        elif isinstance(argument, ast.Call) and call_name(argument) == "Index":
            _add_declared(table, argument, builder)


def _add_declared(table: str, call: ast.Call, builder: Builder) -> None:
    """An `Index(...)` of SQLAlchemy (name, columns) or of Django (`fields=`, `name=`)."""
    words = {word.arg: word.value for word in call.keywords}
    if "fields" in words:
        columns = tuple(_texts(words["fields"]))
        name = text_of([words["name"]]) if "name" in words else None
    else:
        name, columns = text_of(call.args[:1]), tuple(_column(argument) for argument in call.args[1:])
    if columns:
        add_index(table, name or f"{table}_{'_'.join(columns)}", columns, builder)


def _add_loose_indexes(module: Module, tables: dict[str, str], symbols: Symbols, builder: Builder) -> None:
    """Indexes outside of models: `op.create_index`, `Index("name", Model.column)`, `CREATE INDEX` in any string."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if looks_like_sql(node.value) and re.match(r"\s*create\s", node.value, re.IGNORECASE):
                found = read_statement(node.value)
                for name in found.creates:
                    builder.node("table", name)
                for made in found.indexes:
                    add_index(made.table, made.name, made.columns, builder)
        elif isinstance(node, ast.Call) and call_name(node) == "create_index" and len(node.args) >= 3:
            index, table = text_of(node.args[:1]), text_of(node.args[1:2])
            if index and table:
                add_index(table, index, tuple(_texts(node.args[2])), builder)
        elif isinstance(node, ast.Call) and call_name(node) == "Index" and len(node.args) > 1:
            owner = node.args[1].value if isinstance(node.args[1], ast.Attribute) else None
            model = symbols.refer(owner, Scope(module)) if isinstance(owner, ast.Name) else None
            if model in tables:
                _add_declared(tables[model], node, builder)


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for child in node.body:
        if isinstance(child, ast.Assign) and isinstance(child.targets[0], ast.Name):
            yield child.targets[0].id, child.value
        elif isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name) and child.value is not None:
            yield child.target.id, child.value


def call_name(call: ast.Call) -> str:
    """The last part of what is called: `Column` for `sa.Column(...)`."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def text_of(arguments: list[ast.expr]) -> str | None:
    """The text of the first argument, if it is a string constant, also inside Alembic's `op.f("…")`."""
    first = arguments[0] if arguments else None
    if isinstance(first, ast.Call) and call_name(first) == "f":
        first = first.args[0] if first.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _texts(expression: ast.expr) -> list[str]:
    parts = expression.elts if isinstance(expression, ast.List | ast.Tuple) else [expression]
    return [_column(part) for part in parts]


def _column(expression: ast.expr) -> str:
    if isinstance(expression, ast.Constant):
        return str(expression.value)
    if isinstance(expression, ast.Call) and call_name(expression) == "text" and (text := text_of(expression.args[:1])):
        return text
    return expression.attr if isinstance(expression, ast.Attribute) else ast.unparse(expression)
