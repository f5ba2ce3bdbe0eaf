"""Functions of a Python code base and what they call, read and write."""

import ast
from collections.abc import Iterable, Iterator, Mapping

from tools.outline.models import add_models, call_name
from tools.outline.parts import Builder
from tools.outline.routes import add_routes
from tools.outline.sql import add_statement, looks_like_sql
from tools.outline.symbols import FunctionNode, Module, Scope, Symbols, read_module

_WRITERS = {"insert", "update", "delete", "create", "bulk_create", "bulk_update", "get_or_create", "update_or_create"}
_COMMON = set(dir(dict)) | set(dir(list)) | set(dir(set)) | set(dir(str)) | set(dir(bytes)) | {
    "all", "begin", "close", "commit", "connect", "delete", "execute", "exists", "fetchall", "fetchone", "filter",
    "first", "flush",
    "json", "load", "loads", "open", "order_by", "query", "read", "rollback", "run", "save", "scalars", "send",
    "set", "start", "stop", "write",
}  # fmt: skip
_LEAVING = {
    "aiohttp", "boto3", "celery", "elasticsearch", "grpc", "httpx", "kafka", "memcache", "pika", "pymemcache",
    "pymongo", "redis", "requests", "rq", "smtplib", "socket", "subprocess", "urllib", "urllib3",
}  # fmt: skip
_WAITING = {"time.sleep", "asyncio.sleep", "os.system"}


def add_python(texts: Mapping[str, str], builder: Builder) -> None:
    """Add what Python files define: `texts` maps paths to their content."""
    modules: list[Module] = []
    for path, text in texts.items():
        try:
            modules.append(read_module(path, text))
        except (SyntaxError, ValueError, RecursionError) as error:
            builder.skipped.append(f"{path}: {type(error).__name__}: {str(error)[:100]}")
    symbols = Symbols(modules)
    tables = add_models(symbols, builder)
    for module in modules:
        for name, node in module.functions.items():
            owner = builder.node(
                "function", f"{module.name}.{name}", module.path, (node.lineno, node.end_lineno or node.lineno)
            )
            builder.edge(owner, "defined_in", builder.node("file", module.path, module.path))
            _Body(symbols, tables, builder, owner, Scope(module, name, _local_types(node, module, name, symbols))).read(
                node
            )
    add_routes(symbols, builder)


