"""What models may read and change, and what they may not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from target_repo import make_workspace

from perfcrew.errors import ToolError
from tools import git
from tools.edit import delete_file, replace_text, show_changes, violations, write_file
from tools.paths import is_secret, matches, resolve_inside
from tools.source import list_files, read_file, search_code
from tools.tool import MAX_RESULT_CHARACTERS, Tool
from tools.workspace import Workspace

FILES = {
    "app/main.py": "import os\n\n\ndef total(rows):\n    return sum(rows)\n\n\ndef other():\n    return 1\n",
    "app/long.py": "".join(f"line_{number} = {number}\n" for number in range(1, 1001)),
    "app/wide.js": "x" * 5000 + "\n",
    "tests/test_main.py": "def test_total(): pass\n",
    "perfcrew.toml": "held_out = 'secret parameters'\n",
    ".env": "KEY=sk-secret\n",
    ".env.example": "KEY=\n",
    "requirements.txt": "flask\n",
    "blob.bin": "\x00\x01",
    "crlf.txt": "one\r\ntwo\r\n",
}


@pytest.fixture
async def workspace(tmp_path: Path) -> Workspace:
    target = {"target": {"setup_inputs": ("requirements.txt",)}}
    made = await make_workspace(tmp_path, FILES, target)
    work = made.folder / "work"
    await git.checkout(made.clone, made.base_commit, work)
    (work / "blob.bin").write_bytes(b"\xff\xfe\x00")
    return replace(made, worktree=work)


async def _say(tool: Tool, workspace: Workspace, **arguments: Any) -> str:
    return (await tool.call(arguments, workspace)).content


async def _refusal(tool: Tool, workspace: Workspace, **arguments: Any) -> str:
    with pytest.raises(ToolError) as caught:
        await tool.call(arguments, workspace)
    return str(caught.value)


async def test_listing_leaves_out_secrets_and_the_description(workspace: Workspace) -> None:
    lines = (await _say(list_files, workspace)).splitlines()
    names = [line.split()[0] for line in lines]
    assert names == sorted(set(FILES) - {".env", "perfcrew.toml"})
    assert "app/main.py (78)" in lines
    assert (await _say(list_files, workspace, glob="app/*.py")).split()[::2] == ["app/long.py", "app/main.py"]
    assert "no file matches" in await _say(list_files, workspace, glob="*.rb")
    only_app = workspace.target.target.model_copy(update={"source": ("app/**",)})
    narrow = replace(workspace, target=workspace.target.model_copy(update={"target": only_app}))
    assert len((await _say(list_files, narrow)).splitlines()) == 3
    assert "not to be read" in await _refusal(read_file, narrow, path="requirements.txt")


async def test_reading_gives_numbered_lines_in_parts(workspace: Workspace) -> None:
    assert await _say(read_file, workspace, path="app/main.py", first=4, last=5) == (
        "    4 def total(rows):\n    5     return sum(rows)\n[lines 4 to 5 of 9]"
    )
    whole = await _say(read_file, workspace, path="app/main.py")
    assert len(whole.splitlines()) == 9 and "[lines" not in whole
    part = await _say(read_file, workspace, path="app/long.py")
    assert part.endswith("[lines 1 to 250 of 1000]")
    capped = await _say(read_file, workspace, path="app/long.py", first=1, last=1000)
    last = int(capped.rpartition(" to ")[2].split()[0])
    assert len(capped) < MAX_RESULT_CHARACTERS and capped.splitlines()[-2].split()[0] == str(last) and last < 1000
    assert "[4006 more characters]" in await _say(read_file, workspace, path="app/wide.js")
    assert "has 9 lines" in await _refusal(read_file, workspace, path="app/main.py", first=10)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../user/app/main.py", "without `..`"),
        ("app/../../x", "without `..`"),
        ("/etc/passwd", "relative to the repository"),
        (".git", "out of bounds"),
        ("app/.GIT/config", "out of bounds"),
        (".env", "not to be read"),
        ("perfcrew.toml", "not to be read"),
        ("link.py", "symbolic links"),
        ("linked/passwd", "symbolic links"),
        ("blob.bin", "not a text"),
        ("absent.py", "no such file"),
        ("app", "is a folder"),
        ("", "got nothing"),
    ],
)
async def test_what_is_not_read(workspace: Workspace, path: str, reason: str) -> None:
    assert workspace.worktree is not None
    (workspace.worktree / "link.py").symlink_to("/etc/passwd")
    (workspace.worktree / "linked").symlink_to("/etc")
    assert reason in await _refusal(read_file, workspace, path=path)


async def test_searching(workspace: Workspace) -> None:
    assert await _say(search_code, workspace, pattern=r"def \w+\(rows\)") == "app/main.py:4:def total(rows):"
    assert await _say(search_code, workspace, pattern="sk-secret|held_out") == "nothing found"
    assert await _say(search_code, workspace, pattern=r"line_\d", glob="tests/**") == "nothing found"
    many = await _say(search_code, workspace, pattern=r"line_\d")
    assert len(many.splitlines()) <= 81
    assert "can't be used" in await _refusal(search_code, workspace, pattern="(unclosed")
    assert workspace.worktree is not None
    (workspace.worktree / "app" / "new.py").write_text("brand_new = 1\n")
    assert "app/new.py:1:" in await _say(search_code, workspace, pattern="brand_new")
    base = replace(workspace, worktree=None)
    assert await _say(search_code, base, pattern="brand_new") == "nothing found"


async def test_a_pattern_that_explodes_is_ended(workspace: Workspace) -> None:
    assert workspace.worktree is not None
    (workspace.worktree / "app" / "trap.txt").write_text("a" * 50_000 + "!\n")
    try:
        content = await _say(search_code, workspace, pattern="^(a|a|aa)+$")
    except ToolError as error:
        content = str(error)
    assert "nothing found" in content or "can't be used" in content or "too long" in content


async def test_replacing_by_exact_match(workspace: Workspace) -> None:
    assert workspace.worktree is not None
    said = await _say(replace_text, workspace, path="app/main.py", old="    return sum(rows)\n", new="    return 0\n")
    assert said == "app/main.py: replaced at line 5"
    assert "return 0\n" in (workspace.worktree / "app/main.py").read_text()
    said = await _say(replace_text, workspace, path="crlf.txt", old="one", new="1")
    assert (workspace.worktree / "crlf.txt").read_bytes() == b"1\r\ntwo\r\n"
    twice = await _refusal(replace_text, workspace, path="app/main.py", old="return", new="x")
    assert "occurs 2 times, at lines 5, 9" in twice
    close = await _refusal(replace_text, workspace, path="app/main.py", old="def totals(row):\n  return 0", new="x")
    assert "Closest, at line 4:\ndef total(rows):\n    return 0" in close
    assert "read the file again" in await _refusal(replace_text, workspace, path="app/main.py", old="ЖЖЖЖ", new="x")
    assert "are the same" in await _refusal(replace_text, workspace, path="app/main.py", old="other", new="other")
    assert "no such file" in await _refusal(replace_text, workspace, path="none.py", old="a", new="b")


async def test_a_broken_file_is_said_at_once(workspace: Workspace) -> None:
    said = await _say(write_file, workspace, path="app/new/deep.py", content="def broken(:\n")
    assert said.startswith("app/new/deep.py: made, 1 lines\nBut it does not compile now: line 1")
    assert "can't be read now" in await _say(write_file, workspace, path="x.json", content="{")
    assert await _say(write_file, workspace, path="x.json", content="{}") == "x.json: replaced, 1 lines"
    assert await _say(write_file, workspace, path="w.py", content="'\\d'\n") == "w.py: made, 1 lines"


async def test_deleting_and_showing(workspace: Workspace) -> None:
    assert workspace.worktree is not None
    assert await _say(delete_file, workspace, path="app/long.py") == "app/long.py: deleted"
    await _say(write_file, workspace, path="app/extra.py", content="a = 1\n")
    shown = await _say(show_changes, workspace)
    assert "+++ b/app/extra.py" in shown and "deleted file mode" in shown
    assert "no such file" in await _refusal(delete_file, workspace, path="app/long.py")


@pytest.mark.parametrize(
    "path",
    [
        "tests/test_main.py", "tests/new/deep.py", "app/test_x.py", "conftest.py", "perfcrew.toml", "requirements.txt",
        ".git/hooks/pre-commit", "app/sub/.git/config", ".env", "../outside.py", "/tmp/outside.py", "link.py",
        "linked/x.py", ".",
    ],
)  # fmt: skip
async def test_what_is_never_written(workspace: Workspace, tmp_path: Path, path: str) -> None:
    assert workspace.worktree is not None
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.py").write_text("content")
    (workspace.worktree / "link.py").symlink_to(outside / "x.py")
    (workspace.worktree / "linked").symlink_to(outside)
    for tool, more in ((write_file, {"content": "x"}), (delete_file, {}), (replace_text, {"old": "c", "new": "d"})):
        await _refusal(tool, workspace, path=path, **more)
    assert (outside / "x.py").read_text() == "content" and [item.name for item in outside.iterdir()] == ["x.py"]
    assert set(await git.changed_paths(workspace.worktree)) <= {"link.py", "linked", "blob.bin"}


async def test_without_a_worktree_nothing_is_written(workspace: Workspace) -> None:
    reading = replace(workspace, worktree=None)
    for tool, more in ((write_file, {"content": "x"}), (delete_file, {}), (replace_text, {"old": "c", "new": "d"})):
        assert "nothing may be written" in await _refusal(tool, reading, path="app/main.py", **more)


def test_violations_name_the_protected_paths() -> None:
    protected = ("tests/**", "**/conftest.py", "setup.cfg")
    paths = [
        "app/a.py",
        "tests/a.py",
        "app/conftest.py",
        "setup.cfg",
        "perfcrew.toml",
        "a/.git/x",
        ".GIT/hooks",
        "my.cfg",
    ]
    assert violations(paths, protected) == (
        "tests/a.py", "app/conftest.py", "setup.cfg", "perfcrew.toml", "a/.git/x", ".GIT/hooks",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("tests/**", ["tests/a", "tests/a/b"], ["tests", "mytests/a", "a/tests/b"]),
        ("**/test_*.py", ["test_a.py", "a/b/test_c.py"], ["a/mytest_a.py", "test_a.pyc", "test_/a.py"]),
        ("app/*.py", ["app/a.py"], ["app/a/b.py", "app/.pyc"]),
        ("docs", ["docs", "docs/a/b"], ["docs2", "a/docs"]),
        ("docs/", ["docs/a"], ["docs2/a"]),
        ("**/*", ["a", "a/b"], []),
        ("a?c/[!x]*.txt", ["abc/y.txt"], ["abc/x.txt", "a/c/y.txt"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_globs(glob: str, yes: list[str], no: list[str]) -> None:
    assert [path for path in yes + no if matches(path, [glob])] == yes


def test_secrets() -> None:
    secret = [".env", "config/.env.production", "deploy/server.pem", "A/ID_RSA", "x/credentials.json", ".aws/config"]
    shown = [".env.example", "app/environment.py", "secrets.py", "keyboard.py", "monkey.py"]
    assert [path for path in secret + shown if is_secret(path)] == secret


@given(st.lists(st.sampled_from(["..", ".", "a", ".git", "", "/", "link", "b.py", "~", " "]), max_size=6))
def test_a_path_is_inside_or_refused(parts: list[str]) -> None:
    root = Path("/nonexistent/root")
    try:
        path = resolve_inside(root, "/".join(parts))
    except ToolError:
        return
    assert path.resolve().is_relative_to(root) and ".git" not in path.parts
