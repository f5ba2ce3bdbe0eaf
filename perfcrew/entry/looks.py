"""What a chat shows of a run without working on it: status, plan, diff, cost."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.syntax import Syntax

from graphs.runs import Manifest
from graphs.standing import Stopped
from graphs.state import RunState
from perfcrew.artifacts import Artifacts
from perfcrew.errors import UserError
from perfcrew.llm.accounts import Account, Price, place_of
from perfcrew.llm.base import Reply
from perfcrew.llm.entries import read_entries
from perfcrew.records.base import ArtifactRef
from perfcrew.records.work import Plan
from perfcrew.report.figures import show_money
from perfcrew.report.terminal import safe

_MOST_FINDINGS = 8


def show_status(manifest: Manifest, state: RunState | None, stopped: Stopped | None, console: Console) -> None:
    """Where a run stands, and which command comes next."""
    console.print(safe(f"run {manifest.run_id} on {manifest.repo}", "bold"), soft_wrap=True)
    if state is None:
        console.print("  nothing was done yet; begin with /agent:performance or /recipe", markup=False)
        return
    for card in state["board"].values():
        console.print(safe(f"  {card.status:<12} {card.role:<12} {card.title}"))
    findings = sorted(state["findings"].values(), key=lambda finding: -(finding.share or 0.0))
    console.print(f"  findings: {len(findings)}", markup=False)
    for finding in findings[:_MOST_FINDINGS]:
        share = "    " if finding.share is None else f"{finding.share:4.0%}"
        console.print(safe(f"    {share}  {finding.claim}"))
    kept = [change.title for change in state["changes"] if change.kept]
    console.print(safe(f"  changes: {len(state['changes'])} tried, {len(kept)} kept"))
    if state["verdict"]:
        console.print(safe(f"  the whole branch: {state['verdict'].reason}"))
    console.print(safe(f"  next: {advise(state, stopped)}"))


def advise(state: RunState, stopped: Stopped | None) -> str:
    """The command that comes next."""
    if stopped is not None:
        return "/approve, or /approve no WHY" if stopped.inside == "approval" else "/resume goes on where it stopped"
    if not state["findings"]:
        return "/agent:performance"
    if not state["plans"]:
        return "/agent:architect"
    steps = {step.id for step in state["plans"][-1].steps}
    if steps and not any(change.step in steps for change in state["changes"]):
        return "/plan shows the plan, /approve carries it out"
    if any(change.kept for change in state["changes"]) and state["verdict"] is None:
        return "/agent:performance and /agent:tester validate what was kept"
    return "/report"


def show_plan(plan: Plan, console: Console) -> None:
    """A plan, step by step."""
    console.print(safe(plan.summary, "bold"))
    for number, step in enumerate(plan.steps, 1):
        console.print(safe(f"{number}. {step.title}", "bold"))
        console.print(
            safe(
                f"   {step.metric} of {step.workload}: predicted {step.predicted_ratio:g}× better · "
                f"impact {step.impact}, effort {step.effort}, risk {step.risk}"
            )
        )
        console.print(safe(f"   {step.hypothesis}", "dim"))
    for title, text in (("Risks", plan.risks), ("Roll back", plan.rollback)):
        if text:
            console.print(safe(f"{title}: {text}"))


def show_diffs(state: RunState, artifacts: Artifacts, number: str, console: Console) -> None:
    """The diffs of the kept changes, or of one of them.

    Raises:
        UserError: there is no such change.
    """
    kept = [change for change in state["changes"] if change.kept]
    if not kept:
        raise UserError("no change is kept, so there is nothing to show")
    if number and not (number.isdigit() and 1 <= int(number) <= len(kept)):
        raise UserError(f"/diff {number}: there is no such change; there are 1 to {len(kept)}")
    for place, change in enumerate(kept, 1):
        if not number or int(number) == place:
            console.print(safe(f"{place}. {change.title}  {(change.commit or '')[:12]}", "bold"))
            _print_diff(artifacts, change.diff, console)


def _print_diff(artifacts: Artifacts, ref: ArtifactRef | None, console: Console) -> None:
    if ref is None or not artifacts.path(ref).exists():
        console.print("   its diff is not in the run's folder: its tools' results came from a recording", style="dim")
        return
    text = safe(artifacts.get(ref).decode(errors="replace")).plain
    lively = console.is_terminal and not console.is_dumb_terminal
    console.print(Syntax(text, "diff", background_color="default") if lively else safe(text))


def show_costs(journals: Iterable[Path], price: Price, console: Console) -> None:
    """Tokens and money by role, phase and model, as the journals have them."""
    account = Account(price)
    for path in journals:
        for entry in read_entries(path) if path.is_file() else ():
            if entry.kind == "reply":
                account.add(Reply.model_validate(entry.value), *place_of(entry.lane))
    table = account.table()
    for row in table.rows:
        console.print(
            safe(
                f"  {row.role:<12} {row.phase:<15} {row.model_calls:>4} calls  {row.input_tokens:>9,} in  "
                f"{row.output_tokens:>8,} out  {show_money(row.usd):>9}  {row.model}"
            )
        )
    console.print(
        safe(
            f"  all: {table.model_calls} calls, {table.input_tokens:,} tokens in, {table.output_tokens:,} out, "
            f"{show_money(table.usd)}",
            "bold",
        )
    )
