"""What of a patch changes the schema otherwise than by a new migration that can be undone; seen before it runs."""

from collections.abc import Collection
from pathlib import Path

from tools.git import working_diff
from tools.git_history import paths_at, split_lines
from tools.migrations import Way, check_migrations, find_way, is_migration, refuse_by_hand
from tools.workspace import Workspace


async def way_of(workspace: Workspace, commit: str) -> Way | None:
    """How the target changes its schema, as a version shows it."""
    database = workspace.target.database
    return find_way(await paths_at(workspace.clone, commit), database.migrate if database else None)


async def screen_schema(workspace: Workspace, worktree: Path, head: str, paths: Collection[str]) -> list[str]:
    """What is wrong with a patch's changes of the schema, a line each.

    Args:
        workspace: the run.
        worktree: with the patch, not committed yet.
        head: the commit that it changes; its migrations have been applied.
        paths: what the patch touches.
    """
    way = await way_of(workspace, head)
    before = set(way.files if way else ())
    made = [path for path in paths if is_migration(path, way) and path not in before and (worktree / path).is_file()]
    new = {path: (worktree / path).read_text(encoding="utf-8", errors="replace") for path in made}
    patch = split_lines(await working_diff(worktree))
    return [*refuse_by_hand(patch, way), *check_migrations(new, paths, way)]
