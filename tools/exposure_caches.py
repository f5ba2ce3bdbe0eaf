"""Caches that a patch adds: one that anyone can make grow, and one whose key leaves out whose answer it holds."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tools.weakness import Weakness

_WHO = re.compile(
    r"(?:^|_)(user|tenant|account|customer|member|viewer|owner|principal|org|organi[sz]ation|auth|role|permission|"
    r"current_user|user_?id|uid|session|cookies?|headers?)(?:$|_)"
)
_ASKERS = ("request", "g", "current_user", "session")
"""Names by which frameworks tell who asks. A `session` counts where it is looked into by a key: a database's isn't."""
_WHO_JS = re.compile(
    r"\b(?:req\.(?:user|session|auth)\b|(?:current)?[uU]ser(?:Id|\.id)?\b|tenant\w*|account\w*|session\b)"
)
_STORE = re.compile(r"cache|memo|redis|store", re.IGNORECASE)
_GROWS = "a cache without a bound: who varies what is asked fills the memory; "
_GROWS_CALLS = _GROWS + "give it one, as lru_cache(maxsize=1024) has"
_GROWS_STORE = _GROWS + "throw the oldest entry out above a limit"
_MIXES = "the key of a cache leaves out {who}, on which what is kept depends: one user may be given another's"
_DICTS = {"dict", "defaultdict", "OrderedDict"}
_MAP_JS = re.compile(
    r"^(?:export\s+)?(?:const|let|var)\s+(\w+)\s*(?::[^=\n]+)?=\s*(new Map\b|\{\s*\}|Object\.create\(null\))", re.M
)
_WINDOW_JS = 15


@dataclass(frozen=True)
class _Write:
    """One place where something is put into a cache."""

    store: str
    key: ast.expr
    value: ast.expr
    node: ast.AST


def python_caches(path: str, text: str, tree: ast.Module) -> Iterator[Weakness]:
    """Caches in Python: decorated functions, dictionaries of the module, clients of a cache server."""
    lines = text.splitlines()

    def weak(rule: str, node: ast.AST, claim: str) -> Weakness:
        line = getattr(node, "lineno", 1)
        return Weakness(rule, path, line, claim, "high" if rule == "cache-key" else "medium", lines[line - 1].strip())

    stores = {name for node in tree.body for name in _made_stores(node)}
    bounded = {name for name in stores if _is_bounded(name, tree)}
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in function.decorator_list:
            if _is_unbounded_decorator(decorator) and _parameters(function):
                yield weak("cache-bound", decorator, _GROWS_CALLS)
            if (who := _hidden_who(decorator, function)) != "":
                yield weak("cache-key", decorator, _MIXES.format(who=who))
        given = _expanded(function)
        for write in _writes(function, stores):
            if write.store in stores - bounded and not isinstance(write.key, ast.Constant):
                yield weak("cache-bound", write.node, _GROWS_STORE)
            if who := _left_out(write, _parameters(function), given):
                yield weak("cache-key", write.node, _MIXES.format(who=who))


def javascript_caches(path: str, text: str) -> Iterator[Weakness]:
    """Caches in JavaScript, by their look: maps and objects of the module that are written to under changing keys."""
    lines = text.splitlines()
    for found in _MAP_JS.finditer(text):
        name, kind = found[1], found[2]
        if not kind.startswith("new Map") and not _STORE.search(name):
            continue
        for write in re.finditer(rf"\b{name}(?:\.set\(\s*([^,]+),|\[([^\]]+)\]\s*=[^=])", text):
            key, line = (write[1] or write[2]).strip(), text.count("\n", 0, write.start())
            code = lines[line].strip()
            if re.fullmatch(r"(['\"])[^'\"]*\1", key):
                continue
            if not re.search(rf"\b{name}\.size\b|Object\.keys\({name}\)\.length", text):
                yield Weakness("cache-bound", path, line + 1, _GROWS_STORE, "medium", code)
            first = max([line - _WINDOW_JS, 0, *(n for n in range(line) if re.search(r"\bfunction\b|=>", lines[n]))])
            above = "\n".join(lines[first : line + 1])
            made = " ".join(re.findall(rf"\b{re.escape(key)}\s*=\s*([^\n]+)", above)) if key.isidentifier() else ""
            who = _WHO_JS.search(above)
            if who and not _WHO_JS.search(f"{key} {made}"):
                yield Weakness("cache-key", path, line + 1, _MIXES.format(who=who[0]), "high", code)


def _made_stores(node: ast.stmt) -> Iterator[str]:
    """Names that a statement of the module binds to an empty dictionary."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    empty = isinstance(value, ast.Dict) and not value.keys
    called = _name(value.func) if isinstance(value, ast.Call) else ""
    if empty or called.rpartition(".")[2] in _DICTS:
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _is_bounded(name: str, tree: ast.Module) -> bool:
    """Whether the module ever compares how much a dictionary holds, or throws out its oldest entry."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(
            isinstance(part, ast.Call) and _name(part.func) == "len" and part.args and _name(part.args[0]) == name
            for part in ast.walk(node)
        ):
            return True
        if isinstance(node, ast.Call) and _name(node.func) == f"{name}.popitem":
            return True
    return False


def _is_unbounded_decorator(node: ast.expr) -> bool:
    call = node if isinstance(node, ast.Call) else None
    name = _name(call.func if call else node)
    if name in ("cache", "functools.cache"):
        return True
    if call is None or name.rpartition(".")[2] not in ("lru_cache", "alru_cache", "cached"):
        return False
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg in ("maxsize", "cache"))]
    return any((isinstance(one, ast.Constant) and one.value is None) or isinstance(one, ast.Dict) for one in given)


def _hidden_who(decorator: ast.expr, function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Whom a cached function looks up by itself, past its arguments, which are the key; empty for nobody."""
    call = decorator if isinstance(decorator, ast.Call) else None
    name = _name(call.func if call else decorator)
    keyed = any(re.search("key|vary", word.arg or "") for word in call.keywords) if call else False
    varied = any("vary" in ast.unparse(other) for other in function.decorator_list)
    # One that caches whole pages has the address for its key, whatever the function is given.
    of_pages = name.rpartition(".")[2] in ("cache_page", "cached", "cache") and "functools" not in name
    if "cache" not in name.lower() or keyed or varied or ("request" in _parameters(function) and not of_pages):
        return ""
    asked = sorted(word for word in _words_of(function.body) if word.startswith("@") and _WHO.search(word[1:]))
    return asked[0][1:] if asked else ""


