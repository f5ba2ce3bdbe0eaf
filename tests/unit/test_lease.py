"""One holder at a time, over tasks and processes; taken again without waiting by who has it."""

import asyncio
import contextvars
import os
import sys
from pathlib import Path

import pytest

from perfcrew.artifacts import Artifacts
from perfcrew.records.target import HttpRequest, Settings, Target, Workload
from tools import lease
from tools.lease import TURNS, Turns, locked, quiet_lease
from tools.process import start
from tools.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    target = Target(
        target=Settings(name="app", start="true"),
        workload=(Workload(name="home", request=(HttpRequest(path="/"),)),),
    )
    return Workspace(
        run_id="run", folder=tmp_path / "run", home=tmp_path / "home", target=target, base_commit="",
        artifacts=Artifacts(tmp_path / "artifacts"), environment="",
    )  # fmt: skip


async def test_one_holder_at_a_time(workspace: Workspace) -> None:
    inside: list[int] = []
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        async with quiet_lease(workspace):
            inside.append(number)
            most = max(most, len(inside))
            await asyncio.sleep(0.01)
            inside.remove(number)

    await asyncio.gather(*(work(number) for number in range(6)))
    assert most == 1


async def test_the_holder_and_its_tasks_may_take_it_again(workspace: Workspace) -> None:
    async def nested() -> bool:
        async with quiet_lease(workspace):
            return True

    async with asyncio.timeout(10), quiet_lease(workspace), quiet_lease(workspace):
        assert await nested()
        assert await asyncio.create_task(nested())


async def test_a_task_that_outlives_the_lease_waits_like_others(workspace: Workspace) -> None:
    release, order = asyncio.Event(), []

    async def late() -> None:
        await release.wait()
        async with quiet_lease(workspace):
            order.append("late")

    async with quiet_lease(workspace):
        child = asyncio.create_task(late())
        await asyncio.sleep(0)

    async def other() -> None:
        async with quiet_lease(workspace):
            release.set()
            await asyncio.sleep(0.1)
            order.append("other")

    await asyncio.gather(other(), child)
    assert order == ["other", "late"]


async def test_cancelled_waiting_and_errors_leave_it_free(workspace: Workspace) -> None:
    async def wait() -> None:
        async with quiet_lease(workspace):
            pytest.fail("it is held")

    with pytest.raises(RuntimeError, match="inside"):
        async with quiet_lease(workspace):
            # In a context without the holder's mark, as a task of another branch would be.
            waiter = asyncio.get_running_loop().create_task(wait(), context=contextvars.Context())
            await asyncio.sleep(0.05)
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            raise RuntimeError("inside")
    async with asyncio.timeout(10), quiet_lease(workspace):
        pass


async def test_a_killed_holder_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom tools.lease import locked\n"
        "async def main():\n  async with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n"
        "    await asyncio.sleep(600)\nasyncio.run(main())"
    )
    holder = await start(
        [sys.executable, "-c", script, str(path)],
        cwd=Path(__file__).parents[2], environment={"PATH": os.defpath}, log=tmp_path / "log",
    )  # fmt: skip
    async with asyncio.timeout(30):
        while "held" not in (tmp_path / "log").read_text():
            assert holder.alive, (tmp_path / "log").read_text()
            await asyncio.sleep(0.01)

    async def take() -> None:
        async with locked(path):
            pass

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(take(), 0.2)
    await holder.stop(grace_s=0)
    await asyncio.wait_for(take(), 10)


async def test_a_job_counts_only_what_it_waits_for_another_one(workspace: Workspace) -> None:
    held, asked = asyncio.Event(), asyncio.Event()

    async def hold(turns: Turns) -> None:
        TURNS.set(turns)
        async with quiet_lease(workspace):
            held.set()
            await asked.wait()
            await asyncio.sleep(0.1)

    async def want(turns: Turns) -> None:
        TURNS.set(turns)
        await held.wait()
        asked.set()
        async with quiet_lease(workspace):
            pass

    one, other = Turns(), Turns()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for work in (hold(one), want(one), want(other), want(other), want(other)):
            group.create_task(work)
    assert other.blocked_s > 0.0


def test_branches_that_wait_at_once_count_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [10.0]
    monkeypatch.setattr(lease.time, "monotonic", lambda: clock[0])
    path, turns = workspace.home / "quiet.lease", Turns()
    monkeypatch.setitem(lease._holders, path, Turns())
    for now, began in ((12.0, 10.0), (12.5, 10.5), (13.0, 12.5), (20.0, 19.0)):
        clock[0] = now
        turns.wait(path, began)
    assert turns.blocked_s == 4.0
    monkeypatch.setitem(lease._holders, path, turns)
    clock[0] = 30.0
    turns.wait(path, 21.0)
    assert turns.blocked_s == 4.0
