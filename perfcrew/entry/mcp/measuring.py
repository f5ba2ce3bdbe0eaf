"""The instruments as tools: measure all, measure one kind, compare two revisions. They only read the repository."""

import inspect
from collections.abc import Awaitable, Callable, Iterator

from pydantic import Field

from graphs.comparing import CompareOptions, compare_revisions
from graphs.instruments import FOLLOWS, STEPS
from graphs.survey import SurveyOptions, take_survey
from perfcrew.entry.mcp.offer import Host, Link, Offer, Told, Watch
from perfcrew.entry.shelf import write_survey
from perfcrew.records.base import Record
from perfcrew.records.survey import Comparison, Survey
from perfcrew.report.comparison_text import render_comparison
from perfcrew.report.survey_markdown import render_survey
from tools.tool import MAX_RESULT_CHARACTERS

URI = "perfcrew://runs/"
LONG = "Measures the repository's HEAD in a copy, on a quiet machine; takes from seconds to minutes, reports progress."


class Measure(Record):
    """What to measure."""

    workloads: tuple[str, ...] = Field(default=(), description="names of workloads; all by default")
    quick: bool = Field(default=False, description="shorter measurements with wider intervals")


class Compare(Record):
    """What to compare."""

    base: str = Field(min_length=1, description="a branch, tag or commit")
    candidate: str | None = Field(
        default=None,
        description="a branch, tag or commit; without it the worktree as it stands, uncommitted changes too",
    )
    workloads: tuple[str, ...] = Field(default=(), description="names of workloads; all by default")
    within_s: float | None = Field(default=None, ge=1, description="seconds for all duels together")
    check_behaviour: bool = Field(default=False, description="also compare answers; a difference is a regression")
    quick: bool = Field(default=False, description="shorter measurements with wider intervals")


def measuring_offers() -> Iterator[Offer]:
    """`measure`, `measure_KIND` for each instrument, `compare`."""
    yield Offer(
        "measure",
        "Where the application's time, memory and bytes go: every instrument that fits, findings with their share of "
        f"end-to-end time, remedy and prevention, the gravest first. Needs no model. {LONG}",
        Measure,
        _measure_by(),
    )
    for kind, does in _kinds().items():
        yield Offer(f"measure_{kind}", f"{does} {LONG}", Measure, _measure_by(kind))
    yield Offer(
        "compare",
        "Is one revision faster than another? A duel: both run side by side and take the same load by turns; the "
        "answer is an effect with an interval for each metric. After an edit in the user's worktree: base HEAD and no "
        "candidate. Takes minutes; reports progress.",
        Compare,
        _compare,
    )


def _kinds() -> dict[str, str]:
    """Each kind of evidence with what its instrument does, as its docstring says."""
    takes = [*((step.kind, step.take) for step in STEPS), *((follow.kind, follow.take) for follow in FOLLOWS)]
    return {kind: _first_sentence(take) for kind, take in takes}


def _first_sentence(function: object) -> str:
    paragraph = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
    return f"{paragraph.split('. ')[0].rstrip('.')}."


def _measure_by(*kinds: str) -> Callable[[Measure, Host, Watch], Awaitable[Told]]:
    async def call(arguments: Measure, host: Host, watch: Watch) -> Told:
        options = SurveyOptions(host.repo, host.config, arguments.workloads, kinds, arguments.quick)
        survey, folder = await take_survey(options, settings=host.settings, watch=watch)
        write_survey(folder, survey)
        return tell_survey(survey, digests=bool(kinds))

    return call


async def _compare(arguments: Compare, host: Host, watch: Watch) -> Told:
    options = CompareOptions(
        base=arguments.base, candidate=arguments.candidate, repo=host.repo, config=host.config,
        workloads=arguments.workloads, within_s=arguments.within_s, check_behaviour=arguments.check_behaviour,
        quick=arguments.quick,
    )  # fmt: skip
    comparison, _ = await compare_revisions(options, settings=host.settings, watch=watch)
    return tell_comparison(comparison)


def tell_survey(survey: Survey, *, digests: bool) -> Told:
    """A survey for a model: the instruments' own digests, or findings and figures; the raw files by reference."""
    seen = "\n\n".join(f"## {item.title} (`{item.id}`)\n\n{item.digest}" for item in survey.evidence)
    raw = tuple(
        Link(uri=f"{URI}{survey.run_id}/artifacts/{item.artifact.name}", name=item.id)
        for item in survey.evidence
        if item.artifact is not None
    )
    value = {
        "run_id": survey.run_id, "commit": survey.commit, "findings": [one.id for one in survey.findings],
        "metrics": {one.id: one.value for one in survey.metrics},
    }  # fmt: skip
    text = f"{seen}\n\n{_findings(survey)}" if digests else render_survey(survey)
    return Told(text=cut(text, survey.run_id), links=(*report_links(survey.run_id), *raw), value=value)


def tell_comparison(comparison: Comparison) -> Told:
    """A comparison for a model, as a pull request's comment has it."""
    value = {"run_id": comparison.run_id, "outcome": comparison.outcome, "reason": comparison.reason}
    text = cut(render_comparison(comparison), comparison.run_id)
    return Told(text=text, links=report_links(comparison.run_id), value=value)


def report_links(run_id: str) -> tuple[Link, ...]:
    """Where the whole of a result can be read."""
    return tuple(Link(uri=f"{URI}{run_id}/report.{form}", name=f"{run_id} as {form}") for form in ("md", "json"))


def cut(text: str, run_id: str) -> str:
    """A text that fits a result; what is left out is said to be in the report."""
    if len(text) <= MAX_RESULT_CHARACTERS:
        return text
    return f"{text[:MAX_RESULT_CHARACTERS]}\n[cut; all of it: resource {URI}{run_id}/report.md]"


def _findings(survey: Survey) -> str:
    lines = [f"- {one.id} ({one.severity}): {one.claim} Remedy: {one.remedy}" for one in survey.findings]
    notes = [f"- note: {note.splitlines()[0]}" for note in survey.notes]
    return "\n".join(["Findings:", *(lines or ["- none"]), *notes])
