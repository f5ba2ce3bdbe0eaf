"""What a patch newly exposes, found by rules: bandit, ruff, detect-secrets and some of our own, all offline.

Both versions of the touched files are searched, and only what the base does not have counts. Code decides: a new
weakness of at least medium severity refuses the patch. Comments that silence a tool (`nosec`, `noqa`) are not heeded,
as they come with the patch.
"""

import ast
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from perfcrew.errors import InstrumentError
from perfcrew.records.base import Record
from perfcrew.records.evidence import Check
from tools.exposure_caches import javascript_caches, python_caches
from tools.exposure_sql import javascript_statements, python_statements
from tools.exposure_texts import (
    CARRIED,
    DEPENDENCIES,
    find_compression,
    find_dependencies,
    find_imports,
    find_node_calls,
    find_secrets,
    read_tool,
)  # fmt: skip
from tools.git import touched
from tools.git_command import try_git
from tools.paths import matches
from tools.process import run
from tools.sandbox import Sandbox
from tools.weakness import Severity, Weakness, only_new
from tools.workspace import Workspace

CHECK = "security rules"
TIMEOUT_S = 120.0
SHOWN = 12
JAVASCRIPT = (".js", ".cjs", ".mjs", ".jsx", ".ts", ".tsx")
LIMITS = (
    "not covered: JavaScript and TypeScript are read line by line without data flow, other languages for secrets only"
)
_MILD = {"101", "110", "112", "311", "324", "403", "404", "603", "606", "607"}
"""Numbers of rules (bandit's and ruff's are the same) that name a habit; among them MD5, which makes good ETags."""
_OWN = {"608"}
"""Numbers that a rule of ours takes the place of."""


class Exposed(Record):
    """What was found."""

    check: Check
    concerns: tuple[str, ...]
    """Every new finding, also those that refuse nothing, and what could not be told."""


async def screen_patch(workspace: Workspace, base: str, head: str) -> Exposed:
    """Search what lies between two commits.

    Raises:
        InstrumentError: one of the tools can't be run.
    """
    paths = [item.path for item in await touched(workspace.clone, base, head)]
    scratch = workspace.folder / "security"
    try:
        sides = []
        for name, commit in (("base", base), ("head", head)):
            there = await _put_files(workspace, commit, paths, scratch / name)
            sides.append([one async for one in _search(scratch / name, there)])
        new = only_new(*sides)
        new = [*(await _judge_compression(workspace, head, new)), *(one for one in new if one.rule != "compression")]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    grave = [one for one in new if one.severity != "low"]
    said = "; ".join(one.shown for one in grave[:SHOWN]) or (
        f"{len(paths)} files searched by bandit, ruff, detect-secrets and rules for SQL, caches and compression: "
        f"{len(new)} new findings, none of which refuses the patch"
    )
    concerns = (*(one.shown for one in new), _tell_dependencies(paths, new), LIMITS)
    return Exposed(check=Check(name=CHECK, passed=not grave, detail=said), concerns=concerns)


def _tell_dependencies(paths: Sequence[str], new: Sequence[Weakness]) -> str:
    named = [one.claim for one in new if one.rule == "dependency"]
    if not named and not any(matches(path, DEPENDENCIES) for path in paths):
        return "dependencies: none was added or changed"
    listed = "; ".join(named[:SHOWN]) or "a file of dependencies changed"
    return f"dependencies: {listed}. What is known against them can't be told offline: run pip-audit or npm audit"


async def _put_files(workspace: Workspace, commit: str, paths: Sequence[str], folder: Path) -> list[str]:
    """Write the touched files of a version below a folder of ours, as plain files; those that it has."""
    there = []
    folder.mkdir(parents=True)
    for path in paths:
        shown = await try_git(["cat-file", "blob", f"{commit}:{path}"], workspace.clone)
        if shown.ok and "\0" not in shown.out:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(shown.out, encoding="utf-8", errors="replace")
            there.append(path)
    return there


async def _search(root: Path, paths: Sequence[str]) -> AsyncIterator[Weakness]:
    python = [path for path in paths if path.endswith(".py")]
    for found in _merge([*await _run_bandit(root, python), *await _run_ruff(root, python)]):
        yield found
    for found in find_secrets(root, list(paths)):
        yield found
    for path in paths:
        for found in _search_text(path, (root / path).read_text(encoding="utf-8")):
            yield found


