"""The `coder` role: one plan step as one small patch."""

from collections.abc import Iterable

from pydantic import Field

from agents.agent import Agent
from agents.briefs import show_changes, show_findings, show_step, show_target, show_verdict
from perfcrew.records.base import Record
from perfcrew.records.evidence import Verdict
from perfcrew.records.target import Target
from perfcrew.records.work import Attempt, Change, Finding, PlanStep
from tools.command import run_command
from tools.edit import delete_file, replace_text, write_file
from tools.explain import explain_query
from tools.index_trial import try_index
from tools.patch import apply_patch
from tools.source import list_files, read_file, search_code
from tools.target_tests import run_target_tests


class CodeAnswer(Record):
    """What was changed. With `gave_up` nothing is measured and the step is dropped with your reason."""

    title: str = Field(max_length=72, description="commit title in the imperative")
    body: str = Field(description="what was changed and why, and how to roll it back")
    gave_up: bool = False
    reason: str = Field(default="", description="why you gave up")


CODE = Agent(
    role="coder",
    prompt="coder",
    tools=(
        list_files,
        read_file,
        search_code,
        replace_text,
        write_file,
        delete_file,
        apply_patch,
        run_command,
        run_target_tests,
        explain_query,
        try_index,
    ),
    answer=CodeAnswer,
    tier="strong",
    turns=24,
)


def brief_step(
    step: PlanStep,
    target: Target,
    findings: Iterable[Finding],
    evidence: str,
    strategies: str,
    kept: Iterable[Change],
    failed: Iterable[Attempt],
    diffs: Iterable[str],
    notes: Iterable[str] = (),
) -> str:
    """What the role sees for one attempt at one step."""
    addressed = [finding for finding in findings if finding.id in step.findings]
    parts = [
        show_target(target),
        *filter(None, notes),
        "# The step",
        show_step(step),
        "# Findings",
        show_findings(addressed),
    ]
    parts += ["# Evidence", evidence, "# Strategies", strategies]
    if done := show_changes(change for change in kept if change.kept):
        parts += ["# Kept already, in the code that you see", done]
    for attempt, diff in zip(failed, diffs, strict=True):
        parts += [f"# Attempt {attempt.number} failed", attempt.reason]
        if attempt.verdict:
            parts += [show_verdict(attempt.verdict), _judge_idea(attempt.verdict)]
        parts += ["Its diff, not in the code that you see:", diff]
    return "\n\n".join(parts)


def _judge_idea(verdict: Verdict) -> str:
    """What a refusal says about the idea behind a patch, and what not."""
    if any(not check.passed for check in verdict.checks):
        return "The idea was not at fault, its execution was: something answers or behaves differently now. Mend that."
    if verdict.too_noisy:
        return (
            "Too noisy to tell: nothing speaks against the idea, only its effect did not stand out. Make more of the "
            "same idea, so that it saves more of what is measured; do not drop it for another."
        )
    return "Wrong idea: it was measured well enough, and it does not pay off. Take another."


def commit_message(answer: CodeAnswer, step: PlanStep, effects: str) -> str:
    """What, why, measured effect, how to roll back."""
    parts = (answer.title, answer.body.strip(), f"Plan step: {step.id}", f"Measured against its parent:\n{effects}")
    return "\n\n".join((*parts, f"Roll back: {step.rollback}")) + "\n"
