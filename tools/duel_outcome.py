"""What a duel says: its record, with figures that can be computed again and a digest to read."""

from typing import Any

from perfcrew.duel_rounds import latency_doubt, start_numbers
from perfcrew.duel_stats import beside_effects
from perfcrew.held_out import held_out_checks
from perfcrew.records.base import ArtifactRef, Record
from perfcrew.records.evidence import Check, Effect, Evidence, Measurement
from perfcrew.verdict import describe
from tools.workspace import Workspace

SIDES = ("base", "candidate")
_SHORT = {"http.p50_ms": "p50", "http.p95_ms": "p95", "cpu.ms_per_request": "cpu", "db.queries_per_request": "queries"}


class Duel(Record):
    """A duel's outcome by metric, with the raw file that it can be computed from again."""

    name: str
    workload: str
    base: str
    candidate: str
    effects: tuple[Effect, ...]
    samples: ArtifactRef
    digest: str
    """The first line is a headline."""
    measurements: tuple[Measurement, ...]
    beside: tuple[Effect, ...] = ()
    """Guards of the other workloads that were loaded in the same starts: see `perfcrew.verdict.guard_checks`."""
    checks: tuple[Check, ...] = ()
    """What its held-out part gives: see `perfcrew.held_out`."""

    @property
    def evidence(self) -> Evidence:
        """The duel as evidence to cite."""
        return Evidence(
            id=f"duel@{self.workload}/{self.name}", kind="duel", title=self.digest.splitlines()[0], digest=self.digest,
            measurements=self.measurements, artifact=self.samples,
            facts={effect.metric: effect.ratio for effect in self.effects},
        )  # fmt: skip


def conclude_duel(workspace: Workspace, raw: dict[str, Any], effects: tuple[Effect, ...]) -> Duel:
    """Store a raw duel and say what it shows."""
    samples = workspace.artifacts.put_json(raw)
    beside = beside_effects(raw)
    doubt = latency_doubt(raw)
    measurements = tuple(
        Measurement(
            id=f"{_SHORT.get(effect.metric, effect.metric)}@{effect.workload}/{raw['name']}/{side}",
            metric=effect.metric, unit=effect.unit, better=effect.better, workload=effect.workload, arm=side,
            commit=raw["commits"][side], value=effect.base if side == "base" else effect.candidate,
            count=len(raw["counts"][side].get(effect.metric, ())) or len(start_numbers(raw)),
            method=f"duel:{where}{side}/{effect.metric}", samples=samples,
            instrument=raw["protocol"]["instrument"], environment=workspace.environment,
            doubt=effect.doubt,
        )
        for effect, where in [*((each, "") for each in effects), *((each, f"{each.workload}:") for each in beside)]
        for side in SIDES
    )  # fmt: skip
    return Duel(
        name=raw["name"], workload=raw["workload"], base=raw["commits"]["base"], candidate=raw["commits"]["candidate"],
        effects=effects, samples=samples, digest=_render(raw, effects, beside, doubt), measurements=measurements,
        beside=beside, checks=held_out_checks(raw),
    )  # fmt: skip


def _render(raw: dict[str, Any], effects: tuple[Effect, ...], beside: tuple[Effect, ...], doubt: str) -> str:
    told = {effect.metric: effect for effect in effects}
    headline = [told[metric] for metric in ("http.p95_ms", "command.seconds", "cpu.ms_per_request") if metric in told]
    first = "; ".join(describe(effect) for effect in headline)
    rounds = f"{len(start_numbers(raw))} starts, {len(raw['cells']) // 2} rounds a side, {raw['seconds']:.0f} s"
    lines = [f"{raw['workload']}: {first}; {rounds}"]
    lines += [f"doubtful: {doubt}"] if doubt else []
    lines += [f"{effect.outcome}: {describe(effect)}" for effect in effects]
    lines += [f"guard of {effect.workload}: {effect.outcome}: {describe(effect)}" for effect in beside]
    return "\n".join(lines)
