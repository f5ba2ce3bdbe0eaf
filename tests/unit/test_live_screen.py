"""The live screen: a board on a terminal, plain lines elsewhere, and nothing that the target could draw with."""

import io

from rich.console import Console

from perfcrew.entry.screen import Screen
from perfcrew.records.events import Event
from perfcrew.records.work import Card

CARD = Card(id="step:1", title="Load [bold]items[/bold]", role="coder", status="IN_PROGRESS")
EVENTS = (
    Event(kind="phase_started", text="Implement step by step", phase="coder"),
    Event(kind="card", text=CARD.title, phase="coder", role="coder", card=CARD),
    Event(kind="turn", text="thinking", role="coder", figures={"tokens": 12345, "usd": 0.42}),
    Event(kind="measured", text="P95 \x1b[31m6.1 times better", phase="coder", role="coder"),
    Event(kind="warning", text="cpu@dashboard/base: py-spy is missing"),
    Event(kind="phase_finished", text="Implement step by step", phase="coder", figures={"seconds": 61.7}),
)


def show(*, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=terminal, color_system="standard" if terminal else None)
    with Screen(console, 480.0) as screen:
        for event in EVENTS:
            screen.watch(event)
    return out.getvalue()


def test_plain_lines_where_there_is_no_terminal() -> None:
    text = show(terminal=False)
    assert "\x1b" not in text and "\r" not in text
    told = [line.split(maxsplit=1)[1].strip() for line in text.splitlines()]
    assert told == [
        "coder: Implement step by step",
        "IN_PROGRESS  Load [bold]items[/bold]",
        "P95 �[31m6.1 times better",
        "warning: cpu@dashboard/base: py-spy is missing",
        "coder: done in 62 s",
    ]


def test_a_board_with_time_tokens_and_money_on_a_terminal() -> None:
    text = show(terminal=True)
    for words in ("IN_PROGRESS", "Load [bold]items[/bold]", "of about 8 min", "12,345 tokens", "$0.42"):
        assert words in text
    assert "\x1b[31m6.1" not in text


def test_a_question_pauses_the_board() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with Screen(console) as screen, screen.paused() as quiet:
        assert quiet is console
        quiet.print("approve?")
    assert isinstance(console.file, io.StringIO)
    assert "approve?" in console.file.getvalue()
