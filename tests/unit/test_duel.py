import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_server import Answer, SmallArm, serve
from target_repo import PYTHON, make_workspace

from perfcrew.duel_stats import beside_effects, duel_effects
from perfcrew.errors import InstrumentError
from perfcrew.records.target import Workload
from perfcrew.stats import recompute
from tools import generator, git
from tools.duel import QUICK, Duel, Protocol, floors_of, run_duel
from tools.load import measure_load
from tools.workspace import Workspace

BASE, CANDIDATE = "b" * 40, "c" * 40
FAST = Protocol(
    name="fast", looks=(2, 3), shares=(0.5, 0.5), round_s=0.05, load_s=0.3, min_rounds=3, max_rounds=3, limit_s=30.0
)
WORKLOAD = Workload.model_validate(
    {"name": "w", "users": 2, "params": {"n": list(range(100))}, "request": [{"path": "/{n}"}]}
)


class Stable:
    """Starts small servers as arms, and remembers them."""

    def __init__(self, **cpu_ms: float) -> None:
        self.cpu_ms = cpu_ms
        self.statuses = {"duel-base": 200, "duel-candidate": 200}
        self.growth_mb = 0.0
        self.running: set[str] = set()
        self.arms: list[SmallArm] = []
        self.together = 0

    @asynccontextmanager
    async def start(
        self, workspace: Workspace, commit: str, name: str, *, worktree: Path | None = None,
        cpus: frozenset[int] | None = None,
    ) -> AsyncIterator[SmallArm]:  # fmt: skip
        async def answer(method: str, path: str, body: bytes) -> Answer:
            return self.statuses[name], b"x" * 50

        async with serve(answer, name) as arm:
            arm.cpu_ms = self.cpu_ms.get(name.removeprefix("duel-"), 2.0)
            arm.growth_mb = self.growth_mb
            self.arms.append(arm)
            self.running.add(name)
            self.together = max(self.together, len(self.running))
            try:
                yield arm
            finally:
                self.running.discard(name)


async def count(workspace: Workspace, commit: str, workload: Workload, worktree: Path | None) -> dict[str, list[float]]:
    return {"db.queries_per_request": [45.0 if commit == BASE else 3.0], "http.bytes_per_response": [50.0]}


@pytest.fixture(autouse=True)
def short_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "WARM_UP_S", 0.05)


@pytest.fixture
async def workspace(tmp_path: Path) -> Workspace:
    return await make_workspace(tmp_path, {"a.txt": "a"}, {})


async def duel(workspace: Workspace, stable: Stable, candidate: str = CANDIDATE, **more: Any) -> Duel:
    return await run_duel(
        workspace, BASE, candidate, WORKLOAD,
        **{"name": "n", "protocol": FAST, "floors": {}, "start": stable.start, "count": count, **more},
    )  # fmt: skip


async def test_cheaper_requests_are_found_and_computed_again(workspace: Workspace) -> None:
    stable = Stable(base=2.0, candidate=1.0)
    outcome = await duel(workspace, stable)
    effects = {effect.metric: effect for effect in outcome.effects}
    cpu = effects["cpu.ms_per_request"]
    assert (cpu.outcome, cpu.base, cpu.candidate) == ("improved", pytest.approx(2.0), pytest.approx(1.0))
    assert effects["db.queries_per_request"].ratio == 15
    raw = workspace.artifacts.get_json(outcome.samples)
    assert duel_effects(raw) == outcome.effects
    for measurement in outcome.measurements:
        assert recompute(measurement.method, raw) == measurement.value
    assert len({measurement.id for measurement in outcome.measurements}) == len(outcome.measurements)
    assert outcome.digest.splitlines()[0].startswith("w: response time, P95 from")
    assert outcome.evidence.id == "duel@w/n"


async def test_both_arms_run_at_once_and_are_asked_the_same_by_turns(workspace: Workspace) -> None:
    stable = Stable(base=2.0, candidate=1.0)
    outcome = await duel(workspace, stable)
    assert stable.together == 2 and not stable.running
    cells = workspace.artifacts.get_json(outcome.samples)["cells"]
    first = [cell["arm"] for cell in cells if cell["order"] == 0]
    rounds = [(cell["start"], cell["round"]) for cell in cells if cell["order"] == 0]
    assert first == [("base", "candidate")[(start + number) % 2] for start, number in rounds]
    for base, candidate in zip(*[[arm for arm in stable.arms if arm.name == f"duel-{side}"]
                                 for side in ("base", "candidate")], strict=True):  # fmt: skip
        least = min(len(base.asked), len(candidate.asked))
        # Warm-up and the first round start from the same seeds, whoever is the faster.
        assert {line for line, _ in base.asked[:10]} & {line for line, _ in candidate.asked[:10]}
        assert least > 10


