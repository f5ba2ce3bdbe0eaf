"""What the branch brings along so that its gains last: made, checked and committed by code, in a commit of its own.

The files come from the measured result alone; no model has a hand in them. They lie in one folder and change no code.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from agents.crew import Crew
from graphs.state import RunState
from perfcrew.errors import PerfcrewError, ReplayMiss, UserError
from perfcrew.handover import places
from perfcrew.handover.alerts import as_rules, check_alerts
from perfcrew.handover.compose import Surroundings, compose
from perfcrew.handover.dashboard import check_dashboard, expressions_of
from perfcrew.handover.page import check_page
from perfcrew.handover.workload import check_pipeline, compared, needs_case
from perfcrew.records.evidence import Check
from perfcrew.records.report import Handover, Report
from perfcrew.records.target import Target
from perfcrew.redaction import MASK
from perfcrew.report.gates import ALERTS_CHECK, DASHBOARD_CHECK, PAGE_CHECK, PERFORMANCE_CHECK, ROLLBACK_CHECK
from tools.git import changed_paths, checkout, commit, reset
from tools.git_history import added_between, paths_at, read_at
from tools.migrations import find_way, new_migrations
from tools.paths import matches
from tools.promtool import MISSING, check_rules
from tools.rehearsal import rehearse_migrations, rehearse_rollback
from tools.target import load_target
from tools.target_tests import run_tests
from tools.workspace import Workspace

TITLE = "Add a performance test, a dashboard, alerts and notes"
DATE = "2000-01-01T00:01:00Z"
"""Fixed, as the dates of the changes are, so that a commit made again has the same hash."""
_REQUIREMENTS = ("requirements*.txt", "requirements/*.txt", "pyproject.toml", "package.json", "setup.cfg", "Pipfile")
_NO_SERVER = "no workload is made of HTTP requests, so Prometheus has nothing to tell of the target"
_NOT_COMPARED = "`perfcrew compare` takes http, command and page workloads, and there is none"


async def hand_over(state: RunState, crew: Crew, report: Report) -> Handover | None:
    """Make the last commit of an accepted branch; None where a recording that has none stands in for the tools."""
    head = state["head"]

    async def make() -> Handover:
        try:
            return await _make(crew, state["base"], head, report)
        except PerfcrewError as error:  # the branch was won without it, and is not to be lost for it
            why = f"could not be made: {error}"
            names = (PERFORMANCE_CHECK, DASHBOARD_CHECK, ALERTS_CHECK, PAGE_CHECK)
            checks = tuple(Check(name=name, passed=False, detail=why) for name in names)
            return Handover(commit=None, files=(), checks=checks)

    try:
        made = await crew.journal.effect("report", f"handover {head}", Handover, make, asked=head)
    except ReplayMiss:
        return None
    for check in made.checks:
        crew.tell("measured" if check.passed else "warning", f"{check.name}: {check.detail}", phase="report")
    return made


async def _make(crew: Crew, base: str, head: str, report: Report) -> Handover:
    workspace = crew.workspace
    worktree = workspace.worktrees / "handover"
    await checkout(workspace.clone, head, worktree)
    await reset(worktree, head)
    target = _movable(workspace)
    files = compose(report, target, await _surroundings(workspace, base, head))
    # What the user keeps off changes is off these as well.
    files = {path: text for path, text in files.items() if not matches(path, workspace.target.protected)}
    for path, text in files.items():
        (worktree / path).parent.mkdir(parents=True, exist_ok=True)
        (worktree / path).write_text(workspace.artifacts.redactor.text(text), encoding="utf-8")
    made = await _commit(worktree, report)
    absent = _absent(workspace, target, files)
    checks = [check async for check in _check_files(worktree, report, files) if check.name not in absent]
    tests = await run_tests(workspace, made, "handover") if made else None
    if tests is not None and tests.facts["passed_all"] == 0:
        why = f"the target's tests do not pass with these files, so they are not offered: {tests.title}"
        made, checks = None, [check.model_copy(update={"passed": False, "detail": why}) for check in checks]
    checks += [check async for check in _rehearse(workspace, base, made or head)]
    return Handover(commit=made, files=tuple(files), checks=tuple(checks), absent=absent)


def _movable(workspace: Workspace) -> Target:
    """The target as a description in another folder of the repository would have it."""
    target, config = workspace.target, workspace.config_folder.resolve()
    root = _root(workspace)
    if root is None or not needs_case(target):
        return target
    place = "{workdir}/" + config.relative_to(root).as_posix() if config != root else "{workdir}"
    return Target.model_validate_json(target.model_dump_json(by_alias=True).replace("{case}", place))


def _root(workspace: Workspace) -> Path | None:
    """The repository that the description lies in; None where it lies elsewhere."""
    folder = workspace.config_folder.resolve()
    return next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), None)


async def _surroundings(workspace: Workspace, base: str, head: str) -> Surroundings:
    clone, database = workspace.clone, workspace.target.database
    known = await paths_at(clone, head)
    wanted = [path for path in known if matches(path.rpartition("/")[2], _REQUIREMENTS) or matches(path, _REQUIREMENTS)]
    way = find_way(await paths_at(clone, base), database.migrate if database else None)
    url = database.url if database and database.url else ""
    return Surroundings(
        requirements="\n".join([await read_at(clone, head, path) for path in wanted[:20]]),
        migrations=new_migrations(way, await added_between(clone, base, head)),
        password=urlsplit(url).password or "",
    )


async def _commit(worktree: Path, report: Report) -> str | None:
    if not await changed_paths(worktree):
        return None
    body = (
        "Made by perfcrew from what it measured, so that the gain of this branch lasts: a performance test with\n"
        "thresholds and a CI step that runs it, a Grafana dashboard, Prometheus alerts, and a page that tells what\n"
        f"was changed and how to take it back. No code is touched. {report.reason}"
    )
    return await commit(worktree, f"{TITLE}\n\n{body}\n\nRoll back: revert this commit; nothing depends on it.\n", DATE)


def _absent(workspace: Workspace, target: Target, files: dict[str, str]) -> dict[str, str]:
    """What the target has no use for, or does not want."""
    absent = {}
    if places.ALERTS not in files:
        absent[ALERTS_CHECK] = absent[DASHBOARD_CHECK] = _NO_SERVER
    if not compared(target):
        absent[PERFORMANCE_CHECK] = _NOT_COMPARED
    elif commands := needs_case(target):
        why = f"{commands[0]!r} needs files beside the description, which lies outside the repository"
        absent[PERFORMANCE_CHECK] = why
    made_by = {PAGE_CHECK: places.PAGE, PERFORMANCE_CHECK: places.WORKLOAD, DASHBOARD_CHECK: places.DASHBOARD,
               ALERTS_CHECK: places.ALERTS}  # fmt: skip
    kept_off = {name: f"{path} is protected by the description" for name, path in made_by.items()
                if matches(path, workspace.target.protected)}  # fmt: skip
    return {**absent, **kept_off}


async def _check_files(worktree: Path, report: Report, files: dict[str, str]) -> AsyncIterator[Check]:
    """Each file as it lies on the branch."""
    yield _judge(PERFORMANCE_CHECK, _check_performance(worktree, files), _tell_performance(worktree, files))
    if places.DASHBOARD in files:
        text = (worktree / places.DASHBOARD).read_text(encoding="utf-8")
        problems = check_dashboard(text)
        asked = None if problems else await check_rules(as_rules(expressions_of(text)))
        told = (
            f"{places.DASHBOARD}: {text.count(chr(34) + 'gridPos' + chr(34))} panels in the form that Grafana imports"
        )
        yield _judge(DASHBOARD_CHECK, problems + (asked or []), told + _by_promtool(asked, "their queries"))
    if places.ALERTS in files:
        text = (worktree / places.ALERTS).read_text(encoding="utf-8")
        problems = check_alerts(text)
        accepted = await check_rules(text)
        told = f"{places.ALERTS}: {text.count('alert: ')} rules with thresholds from the measured result"
        yield _judge(ALERTS_CHECK, problems + (accepted or []), told + _by_promtool(accepted, "them"))
    if places.PAGE in files:
        text = (worktree / places.PAGE).read_text(encoding="utf-8")
        told = f"{places.PAGE}: the changes, their effects, and how to take them back"
        yield _judge(PAGE_CHECK, check_page(text, report), told)


def _by_promtool(asked: list[str] | None, what: str) -> str:
    return f"; {MISSING}" if asked is None else f"; promtool accepts {what}"


def _judge(name: str, problems: list[str], told: str) -> Check:
    return Check(name=name, passed=not problems, detail="; ".join(problems[:3]) if problems else told)


def _check_performance(worktree: Path, files: dict[str, str]) -> list[str]:
    """Whether our own reader takes the description, and the CI step runs it."""
    if places.PIPELINE not in files:
        problems = [f"{places.PIPELINE} is protected by the description, so no CI step runs the test"]
    else:
        problems = check_pipeline((worktree / places.PIPELINE).read_text(encoding="utf-8"))
    try:
        target, _ = load_target(worktree, worktree / places.WORKLOAD)
    except UserError as error:
        return [*problems, *str(error).replace(f"{worktree}/", "").splitlines()]
    return problems if target.goal else [*problems, "no threshold: nothing was measured that could be lost"]


def _tell_performance(worktree: Path, files: dict[str, str]) -> str:
    if places.WORKLOAD not in files:
        return ""
    text = (worktree / places.WORKLOAD).read_text(encoding="utf-8")
    told = f"{places.WORKLOAD} with {text.count('[[goal]]')} thresholds, run for each pull request by {places.PIPELINE}"
    return f"{told}; put your secrets in where it says {MASK}" if MASK in text else told


async def _rehearse(workspace: Workspace, base: str, head: str) -> AsyncIterator[Check]:
    try:
        yield await rehearse_rollback(workspace, base, head)
        if (migrations := await rehearse_migrations(workspace, base, head)) is not None:
            yield migrations
    except PerfcrewError as error:
        yield Check(name=ROLLBACK_CHECK, passed=False, detail=f"could not be rehearsed: {error}")
