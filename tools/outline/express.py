"""Routes of Express applications, by pattern: declared paths, mounted routers, named handlers, raw SQL nearby."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from tools.outline.parts import Builder
from tools.outline.routes import join_path
from tools.outline.sql import add_statement, looks_like_sql

_ROUTE = re.compile(r"""\b(\w+)\s*\.\s*(get|post|put|patch|delete|all)\(\s*(['"`])(/[^'"`]*)\3\s*,""")
_MOUNT = re.compile(r"""\.use\(\s*(['"`])(/[^'"`]*)\1\s*,\s*(?:require\(\s*['"]([^'"]+)['"]\s*\)|(\w+))""")
_REQUIRE = re.compile(
    r"""(?:const|let|var)\s+(\w+)\s*=\s*require\(\s*['"]([^'"]+)['"]\s*\)|import\s+(\w+)\s+from\s+['"]([^'"]+)['"]"""
)
_MAKER = re.compile(r"""(?:const|let|var)\s+(\w+)\s*=\s*(?:express\(\)|(?:express\.)?Router\()""")
_FUNCTION = re.compile(
    r"^(?:export\s+(?:default\s+)?)?(?:async\s+)?function\s+(\w+)|^(?:export\s+)?const\s+(\w+)\s*=\s*(?:async\s*)?\(",
    re.MULTILINE,
)
_NAMED = re.compile(r"(?:[\w.]+\s*,\s*)*(?:\w+\.)?(\w+)\s*\)")
_TEXT = re.compile(r"""(['"`])((?:\\.|(?!\1).)*)\1""", re.DOTALL)
_PART = re.compile(r"\$\{[^}]*\}")


def add_scripts(texts: Mapping[str, str], builder: Builder) -> None:
    """Add routes and functions of JavaScript and TypeScript files that use Express; others are left out."""
    prefixes = _prefixes(texts)
    for path, text in texts.items():
        if not _MAKER.search(text) and path not in prefixes and not _ROUTE.search(text):
            continue
        marks = _add_functions(path, text, builder)
        if _MAKER.search(text):
            marks += _add_routes(path, text, prefixes.get(path, [""]), marks, builder)
        _add_queries(text, sorted(marks), builder)


def _prefixes(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """For each file that another one mounts: the paths under which it does."""
    found: dict[str, list[str]] = {}
    for path, text in texts.items():
        required = {match[0] or match[2]: match[1] or match[3] for match in _REQUIRE.findall(text)}
        for match in _MOUNT.finditer(text):
            name = match[3] or required.get(match[4] or "", "")
            if (target := _locate(path, name, texts)) is not None:
                found.setdefault(target, []).append(match[2])
    return found


def _locate(path: str, name: str, texts: Mapping[str, str]) -> str | None:
    if not name.startswith("."):
        return None
    parts: list[str] = list(PurePosixPath(path).parent.parts)
    for part in name.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    base = "/".join(parts)
    ends = ("", ".js", ".ts", ".mjs", ".cjs", "/index.js", "/index.ts")
    return next((f"{base}{end}" for end in ends if f"{base}{end}" in texts), None)


def _add_functions(path: str, text: str, builder: Builder) -> list[tuple[int, str]]:
    """Add named functions at the top level; return where each begins."""
    marks = []
    for match in _FUNCTION.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        name = f"{PurePosixPath(path).with_suffix('').as_posix().replace('/', '.')}.{match[1] or match[2]}"
        owner = builder.node("function", name, path, (line, line))
        builder.edge(owner, "defined_in", builder.node("file", path, path))
        marks.append((match.start(), owner))
    return marks


def _add_routes(
    path: str, text: str, prefixes: list[str], marks: list[tuple[int, str]], builder: Builder
) -> list[tuple[int, str]]:
    """Add the routes of a file; an inline handler becomes a function named after its route."""
    makers = {match[1] for match in _MAKER.finditer(text)}
    own = {name.rsplit(".", 1)[-1]: name for _, name in marks}
    module = PurePosixPath(path).with_suffix("").as_posix().replace("/", ".")
    new = []
    for match in _ROUTE.finditer(text):
        if match[1] not in makers:
            continue
        method = "ANY" if match[2] == "all" else match[2].upper()
        line = text.count("\n", 0, match.start()) + 1
        named = _NAMED.match(text, match.end() + len(text[match.end() :]) - len(text[match.end() :].lstrip()))
        if named and named[1] in own:
            handler = own[named[1]]
        else:
            handler = builder.node("function", f"{module}.{method} {match[4]}", path, (line, line), "inline handler")
            builder.edge(handler, "defined_in", builder.node("file", path, path))
            new.append((match.start(), handler))
        for prefix in prefixes:
            route = builder.node("route", f"{method} {join_path(prefix, match[4])}", path, (line, line))
            builder.edge(route, "handles", handler)
    return new


def _add_queries(text: str, marks: list[tuple[int, str]], builder: Builder) -> None:
    """Give each SQL string to the function or handler that begins last before it."""
    for match in _TEXT.finditer(text):
        plain = _PART.sub("?", match[2])
        owners = [owner for start, owner in marks if start <= match.start()]
        if owners and looks_like_sql(plain):
            add_statement(owners[-1], plain, builder, "by its place in the file")