async def test_a_clear_duel_stops_early_and_an_unclear_one_goes_on(workspace: Workspace) -> None:
    clear = await duel(workspace, Stable(base=4.0, candidate=1.0))
    raw = workspace.artifacts.get_json(clear.samples)
    assert len({cell["start"] for cell in raw["cells"]}) in FAST.looks
    strict = FAST.model_copy(update={"thorough": True, "matter": 1e-6})
    unclear = await duel(workspace, Stable(), protocol=strict)
    raw = workspace.artifacts.get_json(unclear.samples)
    assert len({cell["start"] for cell in raw["cells"]}) == FAST.looks[-1]


async def test_no_start_is_begun_beyond_the_limit(workspace: Workspace) -> None:
    strict = FAST.model_copy(update={"thorough": True, "matter": 1e-6, "limit_s": 0.001})
    short = await duel(workspace, Stable(), protocol=strict)
    raw = workspace.artifacts.get_json(short.samples)
    assert len({cell["start"] for cell in raw["cells"]}) == FAST.looks[0]


async def test_floors_travel_in_the_raw_file(workspace: Workspace) -> None:
    outcome = await duel(workspace, Stable(base=2.0, candidate=1.8), floors={"cpu.ms_per_request": 0.5})
    cpu = next(effect for effect in outcome.effects if effect.metric == "cpu.ms_per_request")
    assert (cpu.floor, cpu.outcome) == (0.5, "no_significant_change")


async def test_noise_of_equal_arms_gives_floors(workspace: Workspace) -> None:
    outcome = await duel(workspace, Stable(), candidate=BASE)
    floors = floors_of(workspace, outcome)
    assert floors_of(workspace, None) == {}
    assert floors["cpu.ms_per_request"] == pytest.approx(0.01)
    assert next(effect for effect in outcome.effects if effect.metric == "db.queries_per_request").ratio == 1


WRITING = Workload.model_validate(
    {"name": "writing", "users": 2, "request": [{"path": "/r"}, {"path": "/w", "method": "POST", "json": {}}]}
)


async def test_other_workloads_are_watched_in_the_same_starts(workspace: Workspace) -> None:
    stable = Stable(base=2.0, candidate=1.0)
    protocol = FAST.model_copy(update={"beside_s": 0.1})
    outcome = await duel(workspace, stable, protocol=protocol, beside=(WRITING,))
    assert stable.together == 2
    assert {effect.workload for effect in outcome.beside} == {"writing"}
    assert {effect.metric for effect in outcome.beside} == {"http.p99_ms", "http.writes_per_s", "http.error_rate"}
    raw = workspace.artifacts.get_json(outcome.samples)
    assert beside_effects(raw) == outcome.beside and duel_effects(raw) == outcome.effects
    other = raw["beside"]["writing"]
    assert {cell["start"] for cell in other["cells"]} == {cell["start"] for cell in raw["cells"]}
    assert 0 < sum(cell["writes"] for cell in other["cells"]) < sum(cell["requests"] for cell in other["cells"])
    assert sum(cell["writes"] for cell in raw["cells"]) == 0
    for measurement in outcome.measurements:
        assert recompute(measurement.method, raw) == measurement.value
    assert len({measurement.id for measurement in outcome.measurements}) == len(outcome.measurements)
    assert "guard of writing: " in outcome.digest


async def test_rounds_are_long_enough_for_percentiles_and_no_longer(workspace: Workspace) -> None:
    protocol = QUICK.model_copy(update={"round_s": 0.02, "longest_s": 0.3})
    assert [protocol.round_for(rate) for rate in (0.0, 1e6, 140.0, 1.0)] == pytest.approx([0.02, 0.02, 0.1, 0.3])
    assert protocol.for_family(4).alpha == pytest.approx(QUICK.alpha / 4)
    outcome = await duel(workspace, Stable(), protocol=FAST.model_copy(update={"samples": 10_000, "longest_s": 0.2}))
    cells = workspace.artifacts.get_json(outcome.samples)["cells"]
    assert min(cell["seconds"] for cell in cells) >= 0.19


