"""The plan of instruments: what is measured on which workload, and what becomes of a measurement that fails."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from graphs import measuring
from graphs.instruments import Follow, Step
from graphs.measuring import KINDS, plan_steps, take_all
from perfcrew.errors import InstrumentError, ReplayMiss
from perfcrew.records.evidence import Evidence
from perfcrew.records.target import Target
from tools.workspace import Workspace

HTTP = {"name": "home", "request": ({"path": "/"},)}
OTHER = {"name": "search", "request": ({"path": "/s"},)}
COMMAND = {"name": "batch", "kind": "command", "command": "true"}
PAGE = {"name": "start", "kind": "page", "page": {"path": "/"}}


def target(*workloads: dict[str, Any], database: bool = False) -> Target:
    more = {"database": {"engine": "sqlite"}} if database else {}
    return Target.model_validate({"target": {"name": "app", "start": "true"}, "workload": workloads, **more})


def planned(described: Target, **how: Any) -> list[str]:
    return [f"{step.kind}@{workload.name}" for step, workload in plan_steps(described, **how)]


def test_a_models_baseline_takes_what_it_always_took() -> None:
    assert planned(target(HTTP, OTHER, COMMAND, database=True), deep=False) == [
        "load@home", "queries@home", "cpu@home", "memory@home", "payload@home", "load@search", "load@batch",
        "queries@search",
    ]  # fmt: skip


def test_a_measure_takes_more_but_nothing_that_takes_minutes() -> None:
    shallow, deep = planned(target(HTTP, database=True), deep=False), planned(target(HTTP, database=True), deep=True)
    assert set(shallow) < set(deep)
    assert "capacity@home" not in deep
    assert planned(target(HTTP), deep=True, only=["capacity"]) == ["capacity@home"]


def test_a_measure_looks_at_the_responses_and_the_cpu_of_every_workload() -> None:
    others = {name.partition("@")[0] for name in planned(target(HTTP, OTHER), deep=True) if name.endswith("@search")}
    assert others == {"load", "queries", "cpu", "payload"}


def test_each_workload_gets_what_fits_it() -> None:
    assert planned(target(COMMAND), deep=True) == ["load@batch"]
    found = planned(target(PAGE, HTTP), deep=True)
    assert "vitals@start" in found and "load@home" in found and "load@start" not in found


def test_what_builds_on_queries_takes_them_along() -> None:
    assert planned(target(HTTP, database=True), deep=True, only=["explain"]) == ["queries@home"]


def test_every_kind_can_be_named() -> None:
    assert len(KINDS) == len(set(KINDS))
    for kind in KINDS:
        assert planned(target(HTTP, PAGE, database=True), deep=True, only=[kind]) or kind in ("pool", "round_trips")


def evidence(kind: str, **facts: Any) -> Evidence:
    return Evidence(id=f"{kind}@home/base", kind=kind, title=kind, digest="", facts=facts)


class Bench:
    """Instruments that give what they are told to, and what was said meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, found: dict[str, Evidence | Exception]) -> None:
        self.found, self.said = found, list[tuple[str, str]]()
        runtimes = {"allocations": "python", "heap": "node"}
        steps = [Step(kind, self._instrument(kind), runtime=runtimes.get(kind, "")) for kind in found]
        monkeypatch.setattr(measuring, "STEPS", tuple(step for step in steps if step.kind != "explain"))
        follow = Follow("explain", "queries", cast(Any, self._instrument("explain")))
        monkeypatch.setattr(measuring, "FOLLOWS", (follow,))

    def _instrument(self, kind: str) -> Any:
        async def take(*_: Any) -> Evidence:
            given = self.found[kind]
            if isinstance(given, Exception):
                raise given
            return given

        return take

    async def run(self) -> tuple[list[str], list[str]]:
        async def take(_: str, run: Callable[[], Awaitable[Evidence]]) -> Evidence:
            return await run()

        class Stand:
            target = globals()["target"](HTTP)

        workspace = cast(Workspace, Stand())
        tell = lambda kind, text: self.said.append((kind, text))  # noqa: E731  a named one says no more
        taken, notes = await take_all(workspace, "c", "base", take, tell, deep=True)
        return [item.kind for item in taken], notes


async def test_what_fails_is_noted_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(
        monkeypatch,
        {"load": evidence("load"), "cpu": InstrumentError("py-spy is missing"), "memory": ReplayMiss("not recorded"),
         "queries": evidence("queries"), "explain": evidence("explain")},
    )  # fmt: skip
    assert await bench.run() == (
        ["load", "queries", "explain"],
        ["cpu@home/base: py-spy is missing", "memory@home/base: not recorded"],
    )
    assert ("warning", "cpu@home/base: py-spy is missing") in bench.said
    assert [kind for kind, _ in bench.said].count("tool") == 5


async def test_one_cause_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [InstrumentError("no Chromium: install it") for _ in range(2)]
    bench = Bench(
        monkeypatch,
        {"vitals": missing[0], "bundle": missing[1], "cpu": InstrumentError("no py-spy"), "load": evidence("load")},
    )
    taken, notes = await bench.run()
    assert taken == ["load"]
    assert notes == ["vitals@home/base, bundle@home/base: no Chromium: install it", "cpu@home/base: no py-spy"]
    assert [text for kind, text in bench.said if kind == "warning"] == [
        "vitals@home/base: no Chromium: install it", "cpu@home/base: no py-spy",
    ]  # fmt: skip


@pytest.mark.parametrize(("heard", "explained"), [(True, ["base", "b/base", "c/base", "d/base"]), (False, ["base"])])
async def test_a_model_hears_of_the_statements_of_several_workloads(heard: bool, explained: list[str]) -> None:
    taken: list[str] = []

    async def take(key: str, _: Callable[[], Awaitable[Evidence]]) -> Evidence:
        kind, _, where = key.partition("@")
        taken.append(key)
        return Evidence(id=f"{kind}@{where}", kind=kind, title=kind, digest="")

    workloads = [{**HTTP, "name": name} for name in "abcde"]
    workspace = cast(Workspace, SimpleNamespace(target=target(*workloads, database=True)))
    await take_all(workspace, "c", "base", take, lambda kind, text: None, deep=False, also=lambda key: heard)
    assert [key for key in taken if key.startswith("explain")] == [f"explain@{where}" for where in explained]


async def test_without_queries_nothing_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, {"queries": InstrumentError("no trace"), "explain": evidence("explain")})
    assert await bench.run() == ([], ["queries@home/base: no trace"])


@pytest.mark.parametrize(
    ("runtime", "taken"), [("python", ["allocations"]), ("node", ["heap"]), (None, ["allocations", "heap"])]
)
async def test_servers_of_another_runtime_are_passed_over(
    monkeypatch: pytest.MonkeyPatch, runtime: str | None, taken: list[str]
) -> None:
    found: dict[str, Evidence | Exception] = {
        "start": evidence("start", runtime=runtime), "allocations": evidence("allocations"), "heap": evidence("heap"),
    }  # fmt: skip
    assert await Bench(monkeypatch, found).run() == (["start", *taken], [])


async def test_a_bug_in_an_instrument_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        await Bench(monkeypatch, {"load": ZeroDivisionError()}).run()
