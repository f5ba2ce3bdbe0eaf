"""`doctor` tries instruments for real; each that is missing says what to install, and the others go on."""

from pathlib import Path

import pytest

from perfcrew.errors import InstrumentError
from tools import readiness
from tools.readiness import Readiness, try_all

pytestmark = pytest.mark.app
NEEDED = ("python", "git", "uv", "load", "home")


def by_name(found: list[Readiness]) -> dict[str, Readiness]:
    return {one.name: one for one in found}


async def test_everything_that_is_needed_works_where_the_tests_run(tmp_path: Path) -> None:
    found = by_name(await try_all(tmp_path / "home", {}))
    assert [name for name in NEEDED if not (found[name].ready and found[name].needed)] == []
    assert {one.name for one in found.values() if one.needed} == set(NEEDED)
    assert all(one.detail and one.purpose and "\n" not in one.detail for one in found.values())
    assert found["git"].detail.startswith("git version ")
    assert list((tmp_path / "home").iterdir()) == []


async def test_what_is_missing_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    wanted = {
        "git": "apt install git", "node": "apt install nodejs", "chromium": "apt install chromium",
        "lighthouse": "apt install nodejs", "compiler": "install a C compiler",
    }  # fmt: skip
    monkeypatch.setattr(readiness, "_INSTRUMENTS", tuple(one for one in readiness._INSTRUMENTS if one[0] in wanted))
    found = by_name(await try_all(tmp_path / "home", {}))
    for name, remedy in wanted.items():
        assert not found[name].ready and remedy in found[name].detail, found[name]
    assert found["home"].ready


@pytest.mark.parametrize("said", ["NO SANDBOX: bwrap is missing (Debian: apt-get install bubblewrap)", "bwrap may not"])
async def test_a_remedy_is_given_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr(
        readiness, "_INSTRUMENTS", tuple(one for one in readiness._INSTRUMENTS if one[0] == "bubblewrap")
    )
    monkeypatch.setattr(readiness, "available", lambda: False)
    monkeypatch.setattr(readiness, "describe", lambda: said)
    (bubblewrap, _) = await try_all(tmp_path / "home", {})
    assert not bubblewrap.ready and bubblewrap.detail.count("install bubblewrap") == 1


async def test_a_program_that_the_user_named_wrongly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_INSTRUMENTS", tuple(one for one in readiness._INSTRUMENTS if one[0] == "chromium"))
    (chromium, _) = await try_all(tmp_path / "home", {"chromium": tmp_path / "nowhere"})
    assert not chromium.ready and "PERFCREW_CHROMIUM" in chromium.detail


async def test_failures_and_silence_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(_: object) -> str:
        raise InstrumentError("it is broken\nwith a log")

    async def hangs(_: object) -> str:
        import asyncio

        await asyncio.sleep(60)
        return ""

    made = (("one", "this", False, fails), ("two", "that", False, hangs))
    monkeypatch.setattr(readiness, "_INSTRUMENTS", made)
    monkeypatch.setattr(readiness, "TRY_S", 0.1)
    found = by_name(await try_all(tmp_path / "home", {}))
    assert (found["one"].detail, found["two"].detail) == ("it is broken", "gave no answer within 0 s")


async def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_INSTRUMENTS", ())
    (tmp_path / "file").write_text("")
    (home,) = await try_all(tmp_path / "file" / "home", {})
    assert not home.ready and home.needed and "set PERFCREW_HOME" in home.detail


@pytest.mark.parametrize(
    ("said", "version"), [("git version 2.39.5", (2, 39, 5)), ("v20.20.2", (20, 20, 2)), ("", (0,))]
)
def test_versions_are_read(said: str, version: tuple[int, ...]) -> None:
    assert readiness._numbers(said) == version
