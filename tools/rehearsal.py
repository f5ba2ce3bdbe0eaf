"""Rehearsing the way back: commits reverted in turn, tests in between, migrations down and up again on a copy."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from perfcrew.errors import InstrumentError, UserError
from perfcrew.records.evidence import Check
from perfcrew.records.target import Database
from perfcrew.report.gates import MIGRATION_CHECK, ROLLBACK_CHECK
from tools.database import MIGRATE_S, DataCopy, copy_data
from tools.environment import prepare_environment
from tools.git import worktree_of
from tools.git_history import added_between, paths_at, same_files, undo_each
from tools.launch import Place, link_packages, network_for, run_at
from tools.lease import quiet_lease
from tools.migrations import Way, back_commands, find_down, find_way, new_migrations, version_of
from tools.schema import Shape, differ, read_shape, run_script
from tools.target_tests import run_tests
from tools.workspace import Workspace


async def rehearse_rollback(workspace: Workspace, base: str, head: str) -> Check:
    """Take back each commit of a branch, the newest first, and run the target's tests after each.

    What has passed before with the same files is not tested again.
    """
    steps = await undo_each(workspace.clone, base, head)
    tested = 0
    for step in steps:
        if step.commit is None:
            return _refused(ROLLBACK_CHECK, f"{step.title!r} can't be reverted without a conflict")
        tests = await run_tests(workspace, step.commit, "rollback")
        if tests.facts["passed_all"] == 0:
            return _refused(ROLLBACK_CHECK, f"with {step.title!r} taken back the {tests.title}")
        tested += tests.facts["passed_all"] == 1
    if not steps or not steps[-1].commit or not await same_files(workspace.clone, steps[-1].commit, base):
        return _refused(ROLLBACK_CHECK, "reverting every commit does not give the base's files")
    told = f"{len(steps)} commits reverted in turn, the newest first, down to the base's files"
    return Check(name=ROLLBACK_CHECK, passed=True, detail=f"{told}; {_tell_tests(tested)}")


def _tell_tests(tested: int) -> str:
    return f"the tests passed after each ({tested})" if tested else "the target has no tests to run after each"


def _refused(name: str, why: str) -> Check:
    return Check(name=name, passed=False, detail=why)


@dataclass(frozen=True)
class _Stage:
    """A copy of the data with a branch's schema."""

    workspace: Workspace
    database: Database
    way: Way
    new: tuple[str, ...]
    folder: Path
    """Checkout of the branch."""
    data: DataCopy

    async def read(self) -> Shape:
        return await asyncio.to_thread(read_shape, self.database.engine, self.data.url)


async def rehearse_migrations(workspace: Workspace, base: str, head: str) -> Check | None:
    """Take a copy of the data down to the base's schema and up again; None where the branch has no new migration."""
    database = workspace.target.database
    way = find_way(await paths_at(workspace.clone, base), database.migrate if database else None)
    new = new_migrations(way, await added_between(workspace.clone, base, head))
    if not new:
        return None
    if way is None or database is None:
        why = "new migrations, but the description has no [database] to try them on"
        return _refused(MIGRATION_CHECK, why)
    try:
        async with quiet_lease(workspace):
            return await _rehearse(workspace, (base, head), database, way, new)
    except (InstrumentError, UserError) as error:
        return _refused(MIGRATION_CHECK, str(error))


async def _rehearse(
    workspace: Workspace, commits: tuple[str, str], database: Database, way: Way, new: tuple[str, ...]
) -> Check:
    wanted = await _shape_at(workspace, commits[0], database)
    folder = await worktree_of(workspace, commits[1])
    data = await copy_data(workspace, "migrations", folder)
    try:
        stage = _Stage(workspace, database, way, new, folder, data)
        up = await stage.read()
        scripted = await _go_down(stage)
        down = await stage.read()
        if differences := differ(down, wanted):
            told = f"after going down the schema is not the base's: {differences[0]}"
            return _refused(MIGRATION_CHECK, told)
        await _go_up(stage, scripted)
        again = await stage.read()
    finally:
        await data.drop()
    if differences := differ(again, up):
        return _refused(MIGRATION_CHECK, f"after going up again the schema is another: {differences[0]}")
    rows = sum(down.rows.values())
    detail = f"{way.tool}: {', '.join(new)} taken down and up again on a copy of the data, {rows:,} rows kept"
    return Check(name=MIGRATION_CHECK, passed=True, detail=detail)


async def _shape_at(workspace: Workspace, commit: str, database: Database) -> Shape:
    data = await copy_data(workspace, "schema", await worktree_of(workspace, commit), commit=commit)
    try:
        return await asyncio.to_thread(read_shape, database.engine, data.url)
    finally:
        await data.drop()


async def _go_down(stage: _Stage) -> bool:
    """Whether scripts did it, so that the tool's books do not know of it."""
    database, way = stage.database, stage.way
    if database.rollback:
        await _command(stage, database.rollback)
        return False
    if commands := back_commands(way, database.migrate, stage.new):
        for command in commands:
            await _command(stage, command)
        return False
    known = {path for path in stage.new if (stage.folder / path).is_file()}
    for path in sorted(known, reverse=True):
        script = find_down(path, _beside(stage.folder, path))
        if script is None:
            raise InstrumentError(f"{path}: {way.tool} gives no way back; set [database] rollback to its command")
        text = (stage.folder / script).read_text(encoding="utf-8")
        await asyncio.to_thread(run_script, database.engine, stage.data.url, text)
    return True


def _beside(folder: Path, path: str) -> set[str]:
    near = (folder / path).parent
    return {file.relative_to(folder).as_posix() for place in (near, near.parent / "down") if place.is_dir()
            for file in place.iterdir()}  # fmt: skip


async def _go_up(stage: _Stage, scripted: bool) -> None:
    if not scripted and stage.database.migrate:
        await _command(stage, stage.database.migrate)
        return
    for path in stage.new:
        text = (stage.folder / path).read_text(encoding="utf-8")
        await asyncio.to_thread(run_script, stage.database.engine, stage.data.url, text)


async def _command(stage: _Stage, command: str) -> None:
    env = await prepare_environment(stage.workspace)
    link_packages(env, stage.folder)
    place = Place(env, stage.folder, stage.data.scratch, stage.data.folder, stage.data.url)
    extra = {"version": version_of(stage.way.newest)} if stage.way.newest else {"version": "0"}
    done = await run_at(
        stage.workspace,
        place,
        command,
        timeout=MIGRATE_S,
        network=network_for(stage.workspace, stage.data.url),
        extra=extra,
    )
    if not done.ok:
        why = "took too long" if done.timed_out else f"exit {done.code}: {done.last_line}"
        raise InstrumentError(f"{command!r} failed: {why}")
