"""The names of a Python code base: modules, functions, classes, constants, and what an expression refers to."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_DEPTH = 12
"""How many re-exports, bases and attributes a name may pass through."""


@dataclass
class Module:
    """One source file, its definitions by qualified name."""

    name: str
    path: str
    tree: ast.Module
    imports: dict[str, str] = field(default_factory=dict)
    """Local name to the dotted name that it stands for."""
    stars: list[str] = field(default_factory=list)
    functions: dict[str, FunctionNode] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    values: dict[str, ast.expr] = field(default_factory=dict)
    """What names are assigned, anywhere outside of classes; the first assignment counts."""
    top: frozenset[str] = frozenset()
    """Names that are assigned at module level."""


@dataclass(frozen=True)
class Scope:
    """Where an expression stands."""

    module: Module
    name: str = ""
    """Qualified name of the function; empty at module level."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Local names to the full name of the class that they hold."""

    @property
    def owner(self) -> str | None:
        """Full name of the class that the function belongs to."""
        parts = self.name.split(".")
        found = [".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in self.module.classes]
        return f"{self.module.name}.{found[0]}" if found else None


class Symbols:
    """All modules of a repository, and the resolution of names across them."""

    def __init__(self, modules: list[Module]) -> None:
        self.modules = {module.name: module for module in modules}
        self.functions = {
            f"{module.name}.{name}": node for module in modules for name, node in module.functions.items()
        }
        self.classes = {f"{module.name}.{name}": node for module in modules for name, node in module.classes.items()}
        self._home = {f"{module.name}.{name}": module for module in modules for name in module.classes}
        self._suffixes = _unique_suffixes(self.modules)
        methods: dict[str, list[str]] = {}
        for full, name in ((f"{module.name}.{name}", name) for module in modules for name in module.functions):
            methods.setdefault(name.rsplit(".", 1)[-1], []).append(full)
        self.only = {name: found[0] for name, found in methods.items() if len(found) == 1 and "." in name_of(found[0])}
        """Function names that occur once in the repository, to their full names."""

    def resolve(self, dotted: str, depth: int = _DEPTH) -> str:
        """The full name behind a dotted one: re-exports followed. What is not in the repository comes back as it is."""
        if depth == 0 or dotted in self.functions or dotted in self.classes or dotted in self.modules:
            return dotted
        parts = dotted.split(".")
        for length in range(len(parts), 0, -1):
            module = self.module(".".join(parts[:length]))
            if module is None:
                continue
            rest = parts[length:]
            if not rest:
                return module.name
            return self._member(module, rest, depth)
        return dotted

    def module(self, dotted: str) -> Module | None:
        """A module by its dotted name or, where unique, by its end (a source root below the repository's)."""
        return self.modules.get(self._suffixes.get(dotted, dotted))

    def _member(self, module: Module, rest: list[str], depth: int) -> str:
        full = ".".join((module.name, *rest))
        if full in self.functions or full in self.classes:
            return full
        if rest[0] in module.imports:
            return self.resolve(".".join((module.imports[rest[0]], *rest[1:])), depth - 1)
        if len(rest) > 1 and (owner := f"{module.name}.{rest[0]}") in self.classes:
            return self.method(owner, rest[1], depth - 1) or full
        for star in module.stars:
            found = self.resolve(".".join((star, *rest)), depth - 1)
            if found in self.functions or found in self.classes:
                return found
        return full

    def method(self, owner: str, name: str, depth: int = _DEPTH) -> str | None:
        """The full name of a method, looked up along the bases that are in the repository."""
        if f"{owner}.{name}" in self.functions:
            return f"{owner}.{name}"
        if depth == 0 or owner not in self.classes:
            return None
        scope = Scope(self._home[owner])
        for base in self.classes[owner].bases:
            found = self.method(self.refer(base, scope) or "", name, depth - 1)
            if found:
                return found
        return None

    def refer(self, expression: ast.expr, scope: Scope, depth: int = _DEPTH) -> str | None:
        """The full dotted name that an expression refers to; for a call the name of what is called; None if unknown."""
        if depth == 0:
            return None
        if isinstance(expression, ast.Call):
            found = self.refer(expression.func, scope, depth - 1)
            return found if found in self.classes else None
        if isinstance(expression, ast.Await):
            return self.refer(expression.value, scope, depth - 1)
        if isinstance(expression, ast.Name):
            return self._refer_name(expression.id, scope, depth)
        if isinstance(expression, ast.Attribute):
            base = self.refer(expression.value, scope, depth - 1)
            if base is None:
                return None
            if base in self.classes:
                return self.method(base, expression.attr) or self._field(base, expression.attr, depth)
            found = self.resolve(f"{base}.{expression.attr}")
            return self._made(found, depth) or found
        return None

    def _made(self, full: str, depth: int) -> str | None:
        """The class whose instance a module-level name holds."""
        home, _, name = full.rpartition(".")
        module = self.modules.get(home)
        value = module.values[name] if module and name in module.top else None
        return self.refer(value, Scope(module), depth - 1) if module and isinstance(value, ast.Call) else None

    def _refer_name(self, name: str, scope: Scope, depth: int) -> str | None:
        if name in ("self", "cls") and scope.owner:
            return scope.owner
        if name in scope.types:
            return scope.types[name]
        module, parts = scope.module, scope.name.split(".") if scope.name else []
        for length in range(len(parts), -1, -1):
            full = ".".join((module.name, *parts[:length], name))
            if full in self.functions or full in self.classes:
                return full
        if name in module.imports:
            return self.resolve(module.imports[name])
        if name in module.top:
            value = module.values[name]
            made = self.refer(value, Scope(module), depth - 1) if isinstance(value, ast.Call) else None
            return made or f"{module.name}.{name}"
        starred = self._member(module, [name], depth - 1) if module.stars else ""
        return starred if starred in self.functions or starred in self.classes else None

    def _field(self, owner: str, name: str, depth: int) -> str | None:
        """The class of `self.name`, where a method of its owner assigns a new instance to it."""
        home = self._home[owner]
        for node in ast.walk(self.classes[owner]):
            if isinstance(node, ast.Assign) and any(_is_self(target, name) for target in node.targets):
                return self.refer(node.value, Scope(home), depth - 1) if isinstance(node.value, ast.Call) else None
        return None


def _is_self(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Attribute) and target.attr == name and ast.unparse(target.value) == "self"


def name_of(full: str) -> str:
    """The last two parts of a full name."""
    return ".".join(full.split(".")[-2:])


def read_module(path: str, text: str) -> Module:
    """Read a source file's definitions.

    Raises:
        SyntaxError, ValueError: it is no Python of this version.
    """
    pure = PurePosixPath(path).with_suffix("")
    parts = [part for part in pure.parts if part != "__init__"]
    if len(parts) > 1 and parts[0] == "src":
        parts = parts[1:]
    module = Module(".".join(parts) or "__init__", path, ast.parse(text))
    package = parts if PurePosixPath(path).name == "__init__.py" else parts[:-1]
    for node in ast.walk(module.tree):
        _read_import(node, module, package)
    module.values.update(pair for child in module.tree.body for pair in _assigned(child))
    module.top = frozenset(module.values)
    _read_definitions(module.tree, "", module)
    return module


def _read_import(node: ast.AST, module: Module, package: list[str]) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            module.imports[name] = alias.name if alias.asname else name
    elif isinstance(node, ast.ImportFrom):
        above = package[: len(package) - node.level + 1] if node.level else []
        source = ".".join((*above, *([node.module] if node.module else [])))
        for alias in node.names:
            if alias.name == "*":
                module.stars.append(source)
            else:
                module.imports[alias.asname or alias.name] = f"{source}.{alias.name}" if source else alias.name


def _read_definitions(node: ast.AST, prefix: str, module: Module) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FunctionNode):
            module.functions.setdefault(f"{prefix}{child.name}", child)
            _read_definitions(child, f"{prefix}{child.name}.", module)
        elif isinstance(child, ast.ClassDef):
            module.classes.setdefault(f"{prefix}{child.name}", child)
            _read_definitions(child, f"{prefix}{child.name}.", module)
        else:
            if not isinstance(node, ast.ClassDef):
                module.values.update({k: v for k, v in _assigned(child) if k not in module.values})
            _read_definitions(child, prefix, module)


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        yield node.target.id, node.value


def _unique_suffixes(modules: Mapping[str, Module]) -> dict[str, str]:
    ends: dict[str, set[str]] = {}
    for name in modules:
        parts = name.split(".")
        for start in range(1, len(parts)):
            ends.setdefault(".".join(parts[start:]), set()).add(name)
    return {end: found.pop() for end, found in ends.items() if len(found) == 1 and end not in modules}