async def test_memory_is_not_read_after_each_short_round(workspace: Workspace) -> None:
    many = FAST.model_copy(update={"min_rounds": 14, "max_rounds": 14})
    outcome = await duel(workspace, Stable(), protocol=many)
    cells = workspace.artifacts.get_json(outcome.samples)["cells"]
    assert {cell["round"] for cell in cells if "uss_mb" in cell} == {0, 12, 13}


async def test_a_generator_that_was_the_bottleneck_makes_latencies_doubtful(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator.Round, "faults", property(lambda seen: ("it used its whole core",)))
    outcome = await duel(workspace, Stable())
    doubts = {measurement.metric: measurement.doubt for measurement in outcome.measurements}
    assert "it used its whole core" in doubts["http.p95_ms"] and not doubts["cpu.ms_per_request"]
    assert "\ndoubtful: in " in outcome.digest


async def test_a_candidate_that_fails_from_the_start_is_refused(workspace: Workspace) -> None:
    stable = Stable()
    stable.statuses["duel-candidate"] = 500
    with pytest.raises(InstrumentError, match="status 500"):
        await duel(workspace, stable)
    assert not stable.running


async def test_growth_by_request_is_not_held_against_the_faster(workspace: Workspace) -> None:
    stable = Stable(base=2.0, candidate=1.0)
    stable.growth_mb = 0.05
    outcome = await duel(workspace, stable)
    memory = next(effect for effect in outcome.effects if effect.metric == "memory.peak_mb")
    assert memory.ratio == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("promising", "starts"), [(True, 4), (False, 2)])
async def test_what_looks_better_gets_more_time_at_looks_only(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, promising: bool, starts: int
) -> None:
    monkeypatch.setattr("tools.duel.is_promising", lambda *_, **__: promising)
    monkeypatch.setattr("tools.duel.is_clear", lambda *_, **__: False)
    patient = FAST.model_copy(update={"looks": (2, 4), "limit_s": 0.001, "patience": 1e6})
    outcome = await duel(workspace, Stable(base=2.0, candidate=1.0), protocol=patient)
    assert len(workspace.artifacts.get_json(outcome.samples)["starts"]) == 2 * starts


async def test_counts_of_a_commit_are_taken_once_and_of_a_worktree_each_time(workspace: Workspace) -> None:
    taken: list[str] = []

    async def counting(*given: Any) -> dict[str, list[float]]:
        taken.append(given[1])
        return await count(*given)

    short = FAST.model_copy(update={"looks": (2,), "shares": (1.0,), "min_rounds": 1, "max_rounds": 1})
    for _ in range(2):
        await duel(workspace, Stable(), count=counting, protocol=short)
    assert taken == [BASE, CANDIDATE]
    await duel(workspace, Stable(), count=counting, protocol=short, candidate_worktree=workspace.folder)
    assert taken == [BASE, CANDIDATE, CANDIDATE]


async def test_an_arm_that_does_not_start_stops_the_other(workspace: Workspace) -> None:
    stable = Stable()

    @asynccontextmanager
    async def start(workspace: Workspace, commit: str, name: str, **more: Any) -> AsyncIterator[SmallArm]:
        if name == "duel-candidate":
            raise InstrumentError("arm duel-candidate: it ended with exit code 1")
        async with stable.start(workspace, commit, name) as arm:
            yield arm

    with pytest.raises(InstrumentError, match="exit code 1"):
        await duel(workspace, stable, start=start)
    assert stable.arms and not stable.running


async def test_a_cancelled_duel_leaves_nothing_running(workspace: Workspace) -> None:
    stable = Stable()
    task = asyncio.create_task(duel(workspace, stable, protocol=QUICK))
    while len(stable.running) < 2:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stable.arms and not stable.running


def test_rounds_fit_the_load_and_are_never_two() -> None:
    protocol = Protocol(name="p", looks=(3,), shares=(1.0,), load_s=5.0, limit_s=60, max_rounds=6)
    assert [protocol.rounds_for(pair_s) for pair_s in (0.5, 1.0, 1.7, 2.2, 2.4, 2.6, 5.0, 60.0)] == [
        6, 5, 3, 3, 1, 1, 1, 1,
    ]  # fmt: skip
    assert protocol.model_copy(update={"min_rounds": 3}).rounds_for(60.0) == 3