def _writes(function: ast.AST, stores: set[str]) -> Iterator[_Write]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and _name(target.value) in stores:
                    yield _Write(_name(target.value), target.slice, node.value, node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) >= 2:
            owner = _name(node.func.value)
            known = owner in stores and node.func.attr == "setdefault"
            served = node.func.attr in ("set", "setex", "add", "put") and _STORE.search(owner.rpartition(".")[2])
            if known or served:
                yield _Write(owner, node.args[0], node.args[-1], node)


def _left_out(write: _Write, parameters: list[str], given: dict[str, set[str]]) -> str:
    """Whom the kept value depends on and the key does not name; empty where there is nobody."""
    key = _closure({*_words_of([write.key])}, given)
    if any(_WHO.search(word.lstrip("@")) for word in key):
        return ""
    value = _closure({*_words_of([write.value])}, given)
    inputs = {word for word in value if word[0] == "@" or (word in parameters and word not in _ASKERS)}
    who = sorted(word for word in inputs if _WHO.search(word.lstrip("@")))
    return who[0].lstrip("@") if who else ""


def _expanded(function: ast.AST) -> dict[str, set[str]]:
    """The words from which each local name is made."""
    made: dict[str, set[str]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    made.setdefault(target.id, set()).update(_words_of([node.value]))
    return made


def _closure(words: set[str], given: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    while words:
        word = words.pop()
        if word not in found:
            found.add(word)
            words |= given.get(word, set())
    return found


def _words_of(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Names that are read, and with an @ what is asked of whoever asks: `@user` of `request.user`."""
    for node in (inner for top in nodes for inner in ast.walk(top)):
        if isinstance(node, ast.Name):
            yield "@current_user" if node.id == "current_user" else node.id
        elif isinstance(node, ast.Attribute) and _root(node) in _ASKERS[:2]:
            yield f"@{node.attr}"
        elif isinstance(node, ast.Subscript) and _name(node.value).rpartition(".")[2] == "session":
            yield "@session"
        elif isinstance(node, ast.Call):
            # The whole request, handed on.
            yield from ("@user" for given in node.args if isinstance(given, ast.Name) and given.id == "request")


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    every += [one for one in (function.args.vararg, function.args.kwarg) if one is not None]
    return [one.arg for one in every if one.arg not in ("self", "cls")]


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
