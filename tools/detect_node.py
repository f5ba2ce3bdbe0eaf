"""What a Node project says: its start and test scripts, its Express routes, its database. Read, never run."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_QUOTED = r"""['"`]([^'"`]+)['"`]"""
_ROUTE = re.compile(rf"\b(\w+)\.get\(\s*{_QUOTED}\s*,")
_MOUNT = re.compile(rf"\.use\(\s*{_QUOTED}\s*,\s*(?:require\(\s*{_QUOTED}\s*\)|(\w+))")
_IMPORT = re.compile(
    rf"(?:(?:const|let|var)\s+(\w+)\s*=\s*require\(\s*{_QUOTED}\s*\)|import\s+(\w+)\s+from\s+{_QUOTED})"
)
_NAMED_IMPORT = re.compile(
    rf"(?:(?:const|let|var)\s+{{([^}}]*)}}\s*=\s*require\(\s*{_QUOTED}\s*\)|import\s+{{([^}}]*)}}\s+from\s+{_QUOTED})"
)
_BUILD = re.compile(r"build$")
_SEED = re.compile(r"(db:)?(seed|populate)(:.*)?$")
_MIGRATE = re.compile(r"(db:)?(migrate|migrations?:run|migrate:(up|latest|deploy))$")
_VARIABLE = re.compile(r"process\.env(?:\.(\w+)|\[['\"](\w+)['\"]\])")


@dataclass(frozen=True)
class Package:
    """What `package.json` says."""

    start: str | None
    test: str | None
    migrate: str | None
    seed: str | None
    build: str | None
    needs: frozenset[str]


def read_package(path: Path) -> Package | None:
    """A `package.json`; None where it isn't JSON with an object in it."""
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict):
        return None
    scripts = data.get("scripts") or {}
    start = scripts.get("start") or (f"node {data['main']}" if data.get("main") else None)
    if start is None:
        start = next(
            (f"node {name}" for name in ("server.js", "app.js", "index.js") if (path.parent / name).is_file()), None
        )
    test = scripts.get("test")
    needs = frozenset({**(data.get("dependencies") or {}), **(data.get("devDependencies") or {})})
    real = test is not None and "no test specified" not in test
    return Package(
        start,
        "npm test" if real else None,
        _script(scripts, _MIGRATE),
        _script(scripts, _SEED),
        _script(scripts, _BUILD),
        needs,
    )


def _script(scripts: dict[str, str], wanted: re.Pattern[str]) -> str | None:
    """How a script with such a name is run."""
    name = next((name for name in scripts if wanted.match(name)), None)
    return f"npm run --silent {name}" if name else None


def find_routes(sources: dict[Path, str]) -> list[str]:
    """GET paths without parameters, with the prefixes that routers are mounted under."""
    mounted: dict[Path, str] = {}
    for path, text in sources.items():
        imports = {a or c: b or d for a, b, c, d in _IMPORT.findall(text)}
        for first, module, second, other in _NAMED_IMPORT.findall(text):
            imports |= {re.split(r"\s*:\s*|\s+as\s+", name.strip())[-1]: module or other
                        for name in (first or second).split(",")}  # fmt: skip
        for prefix, required, name in _MOUNT.findall(text):
            module = required or imports.get(name, "")
            file = _resolve(path, module, sources) if module.startswith(".") else None
            if file is not None:
                mounted[file] = prefix.rstrip("/")
    found: dict[str, None] = {}
    for path, text in sources.items():
        for owner, route in _ROUTE.findall(text):
            if route.startswith("/") and re.search(r"app|router|server|api|route", owner, re.IGNORECASE):
                whole = mounted.get(path, "") + (route if route != "/" or path not in mounted else "")
                if not re.search(r"[:*()$]", whole):
                    found[whole or "/"] = None
    return list(found)


def find_variables(sources: dict[Path, str]) -> set[str]:
    """Names of the environment variables that the source reads."""
    return {first or second for text in sources.values() for first, second in _VARIABLE.findall(text)}


def _resolve(importer: Path, module: str, sources: dict[Path, str]) -> Path | None:
    parts: list[str] = []
    for part in (importer.parent / module).parts:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    base = Path(*parts)
    candidates = [base, *(base.with_name(base.name + end) for end in (".js", ".mjs", ".cjs", ".ts")), base / "index.js"]
    return next((candidate for candidate in candidates if candidate in sources), None)
