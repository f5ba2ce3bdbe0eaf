"""What a Django project says: its settings module and its routes without parameters. Read, never imported."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)['"]""")
_SEED = re.compile(r"seed|populate|fill|(load|make|create|generate)_?(sample|demo|fake|test|dev)")
_ROOT_URLCONF = re.compile(r"""^ROOT_URLCONF\s*=\s*['"]([\w.]+)['"]""", re.MULTILINE)


def find_settings(manage: Path) -> str | None:
    """The settings module that `manage.py` names."""
    found = _SETTINGS.search(manage.read_text(encoding="utf-8", errors="replace"))
    return found[1] if found else None


def find_routes(folder: Path, settings: str) -> list[str]:
    """Paths without parameters, in the order of the URL configuration."""
    source = _source(folder, settings)
    named = _ROOT_URLCONF.search(source)
    root = named[1] if named else f"{settings.partition('.')[0]}.urls"
    return list(dict.fromkeys(f"/{path}" for path in _walk(folder, root, "", frozenset())))


def find_seed(sources: Iterable[Path]) -> str | None:
    """A management command that fills the database, by its name."""
    commands = sorted(path.stem for path in sources if path.parts[-3:-1] == ("management", "commands"))
    return next((name for name in commands if _SEED.match(name)), None)


def _source(folder: Path, module: str) -> str:
    base = folder.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py", base / "base.py"):
        if path.is_file():
            return path.read_text(encoding="utf-8", errors="replace")
    return ""


def _walk(folder: Path, module: str, prefix: str, above: frozenset[str]) -> list[str]:
    if module in above:
        return []
    try:
        tree = ast.parse(_source(folder, module))
    except SyntaxError:
        return []
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "path"):
            continue
        if len(node.args) < 2 or not isinstance(node.args[0], ast.Constant):
            continue
        path, view = prefix + str(node.args[0].value), node.args[1]
        if "<" in path or path.startswith("admin") or _writes(folder, tree, view):
            continue
        inner = _included(view)
        found += _walk(folder, inner, path, above | {module}) if inner else [path] if inner is None else []
    return found


def _writes(folder: Path, tree: ast.Module, view: ast.expr) -> bool:
    """Whether the view's own decorators keep GET away."""
    if not (isinstance(view, ast.Attribute) and isinstance(view.value, ast.Name)):
        return False
    try:
        module = ast.parse(_source(folder, _imported(tree, view.value.id)))
    except SyntaxError:
        return False
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == view.attr:
            return any(_refuses_get(decorator) for decorator in node.decorator_list)
    return False


def _refuses_get(decorator: ast.expr) -> bool:
    text = ast.unparse(decorator)
    return text.endswith("require_POST") or ("require_http_methods" in text and "GET" not in text)


def _imported(tree: ast.Module, name: str) -> str:
    """The module that a name stands for in a URL configuration: `visits.views` for `from visits import views`."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and not node.level and any(_bound(each) == name for each in node.names):
            return f"{node.module}.{next(each.name for each in node.names if _bound(each) == name)}"
        if isinstance(node, ast.Import) and any(_bound(each) == name for each in node.names):
            return next(each.name for each in node.names if _bound(each) == name)
    return ""


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name


def _included(view: ast.expr) -> str | None:
    """The module of `include("shop.urls")`; "" for an include that can't be followed; None for a view."""
    if not (isinstance(view, ast.Call) and isinstance(view.func, ast.Name) and view.func.id == "include"):
        return "" if isinstance(view, ast.Attribute) and view.attr == "urls" else None
    first = view.args[0] if view.args else None
    if isinstance(first, ast.Tuple) and first.elts:
        first = first.elts[0]
    return str(first.value) if isinstance(first, ast.Constant) else ""
