"""`run` and `demo`: what reaches the engine, what is written and said, which code comes back."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_engine import FakeEngine

from evals import case as cases
from graphs.runs import list_runs
from perfcrew.entry.cli import start
from perfcrew.errors import PerfcrewError

Said = pytest.CaptureFixture[str]


def test_a_run_writes_its_report_and_says_where(engine: FakeEngine, home: Path, shop: Path, capsys: Said) -> None:
    assert start(["run", "shop", "--json", "out.json", "--record", "r.jsonl", "--budget-usd", "3"]) == 0
    (folder,) = list_runs(home)
    said = capsys.readouterr().out
    assert "workload w: no held_out variant" in said
    assert "performance: done in 2 s" in said
    assert "Measure [the] baseline" in said
    assert "\x1b[31m" not in said
    assert f"perfcrew verify {folder.name}" in said.replace("\n", "")
    assert json.loads(Path("out.json").read_text())["run_id"] == folder.name
    assert json.loads(Path("out.json").read_text())["schema"] == 1
    assert "<html" in (folder / "report.html").read_text()
    assert (folder / "report.md").read_text().startswith("#")
    assert Path("r.jsonl").read_bytes() == (folder / "journal.jsonl").read_bytes()
    assert engine.settings[0].budget_usd == 3


def test_json_on_standard_output_is_nothing_else(engine: FakeEngine, shop: Path, capsys: Said) -> None:
    assert start(["run", "shop", "--json", "-"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["goals_met"] is True
    assert "Report: " in captured.err


def test_the_request_reaches_the_engine(engine: FakeEngine, shop: Path) -> None:
    Path("slow.md").write_text("## Performance Context\n- **Issue Description**: slow\n")
    assert (
        start(["run", "shop", "--context", "slow.md", "--variation", "api", "--security", "--approve", "--quick"]) == 0
    )
    request = engine.given[0].request
    assert (request.context.issue, request.variation, request.security, request.approve) == ("slow", "api", True, True)
    assert engine.given[0].quick


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"goals_met": False}, 1), ({"goals_met": False, "outcome": "incomplete"}, 3), ({}, 0)],
)
def test_codes_follow_the_report(engine: FakeEngine, shop: Path, changed: dict[str, Any], code: int) -> None:
    engine.changed = changed
    assert start(["run", "shop"]) == code


def test_a_run_is_resumed_by_its_id(engine: FakeEngine, home: Path, shop: Path, capsys: Said) -> None:
    assert start(["run", "shop", "--variation", "database"]) == 0
    run_id = list_runs(home)[0].name
    assert start(["run", "--resume", run_id]) == 0
    assert start(["run", "--resume", "last"]) == 0
    assert engine.given[-1].run_id == run_id
    assert (engine.given[1].run_id, engine.given[1].repo, engine.given[1].request.variation) == (
        run_id,
        shop,
        "database",
    )
    assert start(["run", "--resume", "nope"]) == 2
    assert f"there is no run 'nope' in {home / 'runs'}; there is: {run_id}" in capsys.readouterr().err


@pytest.mark.parametrize("error", [RuntimeError("a bug"), PerfcrewError("the service is down")])
def test_a_failure_says_how_to_go_on(
    engine: FakeEngine, home: Path, shop: Path, capsys: Said, error: Exception
) -> None:
    async def fail() -> None:
        raise error

    engine.during = fail
    assert start(["run", "shop"]) == 3
    said = capsys.readouterr().err
    assert str(error) in said
    assert "Traceback (" not in said
    assert said.splitlines()[-1] == f"perfcrew: go on with: perfcrew run --resume {list_runs(home)[0].name}"


@pytest.fixture
def heard() -> Iterator[None]:
    """SIGINT as in the foreground: what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels_the_run(
    engine: FakeEngine, home: Path, shop: Path, capsys: Said, number: signal.Signals
) -> None:
    cancelled = []

    async def wait() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    engine.during = wait
    assert start(["run", "shop"]) == 3
    assert cancelled
    assert capsys.readouterr().err.splitlines() == [
        "perfcrew: stopped", f"perfcrew: go on with: perfcrew run --resume {list_runs(home)[0].name}",
    ]  # fmt: skip


def test_mistakes_are_told_before_anything_starts(engine: FakeEngine, shop: Path, capsys: Said) -> None:
    (shop / "perfcrew.toml").write_text("[target]\nname='x'\n")
    assert start(["run", "shop"]) == 2
    assert start(["run", "nowhere"]) == 2
    assert start(["run", "shop", "--context", "none.md"]) == 2
    assert start(["run", "shop", "--model", "gpt"]) == 2
    assert engine.given == []
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("perfcrew: shop/perfcrew.toml: target, start: expected the command that starts")
    assert all(line.startswith("perfcrew: ") for line in said)


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: Path) -> Path:
    folder = tmp_path / "cases" / "dashboard"
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "main.py").write_text("print(1)\n")
    (folder / "perfcrew.toml").write_text((shop / "perfcrew.toml").read_text())
    (folder / "recording.jsonl").write_text('{"kind":"run","lane":"","key":"label","value":"a live mind"}\n')
    monkeypatch.setattr(cases, "CASES", tmp_path / "cases")
    return folder


def test_the_demo_says_who_answers_and_cleans_up(engine: FakeEngine, case: Path, capsys: Said) -> None:
    assert start(["demo"]) == 0
    said = capsys.readouterr().out
    assert "Replies come from a recording, given by a live mind." in said
    (options,) = engine.given
    assert (options.replay, options.config, options.frozen) == (case / "recording.jsonl", case / "perfcrew.toml", False)
    assert not options.repo.exists()


def test_the_demos_scratch_repository_can_be_kept(engine: FakeEngine, case: Path, capsys: Said) -> None:
    assert start(["demo", "--keep", "scratch"]) == 0
    assert (Path("scratch") / ".git").is_dir()
    assert (Path("scratch") / "main.py").is_file()
    assert start(["demo", "--keep", "scratch"]) == 2
    assert "not empty" in capsys.readouterr().err


def test_the_demo_needs_a_recording_or_a_model(engine: FakeEngine, case: Path, capsys: Said) -> None:
    (case / "recording.jsonl").unlink()
    assert start(["demo"]) == 2
    assert start(["demo", "--live", "--answered-by", "me"]) == 0
    assert (engine.given[0].replay, engine.given[0].answered_by) == (None, "me")
    assert start(["demo", "--case", "nope"]) == 2
    assert "there is no case 'nope'; there is: dashboard" in capsys.readouterr().err
