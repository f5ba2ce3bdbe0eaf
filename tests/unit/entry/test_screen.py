"""The live screen: a board on a terminal, lines elsewhere, and a person's answer about a plan."""

import asyncio
import io

import pytest
from rich.console import Console

from perfcrew.entry.drive import ask_in
from perfcrew.entry.screen import Screen
from perfcrew.records.events import Event
from perfcrew.records.work import Card, Plan

EVENTS = [
    Event(kind="phase_started", text="Implement step by step", phase="coder"),
    Event(kind="card", text="x", card=Card(id="c", title="Add an [index]", role="coder", status="IN_PROGRESS")),
    Event(kind="turn", text="I look at\x1b]0;x\x07 models.py", role="coder", figures={"tokens": 1234.0, "usd": 0.25}),
    Event(kind="warning", text="a retry"),
]


def show(*, terminal: bool) -> tuple[str, str]:
    """What was printed, and the board as it stands."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None, legacy_windows=False)
    screen = Screen(console, expected_s=480)
    with screen:
        for event in EVENTS:
            screen.watch(event)
        board = Console(file=io.StringIO(), width=100, color_system=None)
        board.print(screen._render())
    assert isinstance(console.file, io.StringIO)
    assert isinstance(board.file, io.StringIO)
    return console.file.getvalue(), board.file.getvalue()


def test_lines_where_there_is_no_terminal() -> None:
    lines = [line.split(maxsplit=1)[1] for line in show(terminal=False)[0].splitlines()]
    assert lines == ["coder: Implement step by step", "IN_PROGRESS  Add an [index]", "warning: a retry"]


def test_the_board_has_time_phase_tokens_and_money() -> None:
    printed, board = show(terminal=True)
    assert "IN_PROGRESS  coder  Add an [index]" in board
    assert "0.0 min of about 8 min · coder · 1,234 tokens · $0.25" in board
    assert "coder: I look at" in board
    assert "\x1b]0" not in board
    assert "warning: a retry" in printed


def test_the_board_shows_the_end_of_what_a_role_is_saying() -> None:
    screen = Screen(
        Console(file=io.StringIO(), width=40), board={"c": Card(id="c", title="x", role="coder", status="TODO")}
    )

    def shown() -> str:
        board = Console(file=io.StringIO(), width=40, color_system=None)
        board.print(screen._render())
        assert isinstance(board.file, io.StringIO)
        return board.file.getvalue()

    ear = screen.overhear("coder")
    for piece in ("The index that ", "I would add\x1b[31m\n", "covers the whole of the filter"):
        ear.heard(piece)
    assert "covers the whole of the filter" in shown() and "\x1b[31m" not in shown()
    assert max(map(len, shown().splitlines())) <= 40
    assert "TODO" in shown()
    ear.start_over()
    assert "filter" not in shown()
    ear.heard("Once more")
    assert "coder: Once more" in shown()
    screen.watch(Event(kind="turn", text="said", role="coder"))
    assert "Once more" not in shown()


@pytest.mark.parametrize(
    ("typed", "approved", "note"),
    [("y", True, ""), ("Yes ", True, ""), ("", False, ""), ("n", False, ""), ("no caches", False, "no caches")],
)
def test_a_person_decides(monkeypatch: pytest.MonkeyPatch, typed: str, approved: bool, note: str) -> None:
    monkeypatch.setattr("builtins.input", lambda: typed)
    console = Console(file=io.StringIO(), width=100)
    plan = Plan(round=0, summary="Fix [it]", steps=(), criteria=(), risks="", rollback="")
    approval = asyncio.run(ask_in(Screen(console))(plan))  # type: ignore[arg-type]
    assert (approval.approved, approval.note) == (approved, note)
    assert isinstance(console.file, io.StringIO)
    assert "Fix [it]" in console.file.getvalue()
