"""The `guide` role: answers questions about a run from its evidence, or proposes the command. It only reads."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pydantic import Field

from agents.agent import Agent
from agents.briefs import (
    show_changes,
    show_effects,
    show_evidence,
    show_findings,
    show_request,
    show_step,
    show_target,
    show_verdict,
)
from perfcrew.records.base import Record
from perfcrew.records.evidence import Effect, Evidence, Verdict
from perfcrew.records.target import Target
from perfcrew.records.work import Change, Finding, Plan, RecipeRequest, Snapshot
from tools.knowledge import query_graph, show_path
from tools.source import list_files, read_file, search_code


class GuideAnswer(Record):
    """What your words rest on, and the command that would help. The words stand beside this call, as text."""

    evidence: tuple[str, ...] = Field(default=(), description="ids of the evidence or findings that your words rest on")
    command: str = Field(
        default="", description="one slash command with its words, such as /agent:performance; empty where none helps"
    )
    text: str = Field(default="", description="your words, only where you could not say them beside this call")


GUIDE = Agent(
    role="guide",
    prompt="guide",
    tools=(list_files, read_file, search_code, query_graph, show_path),
    answer=GuideAnswer,
    turns=8,
)


@dataclass(frozen=True)
class Standing:
    """What the guide may see of a run."""

    request: RecipeRequest
    target: Target
    phases: Iterable[str]
    """Those that have ended."""
    findings: Iterable[Finding]
    evidence: Iterable[Evidence]
    snapshot: Snapshot | None
    plan: Plan | None
    changes: Iterable[Change]
    verdict: Verdict | None
    effects: Iterable[Effect]


def brief_question(question: str, earlier: Iterable[tuple[str, str]], standing: Standing, commands: str) -> str:
    """What the role sees: the run, the commands, the talk so far, the question.

    Args:
        question: the user's words.
        earlier: questions and answers of this talk, oldest first.
        standing: the run.
        commands: the slash commands that there are, a line each.
    """
    parts = [show_request(standing.request), show_target(standing.target), "# Phases that have ended"]
    parts.append(", ".join(standing.phases) or "(none: nothing was measured yet)")
    parts += [
        "# Findings",
        show_findings(standing.findings),
        "# Evidence",
        show_evidence(standing.evidence) or "(none)",
    ]
    if standing.snapshot:
        parts += ["# Architecture", standing.snapshot.summary]
    if standing.plan:
        parts += ["# Plan", standing.plan.summary, *(show_step(step) for step in standing.plan.steps)]
    if changes := show_changes(standing.changes):
        parts += ["# Changes", changes]
    if standing.verdict:
        parts += ["# Verdict on the whole branch", show_verdict(standing.verdict)]
    elif effects := show_effects(standing.effects):
        parts += ["# Base against the branch", effects]
    parts += ["# Commands", commands]
    for asked, answered in earlier:
        parts += ["# Asked before", asked, "# Answered", answered]
    return "\n\n".join((*parts, "# The user says", question))


def check_sources(answer: GuideAnswer, known: Collection[str]) -> list[str]:
    """Words must rest on what there is."""
    there = ", ".join(sorted(known)) or "nothing yet"
    return [
        f"there is no evidence or finding `{name}`; there is: {there}" for name in answer.evidence if name not in known
    ]
