"""The wiring of the recipe, with other bodies in its nodes: what runs, how often, and what a failure costs."""

import contextlib
import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from graphs.checkpoints import open_checkpoints
from graphs.engine import drive
from graphs.phase import BranchFailed, Run
from graphs.recipe import Works, build
from graphs.state import RunState, Update, start
from perfcrew.errors import InstrumentError
from perfcrew.records.events import Event
from perfcrew.records.work import Change, Criterion, Plan, PlanStep, RecipeRequest


class Watched:
    """Just enough of a crew for the wiring."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.watch = self.events.append


class Bodies:
    """Bodies that count how often they ran, and fail when told to."""

    def __init__(self, *, rounds: int = 1, keeps: bool = True, fails: dict[str, int] | None = None) -> None:
        self.ran: Counter[str] = Counter()
        self.rounds, self.keeps, self.fails = rounds, keeps, dict(fails or {})

    def _body(self, name: str, update: Any = None) -> Any:
        async def body(state: RunState, crew: Any) -> Update:
            self.ran[name] += 1
            if self.fails.get(name, 0) > 0:
                self.fails[name] -= 1
                raise InstrumentError(f"{name} broke")
            made: Update = update(state) if update else Update()
            return made

        return body

    def works(self) -> Works:
        def plan(state: RunState) -> Update:
            return Update(plans=[_plan(state["round"])])

        def code(state: RunState) -> Update:
            step = state["plans"][-1].steps[0]
            change = Change(step=step.id, title=step.title, commit="c1", kept=self.keeps, reason="because")
            return Update(changes=[change], head="c1" if self.keeps else state["head"])

        def judge(state: RunState) -> Update:
            return Update(round=state["round"] + 1) if state["round"] + 1 < self.rounds else Update()

        async def deliver(state: RunState, *, runtime: Any) -> Update:
            self.ran["report"] += 1
            return cast(Update, {"report": "the report"})

        names = ("intake", "baseline", "snapshot", "merge", "validate", "test", "secure", "approve")
        plain = {name: self._body(name) for name in names}
        return Works(
            **plain,
            design=self._body("design", plan),
            implement=self._body("implement", code),
            judge=self._body("judge", judge),
            deliver=lambda _: deliver,
        )


def _plan(number: int) -> Plan:
    step = PlanStep(
        id=f"fix:{number}", title=f"step {number}", findings=("f",), layer="database", hypothesis="h",
        metric="http.p95_ms", workload="w", predicted_ratio=2, impact="high", effort="low", risk="low",
        side_effects="", rollback="", monitoring="", test_strategy="",
    )  # fmt: skip
    criteria = (Criterion(metric="http.p95_ms", workload="w", comparison="improve_by", value=2),)
    return Plan(round=number, summary="s", steps=(step,), criteria=criteria, risks="", rollback="")


async def _run(bodies: Bodies, request: RecipeRequest | None = None) -> tuple[RunState, Watched]:
    watched = Watched()
    graph = build(InMemorySaver(), bodies.works())
    config: Any = {"configurable": {"thread_id": "t"}}
    context: Any = Run(watched, Path())  # type: ignore[arg-type]
    state = await graph.ainvoke(start(request or RecipeRequest(), "base"), config, context=context)
    return state, watched  # type: ignore[return-value]


async def test_every_phase_runs_once() -> None:
    bodies = Bodies()
    await _run(bodies)
    assert bodies.ran == Counter(
        ["intake", "baseline", "snapshot", "merge", "design", "implement", "validate", "test", "judge", "report"]
    )


async def test_security_runs_only_when_asked_for() -> None:
    bodies = Bodies()
    await _run(bodies, RecipeRequest(security=True))
    assert bodies.ran["secure"] == 1
    assert bodies.ran["judge"] == 1


async def test_nothing_kept_goes_straight_to_the_report() -> None:
    bodies = Bodies(keeps=False)
    await _run(bodies)
    assert bodies.ran["report"] == 1
    assert not bodies.ran["validate"]
    assert not bodies.ran["judge"]


async def test_another_round_plans_and_validates_again_but_measures_no_baseline() -> None:
    bodies = Bodies(rounds=3)
    state, _ = await _run(bodies)
    assert bodies.ran["design"] == bodies.ran["implement"] == bodies.ran["validate"] == bodies.ran["judge"] == 3
    assert bodies.ran["baseline"] == bodies.ran["report"] == 1
    assert [plan.round for plan in state["plans"]] == [0, 1, 2]


@pytest.mark.parametrize(("broken", "sibling"), [("baseline", "snapshot"), ("test", "validate"), ("validate", "test")])
async def test_only_the_failed_branch_runs_again(broken: str, sibling: str) -> None:
    bodies = Bodies(fails={broken: 1})
    state, watched = await _run(bodies)
    assert bodies.ran[broken] == 2
    assert bodies.ran[sibling] == 1
    assert bodies.ran["report"] == 1
    assert not any(state["failures"].values())
    assert any("broke" in event.text for event in watched.events if event.kind == "warning")


async def test_a_branch_that_fails_again_ends_the_process_but_not_the_run(tmp_path: Path) -> None:
    bodies = Bodies(fails={"baseline": 2})
    config: Any = {"configurable": {"thread_id": "t"}}
    async with open_checkpoints(tmp_path) as checkpoints:
        graph = build(checkpoints, bodies.works())
        with pytest.raises(BranchFailed, match="baseline broke"):
            await graph.ainvoke(start(RecipeRequest(), "base"), config, context=Run(Watched(), Path()))  # type: ignore[arg-type]
        # A new process: the failed branch gets a fresh try, and what its sibling did is still there.
        await graph.ainvoke(None, config, context=Run(Watched(), Path()))  # type: ignore[arg-type]
    assert bodies.ran["baseline"] == 3
    assert bodies.ran["snapshot"] == bodies.ran["intake"] == bodies.ran["report"] == 1


class Dies(BaseException):
    """Stands for `kill -9`."""


class Mortal(InMemorySaver):
    """A saver whose process dies at a checkpoint with a given number; what nodes wrote before it stays."""

    def __init__(self) -> None:
        super().__init__()
        self.left = math.inf

    async def aput(self, *given: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise Dies
        return await super().aput(*given, **named)


@pytest.mark.parametrize("dies_at", range(11))
async def test_a_run_that_dies_while_its_checkpoint_is_written_goes_on(dies_at: int) -> None:
    bodies, saver = Bodies(), Mortal()
    manifest: Any = SimpleNamespace(run_id="t", request=RecipeRequest(), base="base")

    async def work() -> RunState:
        crew: Any = SimpleNamespace(watch=lambda _: None, budget=SimpleNamespace(go_on_from=lambda _: None))
        return await drive(build(saver, bodies.works()), manifest, Run(crew, Path()), None)

    saver.left = dies_at
    with contextlib.suppress(Dies):
        await work()
    assert saver.left < 0, "it never came so far"
    saver.left = math.inf
    assert (await work())["report"] == "the report"
    assert set(bodies.ran.values()) == {1}, bodies.ran


async def test_state_survives_a_checkpoint_in_sqlite_with_its_types(tmp_path: Path) -> None:
    bodies = Bodies()
    config: Any = {"configurable": {"thread_id": "t"}}
    async with open_checkpoints(tmp_path) as checkpoints:
        graph = build(checkpoints, bodies.works())
        await graph.ainvoke(start(RecipeRequest(), "base"), config, context=Run(Watched(), Path()))  # type: ignore[arg-type]
    async with open_checkpoints(tmp_path) as checkpoints:
        values = (await build(checkpoints, bodies.works()).aget_state(config)).values
    assert isinstance(values["plans"][0], Plan)
    assert isinstance(values["changes"][0], Change)
    assert isinstance(values["plans"][0].steps, tuple)
    assert values["board"]["performance_baseline-0"].status == "DONE"


def test_the_documented_diagram_names_every_node() -> None:
    import graphs.recipe

    drawn = build(works=Bodies().works()).get_graph().draw_mermaid()
    for name in build(works=Bodies().works()).get_graph().nodes:
        if not name.startswith("__"):
            assert name in drawn
            assert name in (graphs.recipe.__doc__ or "")