class _Body:
    """Reads one function's own code; functions defined inside it are read for themselves."""

    def __init__(self, symbols: Symbols, tables: Mapping[str, str], builder: Builder, owner: str, scope: Scope) -> None:
        self.symbols, self.tables, self.builder, self.owner, self.scope = symbols, tables, builder, owner, scope

    def read(self, node: FunctionNode) -> None:
        written: set[str] = set()
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            self._dependency(argument.annotation)
        for part in _own_nodes(node):
            if isinstance(part, ast.Call):
                self._call(part)
                written |= self._writes(part)
            elif isinstance(part, ast.Constant | ast.JoinedStr):
                self._text(part)
        for part in _own_nodes(node, annotations=False):
            if isinstance(part, ast.Name | ast.Attribute) and isinstance(part.ctx, ast.Load):
                self._reference(part, written)
        for table in sorted(written):
            self.builder.edge(self.owner, "writes", f"table:{table}")

    def _dependency(self, annotation: ast.expr | None) -> None:
        """Follow a named annotation, as `Db = Annotated[Session, Depends(get_session)]`, to what it calls."""
        named, scope = (
            self._value(annotation) if isinstance(annotation, ast.Name | ast.Attribute) else (None, self.scope)
        )
        for part in ast.walk(named) if isinstance(named, ast.Subscript) else ():
            if isinstance(part, ast.Call):
                self._pass_on(part.args, scope, "injected")

    def _value(self, part: ast.Name | ast.Attribute) -> tuple[ast.expr | None, Scope]:
        """What the module-level name behind an expression is assigned, and where that stands."""
        home, _, name = (self.symbols.refer(part, self.scope) or "").rpartition(".")
        module = self.symbols.modules.get(home)
        return (module.values[name], Scope(module)) if module and name in module.top else (None, self.scope)

    def _call(self, call: ast.Call) -> None:
        target = self.symbols.refer(call.func, self.scope)
        self._calls(target)
        if target is None and isinstance(call.func, ast.Attribute) and call.func.attr not in _COMMON:
            guessed = self.symbols.only.get(call.func.attr)
            if guessed is not None:
                self.builder.edge(self.owner, "calls", f"function:{guessed}", "by its name alone")
        self._pass_on((*call.args, *(word.value for word in call.keywords)), self.scope, "passed on")

    def _pass_on(self, expressions: Iterable[ast.expr | None], scope: Scope, detail: str) -> None:
        """Functions that are named but called elsewhere: handed to a call, injected, or chosen from a table."""
        for expression in expressions:
            if isinstance(expression, ast.Name | ast.Attribute):
                named = self.symbols.refer(expression, scope)
                if named in self.symbols.functions:
                    self.builder.edge(self.owner, "calls", f"function:{named}", detail)

    def _calls(self, target: str | None) -> None:
        if target is None:
            return
        if target in self.symbols.classes:
            target = self.symbols.method(target, "__init__") or ""
        if target in self.symbols.functions:
            self.builder.edge(self.owner, "calls", f"function:{target}")
        elif (top := target.split(".")[0]) in _LEAVING and top not in self.symbols.modules:
            self.builder.edge(self.owner, "calls", self.builder.node("external", top))
        elif target in _WAITING:
            self.builder.edge(self.owner, "calls", self.builder.node("external", target))

    def _writes(self, call: ast.Call) -> set[str]:
        """Tables of models that a call makes, or that an inserting, updating or deleting call names."""
        made = self.tables.get(self.symbols.refer(call.func, self.scope) or "")
        found = {made} if made else set()
        if call_name(call) in _WRITERS:
            inside = [*call.args[:1], call.func]
            names = (part for root in inside for part in ast.walk(root) if isinstance(part, ast.Name | ast.Attribute))
            found |= {table for name in names if (table := self._table(name))}
        return found

    def _reference(self, part: ast.Name | ast.Attribute, written: set[str]) -> None:
        table = self._table(part)
        if table is not None and table not in written:
            self.builder.edge(self.owner, "reads", f"table:{table}")
        value, scope = self._value(part)
        if isinstance(value, ast.Constant | ast.JoinedStr):
            self._text(value)
        elif isinstance(value, ast.Dict):
            self._pass_on(value.values, scope, "chosen from a table")
        elif isinstance(value, ast.List | ast.Tuple):
            self._pass_on(value.elts, scope, "chosen from a table")
        elif isinstance(value, ast.Call) and value.args and isinstance(value.args[0], ast.Constant):
            self._text(value.args[0])

    def _table(self, part: ast.Name | ast.Attribute) -> str | None:
        if isinstance(part, ast.Name) and part.id in self.scope.types:
            return None
        return self.tables.get(self.symbols.refer(part, self.scope) or "")

    def _text(self, node: ast.Constant | ast.JoinedStr) -> None:
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "?" for part in node.values)
        else:
            text = node.value if isinstance(node.value, str) else ""
        if looks_like_sql(text):
            add_statement(self.owner, text, self.builder)


def _own_nodes(function: FunctionNode, *, annotations: bool = True) -> Iterator[ast.AST]:
    """The nodes of a function without its decorators, its docstring and the functions inside it."""
    documented = ast.get_docstring(function, clean=False) is not None
    stack: list[ast.AST] = [function.args, *function.body[1 if documented else 0 :]]
    while stack:
        node = stack.pop()
        if isinstance(node, FunctionNode | ast.ClassDef):
            continue
        yield node
        left_out = None if annotations else getattr(node, "annotation", None)
        stack.extend(part for part in ast.iter_child_nodes(node) if part is not left_out and not _is_piece(node, part))


def _is_piece(node: ast.AST, part: ast.AST) -> bool:
    """Whether a node is a piece of an f-string: no statement of its own."""
    return isinstance(node, ast.JoinedStr) and isinstance(part, ast.Constant)


def _local_types(node: FunctionNode, module: Module, name: str, symbols: Symbols) -> dict[str, str]:
    """Local names that hold an instance of a class of the repository, by annotation or by assignment."""
    scope, types = Scope(module, name), {}
    for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
        if argument.annotation is not None:
            types[argument.arg] = _annotated(argument.annotation, scope, symbols)
    for part in _own_nodes(node):
        if isinstance(part, ast.Assign) and isinstance(part.value, ast.Call) and len(part.targets) == 1:
            target = part.targets[0]
            if isinstance(target, ast.Name):
                types[target.id] = symbols.refer(part.value, scope)
    return {key: value for key, value in types.items() if value is not None and value in symbols.classes}


def _annotated(annotation: ast.expr, scope: Scope, symbols: Symbols) -> str | None:
    """The class behind an annotation: the first one named in `Annotated[...]`, `X | None` or a quoted name."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            annotation = ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return None
    for part in ast.walk(annotation):
        if isinstance(part, ast.Name | ast.Attribute):
            found = symbols.refer(part, scope)
            if found in symbols.classes:
                return found
    return None
