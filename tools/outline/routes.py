"""Routes of Python web applications: FastAPI and Starlette, Flask, Django."""

import ast
from collections.abc import Iterator

from tools.outline.models import call_name, text_of
from tools.outline.parts import Builder
from tools.outline.symbols import FunctionNode, Module, Scope, Symbols

_VERBS = {"get", "post", "put", "patch", "delete", "head", "options"}
_MAKERS = {"FastAPI": "prefix", "APIRouter": "prefix", "Flask": "url_prefix", "Blueprint": "url_prefix"}
_DEPTH = 8


def add_routes(symbols: Symbols, builder: Builder) -> None:
    """Add every route that the code declares, with an edge to its handler."""
    routers = _Routers(symbols)
    for module in symbols.modules.values():
        for name, node in module.functions.items():
            _add_decorated(module, name, node, routers, builder)
        for call, scope in _calls(module):
            _add_called(call, scope, routers, builder)
        if "urlpatterns" in module.values:
            _add_patterns(module, symbols, builder)


def join_path(*parts: str) -> str:
    """One path of several parts, with single slashes between them."""
    joined = "/".join(part.strip("/") for part in parts if part.strip("/"))
    last = next((part for part in reversed(parts) if part), "")
    return f"/{joined}/" if joined and last.endswith("/") else f"/{joined}"


class _Routers:
    """Applications, routers and blueprints by full name, and the prefixes under which each is mounted."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self.own: dict[str, str] = {}
        self.mounts: dict[str, list[tuple[str, str | None]]] = {}
        for module in symbols.modules.values():
            for name, value in module.values.items():
                if isinstance(value, ast.Call) and call_name(value) in _MAKERS:
                    self.own[f"{module.name}.{name}"] = _word(value, _MAKERS[call_name(value)]) or ""
        for module in symbols.modules.values():
            for call, scope in _calls(module):
                if call_name(call) in ("include_router", "register_blueprint") and isinstance(call.func, ast.Attribute):
                    self._mount(call, call.func.value, scope)

    def _mount(self, call: ast.Call, parent: ast.expr, scope: Scope) -> None:
        child = self.key(call.args[0], scope) if call.args else None
        if child is not None:
            prefix = _word(call, "prefix" if call_name(call) == "include_router" else "url_prefix")
            self.mounts.setdefault(child, []).append((self.key(parent, scope) or "", prefix))

    def key(self, expression: ast.expr, scope: Scope) -> str | None:
        """The full name of the router that an expression refers to, if it is one."""
        module = scope.module
        if isinstance(expression, ast.Name) and f"{module.name}.{expression.id}" in self.own:
            return f"{module.name}.{expression.id}"
        found = self.symbols.refer(expression, scope) or ""
        return found if found in self.own else None

    def prefixes(self, key: str | None, depth: int = _DEPTH) -> list[str]:
        """All prefixes under which a router's paths can be reached."""
        own = self.own.get(key or "", "")
        if key not in self.mounts or depth == 0:
            return [own]
        found = []
        for parent, prefix in self.mounts[key]:
            # A Flask prefix at registration replaces the blueprint's own; FastAPI's comes before the router's.
            flask = self._is_blueprint(key)
            middle = [prefix if prefix is not None else own] if flask else [prefix or "", own]
            found += [join_path(above, *middle) for above in self.prefixes(parent, depth - 1)]
        return found

    def _is_blueprint(self, key: str) -> bool:
        home, _, name = key.rpartition(".")
        value = self.symbols.modules[home].values.get(name)
        return isinstance(value, ast.Call) and call_name(value) == "Blueprint"


def _add_decorated(module: Module, name: str, node: FunctionNode, routers: _Routers, builder: Builder) -> None:
    for decorator in node.decorator_list:
        if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute)):
            continue
        methods = _methods(decorator)
        path = text_of(decorator.args[:1]) if decorator.args else _word(decorator, "path") or _word(decorator, "rule")
        key = routers.key(decorator.func.value, Scope(module, name))
        if not methods or path is None or (key is None and not path.startswith("/")):
            continue
        for prefix in routers.prefixes(key):
            _add_route(methods, join_path(prefix, path), f"function:{module.name}.{name}", module, node.lineno, builder)