@pytest.mark.parametrize(
    "wrong",
    [{"looks": (3, 3)}, {"looks": (1, 3)}, {"shares": (0.5,)}, {"shares": (0.7, 0.2, 0.2)}, {"min_rounds": 41}],
)
def test_protocols_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Protocol.model_validate({**QUICK.model_dump(), **wrong})


SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORK = 4000

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = str(sum(i * i for i in range(WORK))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
COMMAND = "import time\nsum(i * i for i in range(WORK))\n"


async def _commit(workspace: Workspace, name: str, text: str) -> str:
    folder = workspace.worktrees / "work"
    await git.checkout(workspace.clone, workspace.base_commit, folder)
    (folder / name).write_text(text)
    return await git.commit(folder, "Change", "2025-01-02T00:00:00Z")


@pytest.mark.app
async def test_a_duel_of_real_servers(tmp_path: Path) -> None:
    target = {"target": {"start": f"{PYTHON} server.py {{port}}"}}
    workspace = await make_workspace(tmp_path, {"server.py": SERVER}, target)
    better = await _commit(workspace, "server.py", SERVER.replace("4000", "400"))
    load = workspace.target.primary
    outcome = await run_duel(
        workspace, workspace.base_commit, better, load,
        name="real", protocol=QUICK.shortened(), floors={}, count=count,
    )  # fmt: skip
    # Whether it is significant depends on what else the machine does; the CPU time itself hardly does.
    effects = {effect.metric: effect for effect in outcome.effects}
    assert effects["cpu.ms_per_request"].ratio > 1.2, outcome.digest
    assert 2 < effects["memory.peak_mb"].base < 100
    assert effects["http.error_rate"].candidate == 0
    assert 0 < effects["start.seconds"].base < 30
    assert duel_effects(workspace.artifacts.get_json(outcome.samples)) == outcome.effects


@pytest.mark.app
async def test_a_duel_of_commands(tmp_path: Path) -> None:
    slow, fast = (COMMAND.replace("WORK", str(work)) for work in (1_500_000, 150_000))
    workload = {"name": "bench", "kind": "command", "command": f"{PYTHON} bench.py"}
    workspace = await make_workspace(tmp_path, {"bench.py": slow}, {"workload": (workload,)})
    better = await _commit(workspace, "bench.py", fast)
    protocol = QUICK.shortened().model_copy(update={"looks": (3,), "shares": (1.0,)})
    outcome = await run_duel(
        workspace, workspace.base_commit, better, workspace.target.primary,
        name="bench", protocol=protocol, floors={},
    )  # fmt: skip
    effects = {effect.metric: effect for effect in outcome.effects}
    assert set(effects) >= {"command.seconds", "cpu.ms_per_request", "http.error_rate"}
    assert effects["cpu.ms_per_request"].ratio > 1.5, outcome.digest
    assert effects["command.seconds"].base > 0
    raw = workspace.artifacts.get_json(outcome.samples)
    assert duel_effects(raw) == outcome.effects


@pytest.mark.app
async def test_load_of_a_command_and_its_failure(tmp_path: Path) -> None:
    from tools.arm import start_arm

    workload = {"name": "bench", "kind": "command", "command": f"{PYTHON} bench.py"}
    workspace = await make_workspace(tmp_path, {"bench.py": "sum(range(10))"}, {"workload": (workload,)})
    async with start_arm(workspace, workspace.base_commit, "base") as arm:
        evidence = await measure_load(workspace, arm, workspace.target.primary, seconds=0.2)
        assert {measurement.id for measurement in evidence.measurements} == {"seconds@bench/base", "cpu@bench/base"}
        assert evidence.artifact is not None
        raw = workspace.artifacts.get_json(evidence.artifact)
        for measurement in evidence.measurements:
            assert recompute(measurement.method, raw) == measurement.value > 0
        broken = workspace.target.primary.model_copy(update={"command": f"{PYTHON} absent.py"})
        with pytest.raises(InstrumentError, match=r"absent\.py"):
            await measure_load(replace(workspace), arm, broken, seconds=0.2)
