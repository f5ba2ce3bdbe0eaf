"""What Python source says about a web application: its app object, its routes, its database. Read, never imported."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_APPS = {"FastAPI": "fastapi", "Flask": "flask", "APIFlask": "flask"}
_ROUTERS = {"APIRouter": "prefix", "Blueprint": "url_prefix", "APIBlueprint": "url_prefix"}
_DATABASE_VARIABLE = re.compile(r"(?:^|_)(?:DATABASE|DB|POSTGRES|SQLALCHEMY)_(?:DATABASE_)?UR[IL]$")


@dataclass(frozen=True)
class App:
    """An application object, or a factory of one."""

    framework: str
    path: Path
    """Relative to the repository."""
    name: str
    factory: bool = False
    needs: bool = False
    """A factory that can't be called without arguments."""


@dataclass
class Module:
    """What one file says."""

    path: Path
    apps: list[App] = field(default_factory=list)
    prefixes: dict[str, str] = field(default_factory=dict)
    """Variable of an app or router → its own prefix."""
    routes: list[tuple[str, str]] = field(default_factory=list)
    """Variable of the app or router, path; GET only."""
    mounts: list[tuple[str, str, str]] = field(default_factory=list)
    """Name of the module, or "" for this one; the router's name there; prefix."""
    variables: set[str] = field(default_factory=set)
    """Environment variables that hold a database URL."""
    strings: str = ""
    """String constants that tell the database."""


def read_module(path: Path, root: Path) -> Module | None:
    """What a file says; None where it isn't Python that we can parse."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError, ValueError):
        return None
    module = Module(path.relative_to(root))
    imports = dict(_imports(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            _read_assignment(node, module)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _read_function(node, module)
        elif isinstance(node, ast.Call):
            _read_call(node, module, imports)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            _read_text(node.value, module)
    top = {target.id for node in tree.body for target in _targets(node)}
    module.apps = [app for app in module.apps if app.factory or app.name in top]
    return module


def resolve_routes(modules: list[Module]) -> list[str]:
    """GET paths of all modules, with the prefixes that their routers are mounted under."""
    mounted: dict[tuple[str, str], str] = {}
    for module in modules:
        for where, name, prefix in module.mounts:
            mounted.setdefault((where or module.path.stem, name), prefix)
    found: dict[str, None] = {}
    for module in modules:
        stem = module.path.parent.name if module.path.name == "__init__.py" else module.path.stem
        for name, path in module.routes:
            outer = mounted.get((stem, name), mounted.get((module.path.stem, name), ""))
            found[(outer + module.prefixes.get(name, "") + path) or "/"] = None
    return list(found)


def _imports(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    """Local name → (last part of the module's name, name there)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, ((node.module or "").rpartition(".")[2], alias.name)


def _targets(node: ast.AST) -> list[ast.Name]:
    given = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target for target in given if isinstance(target, ast.Name)]


def _called(node: ast.AST | None) -> str:
    """The last name of what a call calls."""
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _text(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _read_assignment(node: ast.Assign | ast.AnnAssign, module: Module) -> None:
    made = _called(node.value)
    for target in _targets(node):
        if made in _APPS:
            module.apps.append(App(_APPS[made], module.path, target.id))
            module.prefixes.setdefault(target.id, "")
        elif made in _ROUTERS and isinstance(node.value, ast.Call):
            module.prefixes[target.id] = _text(_keyword(node.value, _ROUTERS[made])) or ""


def _read_function(node: ast.FunctionDef | ast.AsyncFunctionDef, module: Module) -> None:
    made = next((_called(inner) for inner in ast.walk(node) if _called(inner) in _APPS), None)
    if made and re.search(r"app|make|create|build", node.name):
        needs = len(node.args.args) > len(node.args.defaults)
        module.apps.append(App(_APPS[made], module.path, node.name, factory=True, needs=needs))
    for decorator in node.decorator_list:
        route = _route(decorator)
        if route is not None:
            module.routes.append(route)


def _route(decorator: ast.expr) -> tuple[str, str] | None:
    """(variable, path) of `@app.get("/x")` or `@app.route("/x")` that answers GET."""
    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
        return None
    owner, verb = decorator.func.value, decorator.func.attr
    path = _text(decorator.args[0]) if decorator.args else _text(_keyword(decorator, "path"))
    if not isinstance(owner, ast.Name) or path is None or verb not in ("get", "route", "api_route"):
        return None
    methods = _keyword(decorator, "methods")
    if isinstance(methods, ast.List | ast.Tuple | ast.Set) and "GET" not in [_text(each) for each in methods.elts]:
        return None
    return owner.id, path


def _read_call(node: ast.Call, module: Module, imports: dict[str, tuple[str, str]]) -> None:
    name = _called(node)
    if name in ("include_router", "register_blueprint") and node.args:
        prefix = _text(_keyword(node, "prefix") or _keyword(node, "url_prefix")) or ""
        router = node.args[0]
        if isinstance(router, ast.Name):
            module.mounts.append((*imports.get(router.id, ("", router.id)), prefix))
        elif isinstance(router, ast.Attribute) and isinstance(router.value, ast.Name):
            module.mounts.append((imports.get(router.value.id, ("", router.value.id))[1], router.attr, prefix))


def _read_text(text: str, module: Module) -> None:
    if _DATABASE_VARIABLE.search(text) and text.isupper():
        module.variables.add(text)
    if re.match(r"(sqlite|postgres)", text) or text.startswith("django.db.backends."):
        module.strings += f" {text}"
