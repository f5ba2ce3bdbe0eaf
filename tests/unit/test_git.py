"""The user's repository stays as it is, byte for byte; commits are the same on every machine."""

import asyncio
import hashlib
import os
import re
import shutil
from pathlib import Path

import pytest

from perfcrew.errors import ToolError, UserError
from tools import git
from tools.offering import publish, withdraw
from tools.process import run

WHEN = "2026-01-02T03:04:05Z"
VARIABLES = {
    "PATH": os.defpath, "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
       for what, value in (("NAME", "User"), ("EMAIL", "user@example.org"), ("DATE", "2025-01-01T00:00:00Z"))},
}  # fmt: skip


async def _user(words: str, repo: Path) -> str:
    done = await run(["git", *words.split()], cwd=repo, environment=VARIABLES, timeout=60)
    assert done.ok, done.err
    return done.out.strip()


@pytest.fixture
async def repo(tmp_path: Path) -> Path:
    """A repository in the middle of someone's work: staged, unstaged, untracked, ignored and stashed changes, hooks."""
    folder = tmp_path / "user"
    folder.mkdir()
    await _user("init --quiet --initial-branch=main", folder)
    (folder / "app.py").write_text("one\ntwo\nthree\n")
    (folder / "näme with blank.py").write_text("x = 1\n")
    (folder / ".gitignore").write_text("*.log\n")
    await _user("add --all", folder)
    await _user("commit --quiet -m First", folder)
    (folder / "app.py").write_text("stashed\n")
    await _user("stash --quiet", folder)
    (folder / "second.py").write_text("y = 2\n")
    await _user("add --all", folder)
    await _user("commit --quiet -m Second", folder)
    await _user("branch other HEAD~1", folder)
    await _user("tag v1", folder)
    (folder / "staged.py").write_text("staged\n")
    await _user("add staged.py", folder)
    (folder / "app.py").write_text("dirty\n")
    (folder / "untracked.py").write_text("untracked\n")
    (folder / "noise.log").write_text("ignored\n")
    for name in ("reference-transaction", "post-checkout", "pre-commit", "post-merge", "update"):
        hook = folder / ".git" / "hooks" / name
        hook.write_text("#!/bin/sh\ntouch hook-ran\nexit 1\n")
        hook.chmod(0o755)
    return folder


