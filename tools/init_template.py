"""A commented first `perfcrew.toml` from what was found in a repository."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from perfcrew.errors import UserError
from tools.detect import Project, detect_project
from tools.target import FILE

_HEAD = """\
# How perfcrew builds, starts, measures and tests this application. Nothing here is run by a shell; commands know
#   {env}           the folder of the environment that setup makes       {uv}            the uv program
#   {port}          the port to listen on, on 127.0.0.1                  {database_url}  its own database
#   {workdir}       this version's checkout                              {data}          its own data folder
#   {case}          the folder that this file is in
# Two versions run side by side, so port and data must come from these.
"""
_PROTECTED = """
# What no change may touch; the setup inputs always belong to it. (This key must stand before the first table.)
# protected = ["tests/**", "test/**", "**/test_*.py", "**/conftest.py", "perfcrew.toml", ".git/**"]
"""
_NO_ROUTE = """
[[workload]]
# The first workload is the one that decides.
name = "main"
users = 4             # at once; each sends its next request when it has the answer
# rate = 50           # instead of users: requests a second, whether or not earlier ones were answered

[[workload.request]]
path = "/"            # complete this: a request that is slow
expect = [200]
"""
_HELD_OUT = """
# Parameters fill {name} in path, headers and json. The held-out values are never shown to the coder.
# [workload.params]
# user_id = [1, 2, 3]
# [workload.held_out.params]
# user_id = [7001, 7002]
"""
_END = """
# Requests that both versions must answer alike, in order, on equal data. Writes belong here.
# [[probe]]
# name = "change-then-read"
# request = [{ method = "POST", path = "/items", json = { name = "x" }, expect = [201] }, { path = "/items" }]
# volatile = ["created_at"]         # JSON keys that may differ

# A program of yours that judges a running candidate: exit code 0 is good.
# [[check]]
# name = "totals are right"
# command = "{env}/bin/python checks/totals.py {url} {base_url}"
"""


def write_template(root: Path) -> tuple[Path, Project]:
    """Look at a repository and write its first description. Never overwrites.

    Raises:
        UserError: there is a description already, no such folder, or it can't be written.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; expected the application's repository")
    path = root / FILE
    project = detect_project(root)
    text = render_template(project)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{path}: exists already and was left as it is; move it away to begin anew") from None
    except OSError as error:
        raise UserError(f"{path}: can't be written: {error.strerror}") from None
    return path, project


def render_template(project: Project) -> str:
    """The text of the description."""
    parts = [_HEAD, _found(project), _PROTECTED, _target(project), _database(project)]
    parts += [_workload(project, index) for index in range(len(project.routes))] or [_NO_ROUTE]
    parts += [_HELD_OUT, _goal(project), _END]
    return "".join(parts)


def _quote(text: str) -> str:
    """A TOML basic string; JSON's escapes are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False)


def _list(values: Iterable[str]) -> str:
    quoted = [_quote(value) for value in values]
    if len(quoted) < 2:
        return f"[{''.join(quoted)}]"
    return "[\n" + "".join(f"    {value},\n" for value in quoted) + "]"


def _found(project: Project) -> str:
    lines = [f"#   found: {line}" for line in project.found] + [f"#   TO DO: {line}" for line in project.open_points]
    return "#\n" + "\n".join(lines) + "\n"


def _target(project: Project) -> str:
    lines = ["", "[target]", f"name = {_quote(project.name)}"]
    lines += ["# Run once, in a checkout of the base version, with a network; kept while the inputs are unchanged."]
    lines += [f"setup = {_list(project.setup)}", f"setup_inputs = {_list(project.setup_inputs)}"]
    build = f"build = {_quote(project.build)}" if project.build else '# build = "…"'
    lines += [f"{build}          # makes what is started, once for each version, without a network"]
    lines += [f"start = {_quote(project.start)}"]
    lines += [f"ready = {_quote(project.ready)}          # answers below 500 once the application can work"]
    lines += ["ready_timeout_s = 30.0", '# stop = "…"           # otherwise SIGTERM, then SIGKILL']
    lines += [f"test = {_quote(project.test)}" if project.test else '# test = "…"           # complete this']
    if project.environment:
        lines += ["", "[target.environment]"]
        lines += [f"{name} = {_quote(value)}" for name, value in sorted(project.environment.items())]
    return "\n".join(lines) + "\n"


def _database(project: Project) -> str:
    if not project.engine:
        return '\n# [database]\n# engine = "sqlite"     # or postgresql\n'
    wired = "{database_url}" in " ".join((project.start, *project.environment.values()))
    lines = ["[database]", f"engine = {_quote(project.engine)}"]
    if project.engine == "sqlite":
        lines.append('file = "app.db"          # its name inside {data}')
    else:
        lines.append(
            '# url = "postgresql://…"  # a server where perfcrew may create databases; without one it starts its own'
        )
    if project.seed:
        lines.append(f"seed = {_quote(project.seed)}")
    else:
        lines.append('# seed = "…"             # complete this: fills the database once, for all versions')
    if project.migrate:
        lines.append(f"migrate = {_quote(project.migrate)}")
    return "\n" + "\n".join(lines if wired else [f"# {line}" for line in lines]) + "\n"


def _workload(project: Project, index: int) -> str:
    route = project.routes[index]
    name = _name(route)
    first = "# The first workload is the one that decides.\n" if index == 0 else ""
    users = "users = 4             # at once; each sends its next request when it has the answer\n"
    request = f"\n[[workload.request]]\npath = {_quote(route)}\nexpect = [200]\n"
    return f"\n[[workload]]\n{first}name = {_quote(name)}\n{users}{request}"


def _name(route: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", route).strip("-") or "home"


def _goal(project: Project) -> str:
    name = _name(project.routes[0] if project.routes else "/main")
    return f"""
# When is it good enough? at_most and at_least in the metric's unit, improve_by as a ratio.
[[goal]]
metric = "http.p95_ms"
workload = {_quote(name)}
comparison = "improve_by"
value = 2.0
"""
