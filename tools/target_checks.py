"""What a target description must fulfil beyond its shape: names, placeholders, goals, files."""

import difflib
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Database, HttpRequest, Target, Workload
from perfcrew.records.work import Criterion
from tools.workload_checks import check_load

PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""`{name}` in a request's path, headers or body."""
_PLACEHOLDER = re.compile(r"(?<![{$])\{([a-z_]+)\}(?!\})")
"""`{name}` in a command, as `tools.process.fill` reads it: `${HOME}` and `{{port}}` are none."""
ARM_PLACEHOLDERS = ("env", "uv", "port", "workdir", "data", "database_url", "case")
"""What the commands of an arm may use; `{url}` and `{base_url}` are for checks and command workloads."""
_SETUP_PLACEHOLDERS = ("env", "uv", "workdir", "case")
_DATA_PLACEHOLDERS = ("env", "uv", "workdir", "data", "database_url", "case")
_SHELL = frozenset({"&&", "||", "|", ">", ">>", "<", ";", "&", "2>&1"})


def find_mistakes(target: Target, repo: Path) -> list[str]:
    """One line for each mistake, without the file's name: the key, what was expected, what came."""
    mistakes = list(_check_commands(target))
    if not mistakes:  # a mistyped {port} is told once
        mistakes += _check_isolation(target)
    mistakes += _check_names(target)
    mistakes += _check_pages(target)
    for workload in target.workload:
        mistakes += _check_workload(workload)
        mistakes += check_load(workload, repo)
    for probe in target.probe:
        mistakes += _check_params(f"probe {probe.name}", probe.request, probe.params)
    for number, goal in enumerate(target.goal, 1):
        mistakes += _check_goal(goal, number, [workload.name for workload in target.workload])
    if target.database is not None:
        mistakes += _check_database(target.database)
    return [*mistakes, *_check_files(target, repo)]


def find_warnings(target: Target) -> list[str]:
    """What is allowed but weakens the proof, one line each."""
    lines = [
        f"workload {workload.name}: no held_out variant, so tuning to the measured parameters can't be noticed"
        for workload in target.workload
        if workload.held_out is None and workload.kind not in ("page", "locust")
    ]
    if target.target.test is None:
        lines.append("target, test: no test command, so only responses are compared")
    if not target.goal:
        lines.append("goal: none given; the run succeeds when the first workload improved")
    if target.database is not None and not (target.database.seed or target.database.migrate):
        lines.append("database: neither seed nor migrate, so every arm starts from an empty database")
    for workload in target.workload:
        used = _used(workload.request) | _used(workload.held_out.request if workload.held_out else ())
        used |= set(PARAMETER.findall(workload.page.path)) if workload.page else set()
        unused = sorted(set(workload.params) - used)
        lines += [f"workload {workload.name}, params, {name}: no request uses {{{name}}}" for name in unused]
    return lines


def _check_names(target: Target) -> Iterator[str]:
    for key, entries in (("workload", target.workload), ("probe", target.probe), ("check", target.check)):
        seen: set[str] = set()
        for entry in entries:
            if entry.name in seen:
                yield f"{key}, name: expected different names, got {entry.name!r} twice"
            seen.add(entry.name)


