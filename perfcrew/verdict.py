"""Effects and checks to a verdict: whether a change is kept, and how a run ended.

The decision and its reason are built here, by one function, so that they cannot differ.

- `improved`: the metric aimed at became better, or with no aim (or besides it) some deciding metric did, and nothing
  that is guarded became worse.
- `regressed`: a guarded metric, or a deciding one that nothing made up for, became worse. A trade, such as fewer bytes
  for a slower answer, is a regression of its guard.
- `underpowered`: nothing was shown, and a change that matters can't be ruled out for the typical time (median latency,
  or the command's wall time), or for the metric aimed at while the CPU time a request isn't settled either.
- `no_significant_change`: nothing was shown, and a change that matters is ruled out for the typical time and for the
  metric aimed at; or for the typical time and for the CPU time, where the aim is a tail that stayed too wide to tell.
  The reason then says so.

A failed check never changes the outcome, which says what was measured; it keeps a change from being accepted.
"""

from collections.abc import Sequence

from perfcrew.duel_stats import DECISIVE_COUNTED, DECISIVE_TIMED
from perfcrew.records.base import ArtifactRef, Outcome, RunOutcome
from perfcrew.records.evidence import Check, Effect, Verdict
from perfcrew.records.metrics import METRICS
from perfcrew.records.vitals import CORE, VITALS

VITALS_HELD = tuple(vital.metric for vital in VITALS if not vital.retired)
"""What a page is held to: the Core Web Vitals, and those that stand for what lies behind them."""

DECISIVE = (*DECISIVE_TIMED["http"], *DECISIVE_COUNTED, "command.seconds", *VITALS_HELD, "page.bytes")
"""The metrics that can make a win. The others are shown, and may be guards."""

GUARDS = (
    "http.p50_ms",
    "http.p95_ms",
    "command.seconds",
    "http.error_rate",
    "http.writes_per_s",
    "memory.peak_mb",
    "start.seconds",
    "db.queries_per_request",
    *VITALS_HELD,
)
"""What no win may make worse, unless the target says otherwise."""

_GUARDS_BESIDE = ("http.p99_ms", *GUARDS)
"""The same for a workload, or a page, that a change was not made for."""

GUARDED = "guard of {}"
"""Name of the check that other workloads give: see `guard_checks`."""

_SPOILING = tuple(metric for metric in DECISIVE if metric != "memory.allocations_per_request")
"""Deciding metrics that no win on another one makes up for, unless it is the one aimed at. More allocations matter by
the time and the memory that they take, which are measured."""

_SHARES = ("http.error_rate", "cpu.utilisation")
_TYPICAL = ("http.p50_ms", "command.seconds", *(vital.metric for vital in CORE))


def decide(
    effects: Sequence[Effect],
    checks: Sequence[Check],
    *,
    aim: str | None = None,
    guards: Sequence[str] = GUARDS,
    samples: ArtifactRef | None = None,
) -> Verdict:
    """Whether a change is accepted, and why, in one plain sentence.

    Args:
        effects: a duel's, as `duel_effects` gives them.
        checks: all that were made; one that failed is enough to reject.
        aim: the metric that the change was to move; None for no one in particular.
        guards: metrics that must not become worse.
        samples: the duel's raw file, kept with the verdict.
    """
    failed = [check for check in checks if not check.passed]
    broken = [effect for effect in effects if effect.metric in guards and effect.outcome == "regressed"]
    won = _won(effects, aim)
    lost = [effect for effect in effects if effect.metric in DECISIVE and effect.outcome == "regressed"]
    outcome: Outcome
    if broken:
        outcome, reason = "regressed", _broken_reason(broken, won)
    elif won:
        outcome, reason = (
            "improved",
            f"improved: {_listing(won)}" + (f"; at the cost of {_listing(lost)}" if lost else ""),
        )
    elif lost:
        outcome, reason = "regressed", f"regressed: {_listing(lost)}"
    else:
        outcome, reason = _nothing_shown(effects, aim)
    if failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        detail = f" ({failed[0].shown})" if failed[0].shown else ""
        reason = f"check {failed[0].name} failed{detail}{more}; measured: {reason}"
    return Verdict(
        outcome=outcome, reason=f"{reason}.", accepted=outcome == "improved" and not failed,
        effects=tuple(effects), checks=tuple(checks), samples=samples,
    )  # fmt: skip


