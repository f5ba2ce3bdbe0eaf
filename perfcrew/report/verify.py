"""A report computed again from its raw files, figure by figure."""

import gzip
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from perfcrew.artifacts import Artifacts
from perfcrew.duel_stats import beside_effects, duel_effects, noise_floors
from perfcrew.errors import VerificationError
from perfcrew.held_out import held_out_checks
from perfcrew.page_effects import page_effects
from perfcrew.records.base import ArtifactRef, Record
from perfcrew.records.evidence import Effect, Measurement, Verdict
from perfcrew.records.report import ChangeRow, Report
from perfcrew.records.work import deciding_attempt
from perfcrew.report.build import seal_report
from perfcrew.report.derive import derive, row_metrics
from perfcrew.report.diff import count_lines
from perfcrew.report.timeline import busy_seconds
from perfcrew.stats import recompute
from perfcrew.verdict import decide, guard_checks

_TOLERANCE = 1e-9
"""Relative: what another order of floating-point additions may change, and nothing else."""


class VerifyResult(Record):
    """What was computed again and found equal."""

    run_id: str
    figures: int
    """Numbers and conclusions that were computed again."""
    files: int
    """Raw files whose content has its recorded hash."""


def verify_report(report: Report, artifacts: Artifacts) -> VerifyResult:
    """Compute every figure of a report again from its raw files.

    Measurements come from their raw files, effects from the duels' raw cells, sizes of changes from the diffs, and the
    conclusions (outcome, goals, criteria, gates, sums) from what the report records. The seal covers the rest.

    Raises:
        VerificationError: the first figure that differs, with what is reported and what its raw file gives; or the
            first raw file that is missing or altered.
    """
    files = verify_files(report, artifacts)
    checker = Checker(artifacts)
    for measurement in _every_measurement(report):
        checker.verify_measurement(measurement)
    checker.verify_duels(report)
    for change in report.changes:
        steps = [step for plan in report.plans for step in plan.steps if step.id == change.step]
        checker.verify_change(change, [step.metric for step in steps])
        checker.verify_size(change)
    concluded = derive(report)
    for name in type(concluded).model_fields:
        checker.compare(name, _plain(getattr(report, name)), _plain(getattr(concluded, name)))
    checker.verify_wall(report)
    checker.compare("seal (a field that no raw file gives was altered)", report.seal, seal_report(report))
    return VerifyResult(run_id=report.run_id, figures=checker.figures, files=files)


