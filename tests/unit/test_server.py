"""Private database servers are never root."""

import os
import stat
from pathlib import Path

import pytest

from perfcrew.errors import InstrumentError
from tools.sandbox import NOBODY, Sandbox
from tools.server import hand_over


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> dict[Path, int]:
    """We are root; who was made the owner of what."""
    given: dict[Path, int] = {}
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr("tools.server._open_to_all", is_open)
    monkeypatch.setattr(os, "chown", lambda path, user, _: given.update({path: user}))
    return given


def is_open(folder: Path) -> bool:
    """Whether others may enter a folder; those above the test's own are none of its business."""
    return "closed" not in folder.name or bool(folder.stat().st_mode & stat.S_IXOTH)


def test_files_go_to_nobody_where_no_sandbox_holds_the_server(tmp_path: Path, owners: dict[Path, int]) -> None:
    folder = tmp_path / "server"
    folder.mkdir(mode=0o700)
    password = folder / "password"
    password.touch()
    hand_over(Sandbox(writable=(folder,), confined=False), folder, password)
    assert owners == {folder: NOBODY, password: NOBODY}


def test_a_folder_that_nobody_may_enter_is_told_with_the_remedy(tmp_path: Path, owners: dict[Path, int]) -> None:
    closed = tmp_path / "closed"
    folder = closed / "server"
    folder.mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(InstrumentError, match=r"nobody, who may not enter .*closed; install bubblewrap") as caught:
        hand_over(Sandbox(writable=(folder,), confined=False), folder)
    assert "\n" not in str(caught.value)
    assert owners == {}
