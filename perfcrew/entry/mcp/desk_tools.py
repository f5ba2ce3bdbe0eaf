"""The tools that agents have, for a host's own agent: they read code and ask copies of the data, or patch a copy."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from graphs.comparing import CompareOptions, compare_revisions
from perfcrew.entry.mcp.measuring import tell_comparison
from perfcrew.entry.mcp.offer import Host, Offer, Told, Watch
from perfcrew.errors import ToolError
from perfcrew.records.base import Record
from tools.command import run_command
from tools.edit import delete_file, replace_text, show_changes, violations, write_file
from tools.explain import explain_query
from tools.git import changed_paths, commit
from tools.index_trial import try_index
from tools.knowledge import query_graph, show_path
from tools.offering import publish
from tools.source import list_files, read_file, search_code
from tools.target_tests import run_target_tests
from tools.tool import Tool
from tools.workspace import Workspace

READING: tuple[Tool, ...] = (list_files, read_file, search_code)
MAPPED: tuple[Tool, ...] = (query_graph, show_path)
ASKING: tuple[Tool, ...] = (explain_query, try_index)
PATCHING: tuple[Tool, ...] = (replace_text, write_file, delete_file, show_changes, run_command, run_target_tests)


class ComparePatch(Record):
    """How to compare the patched checkout with HEAD."""

    check_behaviour: bool = Field(default=True, description="also compare answers; a difference is a regression")
    within_s: float | None = Field(default=None, ge=1, description="seconds for all duels together")
    quick: bool = Field(default=False, description="shorter measurements with wider intervals")


class PublishPatch(Record):
    """What the commit says."""

    title: str = Field(min_length=1, max_length=72, description="commit title in the imperative")
    body: str = Field(default="", description="what was changed and why, and how to roll it back")


def desk_offers() -> tuple[Offer, ...]:
    """All of them, those that patch last."""
    return (
        *(_offer(tool) for tool in READING),
        *(_offer(tool, mapped=True) for tool in MAPPED),
        *(_offer(tool, prepared=True) for tool in ASKING),
        *(_offer(tool, patched=True) for tool in PATCHING),
        Offer(
            "compare_patch",
            "Duel between HEAD and perfcrew's patched checkout: faster, slower, or no difference, with intervals. "
            "Minutes; reports progress.",
            ComparePatch, compare_patch, writes=True,
        ),
        Offer(
            "publish_patch",
            "Commit the patched checkout and leave it in the user's repository as a branch perfcrew/ID; nothing else "
            "there changes. Only after compare_patch showed that it is faster.",
            PublishPatch, publish_patch, writes=True,
        ),
    )  # fmt: skip


def _offer(tool: Tool, *, mapped: bool = False, prepared: bool = False, patched: bool = False) -> Offer:
    async def call(arguments: Record, host: Host, _: Watch) -> Told:
        if patched:
            workspace = await host.desk.patched()
        else:
            workspace = await host.desk.workspace(prepared=prepared, mapped=mapped)
        output = await tool.call(arguments.model_dump(), workspace)
        return Told(text=workspace.artifacts.redactor.text(output.content) or "(nothing)", is_error=output.is_error)

    return Offer(tool.name, tool.description, tool.arguments, call, writes=patched)


async def compare_patch(arguments: ComparePatch, host: Host, watch: Watch) -> Told:
    """A duel between HEAD and the patched checkout."""
    workspace = await host.desk.patched()
    worktree = await _changed(workspace)
    options = CompareOptions(
        base=workspace.base_commit, candidate=None, repo=worktree, config=workspace.config_path,
        within_s=arguments.within_s, check_behaviour=arguments.check_behaviour, quick=arguments.quick,
    )  # fmt: skip
    comparison, _ = await compare_revisions(options, settings=host.settings, watch=watch)
    return tell_comparison(comparison)


async def publish_patch(arguments: PublishPatch, host: Host, _: Watch) -> Told:
    """The patched checkout as a branch of the user's repository."""
    workspace = await host.desk.patched()
    worktree = await _changed(workspace)
    message = f"{arguments.title}\n\n{arguments.body.strip()}".strip() + "\n"
    made = await commit(worktree, message, datetime.now(UTC).isoformat(timespec="seconds"))
    branch = f"perfcrew/{workspace.run_id}"
    await publish(workspace.clone, made, host.repo, branch)
    return Told(text=f"branch {branch} holds commit {made[:12]}", value={"branch": branch, "commit": made})


async def _changed(workspace: Workspace) -> Path:
    worktree = workspace.worktree
    paths = await changed_paths(worktree) if worktree else ()
    if worktree is None or not paths:
        raise ToolError("nothing was changed yet: replace_text and write_file do that")
    if forbidden := violations(paths, workspace.protected):
        raise ToolError(f"protected files were touched: {', '.join(forbidden)}")
    return worktree