def _search_text(path: str, text: str) -> Iterator[Weakness]:
    yield from find_dependencies(path, text)
    yield from find_compression(path, text)
    if path.endswith(JAVASCRIPT):
        yield from find_node_calls(path, text)
        yield from javascript_statements(path, text)
        yield from javascript_caches(path, text)
    elif path.endswith(".py"):
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            return
        yield from find_imports(path, tree)
        yield from python_statements(path, text, tree)
        yield from python_caches(path, text, tree)


def _merge(found: Sequence[Weakness]) -> Iterator[Weakness]:
    """What both tools say of one line is said once, as the first says it."""
    seen: set[tuple[str, int, str]] = set()
    for one in found:
        place = (one.path, one.line, one.rule)
        if place not in seen and one.rule[1:] not in _OWN:
            yield one
        seen.add(place)


async def _run_bandit(root: Path, paths: Sequence[str]) -> list[Weakness]:
    argv = [sys.executable, "-P", "-m", "bandit", "--quiet", "--format", "json", "--ignore-nosec", "--exit-zero"]
    rows = await _run_tool([*argv, *paths], root, "results") if paths else []
    found = []
    for row in rows:
        number = str(row["test_id"])[1:]
        doubtful = row["issue_confidence"] == "LOW" or number in _MILD
        severity: Severity = "low" if doubtful else row["issue_severity"].lower()
        found.append(_weakness(root, row["filename"], row["line_number"], number, row["issue_text"], severity))
    return found


async def _run_ruff(root: Path, paths: Sequence[str]) -> list[Weakness]:
    import ruff

    argv = [ruff.find_ruff_bin(), "check", "--isolated", "--no-cache", "--select", "S", "--ignore-noqa", "--exit-zero"]
    rows = await _run_tool([*argv, "--output-format", "json", *paths], root, "") if paths else []
    found = []
    for row in rows:
        # Its code is none where a file can't be read at all.
        number = str(row["code"] or "")[1:]
        severity: Severity = "low" if number in _MILD or not number.isdigit() else "medium"
        found.append(_weakness(root, row["filename"], row["location"]["row"], number, row["message"], severity))
    return found


def _weakness(root: Path, name: str, line: int, number: str, claim: str, severity: Severity) -> Weakness:
    path = Path(name)
    relative = (path.relative_to(root) if path.is_absolute() else path).as_posix().removeprefix("./")
    lines = (root / relative).read_text(encoding="utf-8").splitlines()
    code = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    return Weakness(f"S{number}", relative, line, claim, severity, code)


async def _run_tool(argv: Sequence[str], root: Path, kind: str) -> list[dict[str, Any]]:
    # What they read is the target's: they get nothing else to see.
    own = tuple(Path(folder) for folder in dict.fromkeys((sys.prefix, sys.base_prefix)))
    sandbox = Sandbox(writable=(root,), readable=own)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(root), "LANG": "C.UTF-8"}
    done = await run(argv, cwd=root, environment=environment, timeout=TIMEOUT_S, sandbox=sandbox, cap=50_000_000)
    if not done.ok:
        raise InstrumentError(f"{Path(argv[0]).name}: the security rules can't be run: {done.last_line}")
    return read_tool(done.out, kind)


async def _judge_compression(workspace: Workspace, head: str, new: Sequence[Weakness]) -> list[Weakness]:
    """Compression is a leak where a response carries a secret beside what the asker chose (BREACH)."""
    compressing = [one for one in new if one.rule == "compression"]
    if not compressing:
        return []
    words = ["grep", "-n", "-I", "-E", "-e", CARRIED, head, "--", ".", ":(exclude)*test*", ":(exclude)*.md"]
    places = (await try_git(words, workspace.clone)).out.splitlines()
    if not places:
        return []
    _, path, line = places[0].split(":", 3)[:3]
    claim = f"compresses responses although {path}:{line} puts a secret into one: beside input of an asker it leaks"
    return [Weakness("breach", one.path, one.line, claim, "high", one.code) for one in compressing]