def _commands(target: Target) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Key, command and known placeholders of each command in the description."""
    own, database = target.target, target.database
    for number, command in enumerate(own.setup, 1):
        yield f"target, setup {number}", command, _SETUP_PLACEHOLDERS
    if own.build is not None:
        yield "target, build", own.build, _SETUP_PLACEHOLDERS
    arm: list[tuple[str, str | None]] = [
        ("target, start", own.start),
        ("target, stop", own.stop),
        ("target, test", own.test),
    ]
    data = [("database, seed", database.seed), ("database, migrate", database.migrate)] if database else []
    yield from ((key, command, ARM_PLACEHOLDERS) for key, command in arm if command is not None)
    yield from ((key, command, _DATA_PLACEHOLDERS) for key, command in data if command is not None)
    if database and database.rollback:
        yield "database, rollback", database.rollback, (*_DATA_PLACEHOLDERS, "version")
    for workload in target.workload:
        held_out = workload.held_out.command if workload.held_out else None
        key = f"workload {workload.name}"
        pair = ((f"{key}, command", workload.command), (f"{key}, held_out, command", held_out))
        yield from ((key, command, (*ARM_PLACEHOLDERS, "url")) for key, command in pair if command is not None)
    for check in target.check:
        yield f"check {check.name}, command", check.command, (*ARM_PLACEHOLDERS, "url", "base_url")


def _check_commands(target: Target) -> Iterator[str]:
    for key, command, known in _commands(target):
        yield from _check_placeholders(key, command, known)
        yield from _check_words(key, command)
    for name, value in target.target.environment.items():
        yield from _check_placeholders(f"target, environment, {name}", value, ARM_PLACEHOLDERS)


def _check_placeholders(key: str, text: str, known: tuple[str, ...]) -> Iterator[str]:
    for name in dict.fromkeys(_PLACEHOLDER.findall(text)):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {{{near[0]}}}?" if near else ""
            yield f"{key}: expected {_listed(known)}, got {{{name}}}{hint}"


def _listed(names: Iterable[str]) -> str:
    return " ".join(f"{{{name}}}" for name in names)


def _check_words(key: str, command: str) -> Iterator[str]:
    try:
        words = shlex.split(command, posix=False)
    except ValueError as error:
        yield f"{key}: expected a command line, got one with {str(error).lower()}"
        return
    if not words:
        yield f"{key}: expected a command, got an empty text"
    elif re.match(r"[A-Za-z_]\w*=", words[0]):
        name = words[0].partition("=")[0]
        yield f"{key}: expected a program first, got {name}=…; set it in [target.environment]"
    shell = [word for word in words if word in _SHELL]
    if shell:
        yield f'{key}: expected one command (there is no shell), got {shell[0]!r}; write sh -c "…" if you need it'


def _check_isolation(target: Target) -> Iterator[str]:
    """Two arms run at once: each needs a port and data of its own."""
    own = target.target
    given = " ".join((own.start, *own.environment.values()))
    serves = any(workload.kind != "command" for workload in target.workload)
    if serves and "{port}" not in given:
        yield "target, start: expected {port} in it (or in [target.environment]), got none"
    if target.database is not None and not ("{database_url}" in given or "{data}" in given):
        yield (
            "target, start: expected {database_url} or {data} in it or in [target.environment], "
            "so that each arm has data of its own"
        )


def _check_workload(workload: Workload) -> Iterator[str]:
    key = f"workload {workload.name}"
    if workload.kind == "http" and workload.command is not None:
        yield f'{key}, command: expected only where kind = "command", got it in an http workload'
    if workload.kind == "command" and workload.request:
        yield f"{key}, request: expected only in an http workload, got it in a command workload"
    yield from _check_params(key, workload.request, workload.params)
    held_out = workload.held_out
    if held_out is None:
        return
    if workload.kind == "command" and held_out.command is None:
        yield f"{key}, held_out, command: expected a command with other parameters, got nothing"
    if workload.kind == "http" and not (held_out.params or held_out.request):
        yield f"{key}, held_out: expected other params or requests, got nothing"
    yield from _check_params(f"{key}, held_out", held_out.request, {**workload.params, **held_out.params})
    for name in sorted(set(held_out.params) - _used((*workload.request, *held_out.request))):
        yield f"{key}, held_out, params: expected names that a request uses, got {name!r}"
    if held_out.params and all(workload.params.get(name) == values for name, values in held_out.params.items()):
        yield f"{key}, held_out, params: expected other values than the workload's, got the same"


def _check_pages(target: Target) -> Iterator[str]:
    """Pages are measured beside what decides; their interval is too wide to keep or drop a change by."""
    if target.primary.kind == "page":
        yield (
            f"workload {target.primary.name}: expected an http, locust or command workload first, got a page; put one "
            "before it, such as the page's own requests"
        )
    for workload in target.workload:
        key = f"workload {workload.name}"
        if workload.page is None:
            continue
        if workload.kind != "page":
            yield f'{key}, page: expected only where kind = "page", got it in a workload of kind {workload.kind!r}'
            continue
        for name in ("request", "command", "held_out"):
            if getattr(workload, name):
                yield f"{key}, {name}: expected none in a page workload, got one; [workload.page] says what is loaded"
        for name in PARAMETER.findall(workload.page.path):
            if not workload.params.get(name):
                yield f"{key}, page, path: expected params to define {name!r}, got {{{name}}} without values"


def _check_params(key: str, requests: Iterable[HttpRequest], params: Mapping[str, tuple[Any, ...]]) -> Iterator[str]:
    requests = tuple(requests)
    for number, request in enumerate(requests, 1):
        for name in sorted(_used((request,)) - set(params)):
            near = difflib.get_close_matches(name, params, n=1)
            hint = f"; did you mean {{{near[0]}}}?" if near else ""
            yield f"{key}, request {number}: expected params to define {name!r}, got {{{name}}} without values{hint}"
        for status in request.expect:
            if not 100 <= status <= 599:
                yield f"{key}, request {number}, expect: expected HTTP statuses, got {status}"
    for name, values in params.items():
        if not values:
            yield f"{key}, params, {name}: expected at least one value, got an empty list"


def _used(requests: Iterable[HttpRequest]) -> set[str]:
    """Names of the parameters that requests use, in path, headers and body."""
    texts = [text for request in requests for text in _texts((request.path, request.headers, request.json_body))]
    return {name for text in texts for name in PARAMETER.findall(text)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)


def _check_goal(goal: Criterion, number: int, workloads: list[str]) -> Iterator[str]:
    key = f"goal {number}"
    if goal.metric not in METRICS:
        near = difflib.get_close_matches(goal.metric, METRICS, n=1)
        expected = "a known metric" if near else f"one of {', '.join(METRICS)}"
        hint = f"; did you mean {near[0]!r}?" if near else ""
        yield f"{key}, metric: expected {expected}, got {goal.metric!r}{hint}"
    if goal.workload not in workloads:
        yield f"{key}, workload: expected one of {', '.join(workloads)}, got {goal.workload!r}"
    if goal.comparison == "improve_by" and goal.value <= 1:
        yield f"{key}, value: expected a ratio above 1 (2.0 means twice as good), got {goal.value:g}"
    if goal.value < 0:
        yield f"{key}, value: expected no negative number, got {goal.value:g}"


def _check_database(database: Database) -> Iterator[str]:
    if database.engine == "sqlite":
        if database.url is not None:
            yield "database, url: expected only with engine 'postgresql', got it with 'sqlite'; use file"
        parts = PurePosixPath(database.file).parts
        if not parts or database.file.startswith("/") or ".." in parts:
            yield f"database, file: expected a file name inside the arm's data folder, got {database.file!r}"
    elif database.url is not None and not database.url.startswith(("postgresql://", "postgres://")):
        yield f"database, url: expected postgresql://…, got {database.url.partition(':')[0]}:…"


def _check_files(target: Target, repo: Path) -> Iterator[str]:
    for number, name in enumerate(target.target.setup_inputs, 1):
        if not (repo / name).is_file():
            yield f"target, setup_inputs {number}: expected a file of the repository, got {name!r}, which isn't there"
    globs = {"target, source": target.target.source, "protected": target.protected}
    for key, patterns in globs.items():
        for pattern in patterns:
            if not pattern or pattern.startswith("/") or ".." in PurePosixPath(pattern).parts:
                yield f"{key}: expected globs relative to the repository, got {pattern!r}"