def _bytes(folder: Path) -> dict[str, tuple[int, str]]:
    """Mode and hash of every file below a folder, `.git` included."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


async def _change(tmp_path: Path, clone: Path, base: str, number: int) -> str:
    worktree = tmp_path / "run" / f"work{number}"
    await git.checkout(clone, base, worktree)
    (worktree / "app.py").write_text(f"one\n{number}\nthree\n")
    (worktree / "new").mkdir(exist_ok=True)
    (worktree / "new" / f"file{number}.py").write_text("z = 3\n")
    return await git.commit(worktree, f"Change {number}\n\n# Why\nbecause", WHEN)


async def test_inspect_tells_head_branch_and_dirt(repo: Path) -> None:
    before = _bytes(repo)
    state = await git.inspect_repo(repo)
    assert state.root == repo and state.branch == "main" and state.dirty and state.notes == ()
    assert state.head == await _user("rev-parse HEAD", repo)
    assert _bytes(repo) == before


async def test_inspect_refuses_what_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a git repository"):
        await git.inspect_repo(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        await git.inspect_repo(tmp_path / "absent")
    await _user("init --quiet", tmp_path)
    with pytest.raises(UserError, match="no commit yet"):
        await git.inspect_repo(tmp_path)


async def test_submodules_and_large_files_are_named(repo: Path) -> None:
    (repo / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs\n")
    head = await _user("rev-parse HEAD", repo)
    await _user(f"update-index --add --cacheinfo 160000,{head},sub", repo)
    await _user("add .gitattributes", repo)
    await _user("-c core.hooksPath=/dev/null commit --quiet -m Third", repo)
    notes = (await git.inspect_repo(repo)).notes
    assert len(notes) == 2 and "submodules" in notes[0] and "LFS" in notes[1]


async def test_whole_life_leaves_the_users_repository_alone(repo: Path, tmp_path: Path) -> None:
    before = _bytes(repo)
    refs = await _user("for-each-ref", repo)
    state = await git.inspect_repo(repo)
    clone = tmp_path / "run" / "clone"
    await git.clone(repo, clone)
    await git.clone(repo, clone)
    assert _bytes(repo) == before
    first = await _change(tmp_path, clone, state.head, 1)
    second = await _change(tmp_path, clone, first, 2)
    assert await git.revert_all(clone, state.head, second)
    assert _bytes(repo) == before, "nothing but publish may write"
    await publish(clone, second, repo, "perfcrew/run-1")
    after = _bytes(repo)
    changed = {path for path in after if after[path] != before.get(path)} | (before.keys() - after.keys())
    assert changed and all(re.match(r"\.git/(objects/|refs/heads/perfcrew/run-1$)", path) for path in changed)
    assert all(after[path] == before[path] for path in before)
    assert not list(repo.rglob("hook-ran"))
    added = set((await _user("for-each-ref", repo)).splitlines()) - set(refs.splitlines())
    assert added == {f"{second} commit\trefs/heads/perfcrew/run-1"}
    await publish(clone, second, repo, "perfcrew/run-1")
    assert _bytes(repo) == after
    shutil.rmtree(tmp_path / "run")
    assert await _user("rev-list --count perfcrew/run-1", repo) == "4"
    await _user("fsck --strict", repo)


async def test_publish_refuses_bad_and_taken_names(repo: Path, tmp_path: Path) -> None:
    clone = tmp_path / "run" / "clone"
    await git.clone(repo, clone)
    head = await _user("rev-parse HEAD", repo)
    change = await _change(tmp_path, clone, head, 1)
    before = _bytes(repo)
    with pytest.raises(UserError, match="not a name for a branch"):
        await publish(clone, change, repo, "a..b")
    for taken in ("main", "other"):
        with pytest.raises(UserError, match=f"branch {taken} exists already"):
            await publish(clone, change, repo, taken)
    assert _bytes(repo) == before


async def test_the_branch_moves_with_the_run_and_can_be_taken_back(repo: Path, tmp_path: Path) -> None:
    clone = tmp_path / "run" / "clone"
    await git.clone(repo, clone)
    head = await _user("rev-parse HEAD", repo)
    first = await _change(tmp_path, clone, head, 1)
    second = await _change(tmp_path, clone, first, 2)
    await publish(clone, second, repo, "perfcrew/run-1")
    await publish(clone, first, repo, "perfcrew/run-1")
    assert await _user("rev-parse perfcrew/run-1", repo) == first
    await _user("-c core.hooksPath=/dev/null checkout --quiet --force perfcrew/run-1", repo)
    with pytest.raises(UserError, match="is checked out; switch"):
        await withdraw(clone, repo, "perfcrew/run-1")
    await _user("-c core.hooksPath=/dev/null checkout --quiet --force main", repo)
    assert await withdraw(clone, repo, "perfcrew/run-1")
    assert "perfcrew" not in await _user("for-each-ref", repo)
    assert not await withdraw(clone, repo, "perfcrew/run-1")
    await publish(clone, second, repo, "perfcrew/run-1")
    await _user(f"-c core.hooksPath=/dev/null update-ref refs/heads/perfcrew/run-1 {head}", repo)
    assert not await withdraw(clone, repo, "perfcrew/run-1")
    assert await _user("rev-parse perfcrew/run-1", repo) == head


async def test_the_same_change_is_the_same_commit(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Someone")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    hashes = set()
    for number in (1, 2):
        clone = tmp_path / f"run{number}" / "clone"
        await git.clone(repo, clone)
        head = await git.resolve_commit(clone, "HEAD")
        hashes.add(await _change(tmp_path / str(number), clone, head, 7))
    assert len(hashes) == 1
    shown = await _user(f"log -1 --format=%an|%ae|%cn|%aI|%B {hashes.pop()}", clone)
    assert shown == "perfcrew|perfcrew@localhost|perfcrew|2026-01-02T03:04:05+00:00|Change 7\n\n# Why\nbecause"


async def test_a_detached_head_is_cloned(repo: Path, tmp_path: Path) -> None:
    await _user("-c core.hooksPath=/dev/null checkout --quiet --force --detach", repo)
    await _user("-c core.hooksPath=/dev/null commit --quiet --allow-empty -m Detached", repo)
    state = await git.inspect_repo(repo)
    assert state.branch is None
    await git.clone(repo, tmp_path / "clone")
    await git.checkout(tmp_path / "clone", state.head, tmp_path / "base")
    assert (tmp_path / "base" / "second.py").exists()


async def test_checkout_is_idempotent_and_recovers(repo: Path, tmp_path: Path) -> None:
    clone, folder = tmp_path / "clone", tmp_path / "base"
    await git.clone(repo, clone)
    head = await git.resolve_commit(clone, "HEAD")
    await git.checkout(clone, head, folder)
    (folder / "app.py").write_text("kept: a second checkout of the same commit changes nothing\n")
    await git.checkout(clone, head, folder)
    assert "kept" in (folder / "app.py").read_text()
    older = await git.resolve_commit(clone, "HEAD~1")
    await git.checkout(clone, older, folder)
    assert (folder / "app.py").read_text() == "one\ntwo\nthree\n" and not (folder / "second.py").exists()
    (folder / ".git").unlink()
    await git.checkout(clone, head, folder)
    assert (folder / "second.py").exists()


async def test_checkout_takes_over_an_addition_that_was_killed_half_way(repo: Path, tmp_path: Path) -> None:
    clone, folder = tmp_path / "clone", tmp_path / "base"
    await git.clone(repo, clone)
    head = await git.resolve_commit(clone, "HEAD")
    await git.checkout(clone, head, folder)
    # What `git worktree add` leaves behind when it is killed: a locked entry without a folder.
    (clone / ".git" / "worktrees" / folder.name / "locked").write_text("initializing")
    shutil.rmtree(folder)
    await git.checkout(clone, head, folder)
    assert (folder / "second.py").exists()


async def test_diff_touched_and_reset(repo: Path, tmp_path: Path) -> None:
    clone, folder = tmp_path / "clone", tmp_path / "base"
    await git.clone(repo, clone)
    head = await git.resolve_commit(clone, "HEAD")
    await git.checkout(clone, head, folder)
    (folder / "app.py").write_text("one\n2\nthree\n")
    (folder / "blob").write_bytes(bytes(range(256)))
    (folder / "added file.py").write_text("a\nb\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "app.pyc").write_bytes(b"x")
    (folder / "secret.log").write_text("ignored")
    (folder / "näme with blank.py").unlink()
    expected = ("added file.py", "app.py", "blob", "näme with blank.py")
    assert await git.changed_paths(folder) == expected
    working = await git.working_diff(folder)
    assert "-two\n+2\n" in working and "+++ b/added file.py" in working
    commit = await git.commit(folder, "Change", WHEN)
    assert await git.diff(clone, head, commit) == working
    rows = {row.path: (row.added, row.removed) for row in await git.touched(clone, head, commit)}
    assert rows == dict(zip(expected, [(2, 0), (1, 1), (0, 0), (0, 1)], strict=True))
    with pytest.raises(ToolError, match="nothing to commit"):
        await git.commit(folder, "Again", WHEN)
    await git.reset(folder, head)
    assert (folder / "app.py").read_text() == "one\ntwo\nthree\n"
    assert not (folder / "blob").exists() and not (folder / "secret.log").exists()
    assert (folder / "__pycache__" / "app.pyc").exists()


async def test_a_nested_or_replaced_repository_is_refused(repo: Path, tmp_path: Path) -> None:
    clone, folder = tmp_path / "clone", tmp_path / "base"
    await git.clone(repo, clone)
    head = await git.resolve_commit(clone, "HEAD")
    await git.checkout(clone, head, folder)
    (folder / "nested").mkdir()
    await _user("init --quiet", folder / "nested")
    await _user("commit --quiet --allow-empty -m Nested", folder / "nested")
    (folder / "app.py").write_text("changed\n")
    assert "nested" in await git.changed_paths(folder)
    with pytest.raises(ToolError, match="repository of its own"):
        await git.commit(folder, "Trick", WHEN)
    await git.reset(folder, head)
    assert not (folder / "nested").exists()
    evil = folder / "evil"
    evil.mkdir()
    await _user("init --quiet", evil)
    (evil / ".git" / "gitdir").write_text(str(folder / ".git"))
    (folder / ".git").write_text(f"gitdir: {evil / '.git'}\n")
    with pytest.raises(ToolError, match=r"its \.git was changed"):
        await git.commit(folder, "Trick", WHEN)


async def test_revert_all_sees_what_does_not_come_back(repo: Path, tmp_path: Path) -> None:
    clone = tmp_path / "run" / "clone"
    await git.clone(repo, clone)
    head = await git.resolve_commit(clone, "HEAD")
    first = await _change(tmp_path, clone, head, 1)
    assert await git.revert_all(clone, head, first)
    # A base that is no ancestor: reverting the rest cannot lead to its tree.
    stranger = await _change(tmp_path, clone, head, 2)
    assert not await git.revert_all(clone, stranger, first)
    assert not (clone.parent / "revert").exists()


async def test_list_and_search(repo: Path, tmp_path: Path) -> None:
    clone, folder = tmp_path / "clone", tmp_path / "base"
    await git.clone(repo, clone)
    await git.checkout(clone, "HEAD", folder)
    (folder / "new.py").write_text("fresh = 1\n")
    (folder / "x.log").write_text("fresh = 2\n")
    assert await git.list_paths(folder) == [".gitignore", "app.py", "new.py", "näme with blank.py", "second.py"]
    found = await git.grep(folder, r"^\w+ = \d$", 10)
    assert found.out.splitlines() == ["new.py:1:fresh = 1", "näme with blank.py:1:x = 1", "second.py:1:y = 2"]


async def test_another_message_for_the_same_content(repo: Path, tmp_path: Path) -> None:
    clone, folder = tmp_path / "clone", tmp_path / "base"
    await git.clone(repo, clone)
    head = await git.resolve_commit(clone, "HEAD")
    await git.checkout(clone, head, folder)
    (folder / "app.py").write_text("changed\n")
    first = await git.commit(folder, "Before", WHEN)
    (folder / "app.py").write_text("not yet committed\n")
    second = await git.reword(folder, "After\n\n# Effect", WHEN)
    assert first != second and await git.diff(clone, first, second) == ""
    assert (folder / "app.py").read_text() == "not yet committed\n"
    assert await _user(f"log -1 --format=%an|%aI|%P|%B {second}", clone) == (
        f"perfcrew|2026-01-02T03:04:05+00:00|{head}|After\n\n# Effect"
    )


async def test_a_checkout_does_not_take_another_tasks_reset_for_a_crash(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone, folder = tmp_path / "clone", tmp_path / "tree"
    await git.clone(repo, clone)
    head = await git.resolve_commit(clone, "HEAD")
    await git.checkout(clone, head, folder)
    mark = folder / "__pycache__" / "kept"
    mark.parent.mkdir()
    mark.touch()
    real, resetting = git.git, asyncio.Event()

    async def slow(words: list[str], cwd: Path, extra: dict[str, str] | None = None) -> str:
        if words[0] != "reset":
            return await real(words, cwd, extra)
        lock = clone / ".git" / "worktrees" / "tree" / "index.lock"
        lock.touch()
        resetting.set()
        await asyncio.sleep(0.1)
        lock.unlink()
        return await real(words, cwd, extra)

    async def check_out() -> None:
        await resetting.wait()
        await git.checkout(clone, head, folder)

    monkeypatch.setattr(git, "git", slow)
    await asyncio.gather(git.reset(folder, head), check_out())
    assert mark.exists(), "the worktree was removed and made again"


async def test_worktrees_can_be_added_at_the_same_time(repo: Path, tmp_path: Path) -> None:
    clone = tmp_path / "run" / "clone"
    await git.clone(repo, clone)
    head = (await git.inspect_repo(repo)).head
    folders = [tmp_path / "run" / f"side-{number}" for number in range(8)]
    await asyncio.gather(*(git.checkout(clone, head, folder) for folder in folders))
    assert all((folder / ".git").is_file() for folder in folders)