def _methods(call: ast.Call) -> list[str]:
    name = call_name(call)
    if name in _VERBS:
        return [name.upper()]
    if name not in ("route", "api_route", "add_url_rule", "add_api_route", "Route", "websocket"):
        return []
    if name == "websocket":
        return ["WEBSOCKET"]
    given = next((word.value for word in call.keywords if word.arg == "methods"), None)
    listed = given.elts if isinstance(given, ast.List | ast.Tuple | ast.Set) else []
    return [str(part.value).upper() for part in listed if isinstance(part, ast.Constant)] or ["GET"]


def _add_called(call: ast.Call, scope: Scope, routers: _Routers, builder: Builder) -> None:
    """Routes that are declared by a call: `add_url_rule`, `add_api_route`, Starlette's `Route`."""
    kind, path = call_name(call), text_of(call.args[:1])
    if kind not in ("add_url_rule", "add_api_route", "Route") or path is None or not path.startswith("/"):
        return
    given = next((word.value for word in call.keywords if word.arg in ("view_func", "endpoint")), None)
    positional = call.args[1:] if kind != "add_url_rule" else call.args[2:]
    handler = positional[0] if positional else given
    if handler is None:
        return
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    key = routers.key(owner, scope) if owner is not None else None
    for prefix in routers.prefixes(key):
        for methods, target in _handlers(handler, _methods(call), scope, routers.symbols):
            _add_route(methods, join_path(prefix, path), target, scope.module, call.lineno, builder)


def _handlers(
    expression: ast.expr, methods: list[str], scope: Scope, symbols: Symbols
) -> Iterator[tuple[list[str], str]]:
    """The functions behind a view expression; for a class-based view one for each of its methods."""
    if isinstance(expression, ast.Call) and call_name(expression) == "as_view":
        view = expression.func
        owner = symbols.refer(view.value, scope) if isinstance(view, ast.Attribute) else None
        for verb in sorted(_VERBS):
            if found := symbols.method(owner or "", verb):
                yield [verb.upper()], f"function:{found}"
        return
    found = symbols.refer(expression, scope)
    if found in symbols.functions:
        yield methods, f"function:{found}"


def _add_patterns(module: Module, symbols: Symbols, builder: Builder) -> None:
    for prefix in _mounted(module, symbols, _DEPTH):
        for node in ast.walk(module.values["urlpatterns"]):
            if not (
                isinstance(node, ast.Call) and call_name(node) in ("path", "re_path", "url") and len(node.args) > 1
            ):
                continue
            path = join_path(prefix, (text_of(node.args[:1]) or "").removeprefix("^").removesuffix("$"))
            for methods, target in _handlers(node.args[1], ["ANY"], Scope(module), symbols):
                _add_route(methods, path, target, module, node.lineno, builder)


def _mounted(module: Module, symbols: Symbols, depth: int) -> list[str]:
    """The prefixes under which other URL configurations include this one; the root has the empty prefix."""
    found = []
    for other in symbols.modules.values() if depth else ():
        for node in ast.walk(other.values.get("urlpatterns", ast.Constant(None))):
            if not (
                isinstance(node, ast.Call) and call_name(node) in ("path", "re_path", "url") and len(node.args) > 1
            ):
                continue
            inner = node.args[1]
            if isinstance(inner, ast.Call) and call_name(inner) == "include" and inner.args:
                named = text_of(inner.args[:1]) or symbols.refer(inner.args[0], Scope(other)) or ""
                included = symbols.module(named)
                if included is module and other is not module:
                    prefix = (text_of(node.args[:1]) or "").removeprefix("^")
                    found += [join_path(above, prefix) for above in _mounted(other, symbols, depth - 1)]
    return found or [""]


def _add_route(methods: list[str], path: str, target: str, module: Module, line: int, builder: Builder) -> None:
    for method in methods:
        route = builder.node("route", f"{method} {path}", module.path, (line, line))
        builder.edge(route, "handles", target)


def _calls(module: Module) -> Iterator[tuple[ast.Call, Scope]]:
    """All calls of a module with the scope in which they stand."""

    def walk(node: ast.AST, name: str) -> Iterator[tuple[ast.Call, Scope]]:
        for child in ast.iter_child_nodes(node):
            inner = name
            if isinstance(child, FunctionNode | ast.ClassDef):
                inner = f"{name}.{child.name}" if name else child.name
            if isinstance(child, ast.Call):
                yield child, Scope(module, name)
            yield from walk(child, inner)

    return walk(module.tree, "")


def _word(call: ast.Call, name: str) -> str | None:
    return next((text_of([word.value]) for word in call.keywords if word.arg == name), None)
