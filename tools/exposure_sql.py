"""SQL built from strings: what is put into a statement's text must be a constant or a row of placeholders.

Bandit and ruff have a rule for it as well, which also objects to `IN (?, ?, ?)` with as many placeholders as there are
values: the very thing that replaces a query for each row. This one looks at what is put in.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tools.weakness import Weakness

_STATEMENT = re.compile(
    r"\s*(select\b.+\bfrom\b|insert\s+into\b|replace\s+into\b|update\b.+\bset\b|delete\s+from\b|with\b.+\bas\s*\(|"
    r"(create|alter|drop|truncate)\s+(table|index|view)\b)",
    re.IGNORECASE | re.DOTALL,
)
_GAP = "\0"
_NUMBERS = {"len", "int", "float", "abs", "round", "bool"}
_CLAIM = "SQL text made from values that are no constants: pass them as parameters"
_TEMPLATE = re.compile(r"(?<![\w$)\]])`((?:[^`\\]|\\.)*)`", re.DOTALL)
_FILLED = re.compile(r"\$\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
_ADDED = re.compile(r"""(["'])((?:(?!\1).)*)\1\s*\+\s*(?!["'\s])([\w.$\[\]()]+)""")
_HARMLESS_JS = re.compile(
    r"[A-Z][A-Z0-9_]*|[\w.]+\.length|\d+|.*=>\s*(['\"`])(\?|\$\$?\{?[^'\"`]*\}?)\1.*join\(.*", re.DOTALL
)


@dataclass
class _Scope:
    """A function or module: what its names stand for. None for what a caller gives."""

    node: ast.AST
    outer: "_Scope | None" = None
    values: dict[str, list[ast.expr | None]] = field(default_factory=dict)

    def find(self, name: str) -> list[ast.expr | None]:
        """What a name may stand for; empty where that is not known."""
        if name in self.values:
            return self.values[name]
        return self.outer.find(name) if self.outer else []


def python_statements(path: str, text: str, tree: ast.Module) -> Iterator[Weakness]:
    """Statements in Python into whose text something else than constants and placeholders is put."""
    lines = text.splitlines()
    for node, scope in _walk(tree, _scope_of(tree, None)):
        literal, parts = _text_of(node)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            literal, parts = _text_of(node.value)
            begun = [_text_of(value)[0] for value in scope.find(node.target.id) if value is not None]
            literal = literal if any(_STATEMENT.match(one) for one in begun) and literal else ""
        elif not _STATEMENT.match(literal):
            continue
        if literal and any(not _is_harmless(part, scope) for part in parts):
            line = getattr(node, "lineno", 1)
            yield Weakness("sql", path, line, _CLAIM, "high", lines[line - 1].strip() + ast.unparse(node))


def javascript_statements(path: str, text: str) -> Iterator[Weakness]:
    """Statements in JavaScript, by their look: template literals without a tag, and strings added together."""
    for found in _TEMPLATE.finditer(text):
        if _STATEMENT.match(found[1]) and any(not _is_harmless_js(part, text) for part in _FILLED.findall(found[1])):
            line = text.count("\n", 0, found.start()) + 1
            yield Weakness("sql", path, line, _CLAIM, "high", found[0])
    for found in _ADDED.finditer(text):
        if _STATEMENT.match(found[2]) and not _is_harmless_js(found[3], text):
            line = text.count("\n", 0, found.start()) + 1
            yield Weakness("sql", path, line, _CLAIM, "high", found[0])


def _is_harmless_js(part: str, text: str) -> bool:
    part = part.strip()
    if _HARMLESS_JS.fullmatch(part):
        return True
    made = re.findall(rf"\b(?:const|let|var)\s+{re.escape(part)}\s*=\s*([^;\n]+)", text) if part.isidentifier() else []
    return bool(made) and all(
        _HARMLESS_JS.fullmatch(one.strip()) or re.fullmatch(r"(['\"])[^'\"]*\1", one) for one in made
    )


def _scope_of(node: ast.AST, outer: _Scope | None) -> _Scope:
    scope = _Scope(node, outer)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        scope.values.update({one.arg: [None] for one in every if one is not None})
    for inner, _ in _inside(node):
        if isinstance(inner, ast.Assign):
            for target in inner.targets:
                _note(scope, target, inner.value)
        elif isinstance(inner, ast.AnnAssign | ast.NamedExpr | ast.AugAssign):
            _note(scope, inner.target, inner.value)
        elif isinstance(inner, ast.For | ast.AsyncFor | ast.comprehension):
            _note_loop(scope, inner.target, inner.iter)
    return scope


def _note(scope: _Scope, target: ast.expr, value: ast.expr | None) -> None:
    for name in ast.walk(target):
        if isinstance(name, ast.Name):
            scope.values.setdefault(name.id, []).append(value if target is name else None)


def _note_loop(scope: _Scope, target: ast.expr, source: ast.expr) -> None:
    called = source.func.id if isinstance(source, ast.Call) and isinstance(source.func, ast.Name) else ""
    number = ast.Constant(0)
    if called == "range":
        _note(scope, target, number)
    elif called == "enumerate" and isinstance(target, ast.Tuple) and target.elts:
        _note(scope, target.elts[0], number)
        for other in target.elts[1:]:
            _note(scope, other, None)
    elif isinstance(source, ast.Tuple | ast.List):
        for each in source.elts:
            _note(scope, target, each if isinstance(target, ast.Name) else None)
    else:
        _note(scope, target, None)


def _inside(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """What belongs to a scope itself, with its parent, without what belongs to functions in it."""
    for child in ast.iter_child_nodes(node):
        yield child, node
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _inside(child)


def _walk(node: ast.AST, scope: _Scope) -> Iterator[tuple[ast.AST, _Scope]]:
    for child, parent in _inside(node):
        # The inner parts of a sum are not looked at by themselves.
        if not (isinstance(parent, ast.BinOp) and isinstance(child, ast.BinOp | ast.JoinedStr)):
            yield child, scope
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _walk(child, _scope_of(child, scope))


def _text_of(node: ast.AST) -> tuple[str, list[ast.expr]]:
    """The constant text of an expression, a gap for each part that is put in, and these parts."""
    if isinstance(node, ast.Constant):
        return (node.value, []) if isinstance(node.value, str) else ("", [node])
    if isinstance(node, ast.JoinedStr):
        parts = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
        return "".join(str(part.value) if isinstance(part, ast.Constant) else _GAP for part in node.values), parts
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        (left, some), (right, more) = _text_of(node.left), _text_of(node.right)
        return left + right, some + more
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        text, parts = _text_of(node.left)
        values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        return (text, [*parts, *values]) if text.strip(_GAP) else (_GAP, [node])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        text, parts = _text_of(node.func.value)
        return text, [*parts, *node.args, *(word.value for word in node.keywords)]
    return _GAP, [node] if isinstance(node, ast.expr) else []


_PARTS: dict[type[ast.expr], Callable[[Any], list[ast.expr]]] = {
    ast.Constant: lambda _: [],
    ast.JoinedStr: lambda node: [part.value for part in node.values if isinstance(part, ast.FormattedValue)],
    # A text or list repeated: how often does not matter.
    ast.BinOp: lambda node: [node.left] if isinstance(node.op, ast.Mult) else [node.left, node.right],
    ast.IfExp: lambda node: [node.body, node.orelse],
    ast.Tuple: lambda node: node.elts,
    ast.List: lambda node: node.elts,
    ast.ListComp: lambda node: [node.elt],
    ast.GeneratorExp: lambda node: [node.elt],
}
"""Expressions that are harmless where these parts of them are."""


def _is_harmless(node: ast.expr | None, scope: _Scope, depth: int = 0) -> bool:
    """Whether nothing that a caller gives can come into the text through this."""
    if node is None or depth > 12:
        return False
    parts: list[ast.expr | None] | list[ast.expr] | None = None
    if type(node) in _PARTS:
        parts = _PARTS[type(node)](node)
    elif isinstance(node, ast.Name):
        parts = scope.find(node.id) or ([] if node.id.isupper() else None)
    elif isinstance(node, ast.Attribute):
        parts = [] if node.attr.isupper() else None
    elif isinstance(node, ast.Subscript):
        parts = [] if _is_table(node.value, scope) else None
    elif isinstance(node, ast.Call):
        parts = _parts_of_call(node, scope)
    return parts is not None and all(_is_harmless(part, scope, depth + 1) for part in parts)


def _parts_of_call(node: ast.Call, scope: _Scope) -> list[ast.expr] | None:
    if isinstance(node.func, ast.Name):
        return [] if node.func.id in _NUMBERS else node.args if node.func.id == "str" else None
    if not isinstance(node.func, ast.Attribute):
        return None
    if node.func.attr in ("join", "strip", "lower", "upper", "format"):
        return [node.func.value, *node.args]
    return node.args[1:] if node.func.attr == "get" and _is_table(node.func.value, scope) else None


def _is_table(node: ast.expr, scope: _Scope) -> bool:
    """Whether it is a dictionary with constant values: what is looked up there is one of them."""
    found = scope.find(node.id) if isinstance(node, ast.Name) else [node]
    return bool(found) and all(
        isinstance(one, ast.Dict) and all(isinstance(value, ast.Constant) for value in one.values) for one in found
    )