def guard_checks(beside: Sequence[Effect]) -> tuple[Check, ...]:
    """A check for each other workload that a duel watched, and each page: a win that breaks a guard there is no win.

    Args:
        beside: the effects on them. Of workloads as `perfcrew.duel_stats.beside_effects` gives them: P99 (or a
            command's wall time), writes a second, share of failed requests; of pages as `perfcrew.page_effects` does.
    """
    checks = []
    held = [effect for effect in beside if effect.metric in _GUARDS_BESIDE]
    for workload in dict.fromkeys(effect.workload for effect in held):
        mine = [effect for effect in held if effect.workload == workload]
        broken = [effect for effect in mine if effect.outcome == "regressed"]
        told = "worse beyond noise: " if broken else "not worse beyond noise: "
        if doubts := [effect.doubt for effect in mine if effect.doubt]:
            told = f"doubtful ({doubts[0]}), {told}"
        check = Check(name=GUARDED.format(workload), passed=not broken, detail=told + _listing(broken or mine))
        checks.append(check)
    return tuple(checks)


def run_outcome(final: Verdict | None) -> RunOutcome:
    """How a run ended: the outcome of its last duel, of the composed branch against the base.

    A run without one, or whose composed branch failed a check, did not complete what it set out to do.
    """
    if final is None or (final.outcome == "improved" and not final.accepted):
        return "incomplete"
    return final.outcome


def describe(effect: Effect) -> str:
    """An effect in words: `P95 from 1,240 ms to 101 ms (12.3 times better, 10.9 to 13.9)`."""
    title = METRICS[effect.metric].title
    if effect.metric in _SHARES:
        change = f"{title} from {effect.base:.2%} to {effect.candidate:.2%}"
    else:
        unit = "" if effect.unit == "1" else f" {effect.unit}"
        change = f"{title} from {_figure(effect.base)} to {_figure(effect.candidate)}{unit}"
    if effect.metric == "http.error_rate":
        return change
    if effect.exact:
        return f"{change} (counted)"
    if min(effect.base, effect.candidate) <= 0:
        return change  # beside nothing a ratio says little
    low, high = effect.ratio_low, effect.ratio_high
    if effect.ratio >= 1:
        return f"{change} ({effect.ratio:.2f} times better, {low:.2f} to {high:.2f})"
    return f"{change} ({1 / effect.ratio:.2f} times worse, {1 / high:.2f} to {1 / low:.2f})"


def _won(effects: Sequence[Effect], aim: str | None) -> list[Effect]:
    """The improvements that count: the aim's first; without one of the aim, only if no deciding metric became worse."""
    improved = [effect for effect in effects if effect.outcome == "improved"]
    reached = [effect for effect in improved if effect.metric == aim]
    others = [effect for effect in improved if effect.metric in DECISIVE and effect.metric != aim]
    if reached:
        return reached + others
    if any(effect.metric in _SPOILING and effect.outcome == "regressed" for effect in effects):
        return []
    return others


def _broken_reason(broken: Sequence[Effect], won: Sequence[Effect]) -> str:
    reason = f"guard broken: {_listing(broken)}"
    return f"{reason}, which does not make up for {_listing(won)}" if won else reason


def _nothing_shown(effects: Sequence[Effect], aim: str | None) -> tuple[Outcome, str]:
    by_metric = {effect.metric: effect for effect in effects}
    deciding = [by_metric[metric] for metric in dict.fromkeys((aim or "", *_TYPICAL)) if metric in by_metric]
    if not deciding:
        return "underpowered", "nothing was measured in both versions"
    wide = [effect for effect in deciding if effect.outcome == "underpowered"]
    if not wide:
        return "no_significant_change", f"no change beyond noise: {_listing(deciding[:1])}"
    cost = by_metric.get("cpu.ms_per_request")
    if all(effect.metric not in _TYPICAL for effect in wide) and cost and cost.outcome == "no_significant_change":
        settled = [effect for effect in deciding if effect not in wide]
        if settled:
            return (
                "no_significant_change",
                f"no change beyond noise: {_listing(settled)}; too noisy to tell: {_listing(wide)}",
            )
    if doubts := [effect.doubt for effect in wide if effect.doubt]:
        return "underpowered", f"not settled, as the load generator was the bottleneck ({doubts[0]}): {_listing(wide)}"
    return "underpowered", f"too noisy to tell, which is not the same as no effect: {_listing(wide)}"


def _listing(effects: Sequence[Effect], most: int = 3) -> str:
    told = ", ".join(describe(effect) for effect in effects[:most])
    return f"{told} and {len(effects) - most} more" if len(effects) > most else told


def _figure(value: float) -> str:
    """Three significant digits, no exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.6f}"
