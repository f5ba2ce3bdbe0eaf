"""The screens of a change that need no running version: protected files, honesty, public routes."""

from perfcrew.records.evidence import Check
from tools.edit import violations
from tools.git import diff, touched, worktree_of
from tools.git_command import try_git
from tools.honesty import parameters, screen_diff
from tools.outline import read_outline
from tools.workspace import Workspace

UNTOUCHED = "tests, workloads and description are untouched"
ROUTES = "public routes stay"


async def screen_candidate(workspace: Workspace, base: str, candidate: str) -> tuple[Check, ...]:
    """Look at what a change touches and says, before anything of it runs.

    Raises:
        InstrumentError: git fails.
    """
    paths = [item.path for item in await touched(workspace.clone, base, candidate)]
    forbidden = violations(paths, workspace.protected)
    untouched = Check(
        name=UNTOUCHED, passed=not forbidden, detail=", ".join(forbidden) or f"{len(paths)} other files changed"
    )
    text = await diff(workspace.clone, base, candidate)
    screens = screen_diff(text, workspace.target, await _familiar(workspace, base))
    return (untouched, *screens, *await _compare_routes(workspace, base, candidate))


async def _familiar(workspace: Workspace, base: str) -> frozenset[str]:
    """Texts among the parameters' values that the base's own sources hold, tests and description left out."""
    texts = sorted({value for _, values in parameters(workspace.target) for value in values if isinstance(value, str)})
    words = [word for text in texts if text.strip() and "\n" not in text for word in ("-e", text)]
    if not words:
        return frozenset()
    left_out = [f":(exclude,glob){glob}" for glob in workspace.protected]
    done = await try_git(["grep", "-h", "-o", "-w", "-F", "-I", *words, base, "--", ".", *left_out], workspace.clone)
    return frozenset(done.out.split("\n")) - {""}


async def _compare_routes(workspace: Workspace, base: str, candidate: str) -> tuple[Check, ...]:
    """Routes that the sources declare, where the frameworks are known; nothing where none is found."""
    before, after = [
        {node.name for node in read_outline(await worktree_of(workspace, commit)).nodes if node.kind == "route"}
        for commit in (base, candidate)
    ]
    if not before:
        return ()
    lost = sorted(before - after)
    told = f"{', '.join(lost[:4])} gone" if lost else f"all {len(before)} routes are still declared"
    return (Check(name=ROUTES, passed=not lost, detail=told),)