class Checker:
    """Compares reported with recomputed values and counts them; reads each raw file once."""

    def __init__(self, artifacts: Artifacts) -> None:
        self.artifacts = artifacts
        self.figures = 0
        self._raw: dict[str, Any] = {}

    def verify_measurement(self, measurement: Measurement) -> None:
        """One measurement from its raw file, by the method that it names."""
        value = self._name_failure(measurement.id, measurement.method, measurement.samples)
        self.compare(f"measurement {measurement.id} ({measurement.method})", measurement.value, value)

    def verify_duels(self, report: Report) -> None:
        """The effects of the A/A duel, of the final duel, and of the pages' duels."""
        self.verify_effects("noise", report.noise, report.noise_samples)
        self.verify_effects("effects", report.effects, report.duel_samples)
        for page in report.pages:
            self.verify_effects(f"pages[{page.workload}].effects", page.effects, page.samples)
        self._verify_floors(report)
        self._verify_guards(report)

    def verify_change(self, change: ChangeRow, aims: Sequence[str]) -> None:
        """A change's own duel, its attempts, and the decision to keep or drop it."""
        rows = row_metrics(self._effects(change.samples))
        name = f"changes[{change.step}]"
        self.compare(f"{name}.metrics", _plain(change.metrics), _plain(rows))
        for attempt in change.attempts:
            if attempt.verdict:
                self._verify_verdict(f"{name}.attempts[{attempt.number}]", attempt.verdict, aims)
        last = deciding_attempt(change.attempts).verdict if change.attempts else None
        if change.attempts:
            self.compare(f"{name}.kept", change.kept, last is not None and last.accepted and not change.withdrawn)
            self.compare(f"{name}.outcome", change.outcome, last.outcome if last and last.effects else None)

    def verify_size(self, change: ChangeRow) -> None:
        """Lines added and removed by a kept change, from its diff."""
        if change.diff is None or not change.kept:
            return
        added, removed = count_lines(self.artifacts.get(change.diff).decode(errors="replace"))
        self.compare(f"changes[{change.step}].lines_added", change.lines_added, added)
        self.compare(f"changes[{change.step}].lines_removed", change.lines_removed, removed)

    def verify_wall(self, report: Report) -> None:
        """The run can't have been shorter than the time that some phase of it was running."""
        busy = busy_seconds(report)
        self.figures += 1
        if report.wall_seconds < busy * (1 - _TOLERANCE) - 1:
            raise VerificationError(
                f"wall_seconds: the report says {report.wall_seconds!r}, but phases ran during {busy!r} seconds"
            )

    def compare(self, name: str, reported: Any, recomputed: Any) -> None:
        """Compare two values field by field and item by item.

        Raises:
            VerificationError: naming the place that differs and both values.
        """
        if isinstance(reported, Mapping) and isinstance(recomputed, Mapping):
            for key in sorted({*reported, *recomputed}):
                self.compare(f"{name}.{key}", reported.get(key), recomputed.get(key))
        elif isinstance(reported, list | tuple) and isinstance(recomputed, list | tuple):
            self.compare(f"{name}.length", len(reported), len(recomputed))
            for index, (left, right) in enumerate(zip(reported, recomputed, strict=True)):
                self.compare(f"{name}[{_label(left, index)}]", left, right)
        else:
            self.figures += 1
            if not _equal(reported, recomputed):
                raise VerificationError(f"{name}: the report says {reported!r}, its raw samples give {recomputed!r}")

    def verify_effects(self, name: str, effects: Sequence[Effect], ref: ArtifactRef | None) -> None:
        """A duel's effects from its raw cells."""
        self.compare(name, _plain(effects), _plain(self._effects(ref)))

    def _verify_verdict(self, name: str, verdict: Verdict, aims: Sequence[str]) -> None:
        """A verdict's effects from the raw duel; its decision from these, the checks, and the step's aim."""
        self.verify_effects(f"{name}.effects", verdict.effects, verdict.samples)
        if verdict.samples is None:
            self.compare(f"{name}.accepted", verdict.accepted, False)
            return
        drawn = [decide(verdict.effects, verdict.checks, aim=aim, samples=verdict.samples) for aim in aims or (None,)]
        self.compare(name, _plain(verdict), _plain(verdict if verdict in drawn else drawn[0]))

    def _verify_floors(self, report: Report) -> None:
        """The final duel must not count as a gain what the base showed against itself."""
        if report.duel_samples is None or report.noise_samples is None:
            return
        final, noise = self._read(report.duel_samples), self._read(report.noise_samples)
        if final["workload"] != noise["workload"]:
            return
        used = {effect.metric: effect.floor for effect in report.effects}
        for metric, floor in noise_floors(noise).items():
            self.figures += 1
            if used.get(metric, floor) < floor * (1 - _TOLERANCE):
                raise VerificationError(
                    f"floor of {metric}: the final duel used {used[metric]!r}, the A/A duel gives {floor!r}"
                )

    def _verify_guards(self, report: Report) -> None:
        """The checks of the other workloads, the pages and the held-out requests, which the same raw files give."""
        if report.duel_samples is None:
            return
        pages = (effect for page in report.pages for effect in page.effects)
        told = {check.name: check for check in report.checks}
        raw = self._read(report.duel_samples)
        for check in (*guard_checks((*beside_effects(raw), *pages)), *held_out_checks(raw)):
            reported = told.get(check.name)
            self.compare(f"checks[{check.name}]", _plain(reported) if reported else None, _plain(check))

    def _effects(self, ref: ArtifactRef | None) -> tuple[Effect, ...]:
        if ref is None:
            return ()
        raw = self._read(ref)
        return page_effects(raw) if raw.get("kind") == "page-duel" else duel_effects(raw)

    def _name_failure(self, name: str, method: str, ref: ArtifactRef) -> float:
        try:
            return recompute(method, self._read(ref))
        except VerificationError as error:
            raise VerificationError(f"measurement {name}: {error}") from error

    def _read(self, ref: ArtifactRef) -> Any:
        if ref.sha256 not in self._raw:
            content = self.artifacts.get(ref)
            try:
                self._raw[ref.sha256] = json.loads(gzip.decompress(content) if ref.suffix.endswith(".gz") else content)
            except (ValueError, OSError) as error:
                raise VerificationError(f"{ref.name}: the raw file is not JSON ({error})") from error
        return self._raw[ref.sha256]


def verify_files(report: BaseModel, artifacts: Artifacts) -> int:
    """Every raw file that the report refers to is there, unaltered, and as large as recorded."""
    refs = {ref.name: ref for ref in _find_refs(report)}
    for ref in refs.values():
        size = len(artifacts.get(ref))
        if size != ref.size:
            raise VerificationError(f"{ref.name}: the report says {ref.size} bytes, the raw file has {size}")
    return len(refs)


def _find_refs(value: object) -> Iterator[ArtifactRef]:
    if isinstance(value, ArtifactRef):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _find_refs(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _find_refs(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _find_refs(item)


def _every_measurement(report: Report) -> Iterator[Measurement]:
    for evidence in report.evidence:
        yield from evidence.measurements
    yield from report.measurements


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _label(value: Any, index: int) -> str:
    if isinstance(value, Mapping):
        name = value.get("metric") or value.get("name")
        return f"{name}@{value['workload']}" if name and "workload" in value else str(name or index)
    return str(index)


def _equal(reported: Any, recomputed: Any) -> bool:
    numbers = (int, float)
    if isinstance(reported, numbers) and isinstance(recomputed, numbers) and not isinstance(reported, bool):
        return math.isclose(reported, recomputed, rel_tol=_TOLERANCE, abs_tol=0.0)
    return bool(reported == recomputed)
