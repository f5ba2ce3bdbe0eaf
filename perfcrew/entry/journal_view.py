"""`perfcrew journal`: who asked what, what came back, tokens, seconds and money."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from perfcrew.entry.shelf import find_run
from perfcrew.errors import UserError
from perfcrew.llm import models
from perfcrew.llm.accounts import Price, noted_prices
from perfcrew.llm.base import Reply
from perfcrew.llm.differences import show_block, show_block_head, show_message, show_tool
from perfcrew.llm.entries import TEXT, Entry, read_entries, whole_part
from perfcrew.records.base import Record
from perfcrew.report.terminal import safe

FILE = "journal.jsonl"
SHORT = 100
"""Characters of a text that a line of the overview shows."""


class Row(Record):
    """One entry as the overview tells it. Tokens are None for what no model answered."""

    lane: str
    role: str
    turn: int | None
    what: str
    """`reply`, or the effect's name: a tool, a measurement."""
    model: str | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    usd: float | None = None
    """None where the price is not known."""
    seconds: float | None = None
    asked: str = ""
    """What was new in the question."""
    came: str
    """What came back."""


def show_journal(name: str, *, role: str | None, turn: int | None, form: str | None) -> int:
    """Print a journal, or what of it has to do with a role or a turn."""
    path = _find(name)
    entries = list(read_entries(path))
    if not entries:
        raise UserError(f"{path}: not a journal, or an empty one")
    price = noted_prices(entries, models.price)
    texts = {entry.key.removeprefix(TEXT): entry.value for entry in entries if entry.key.startswith(TEXT)}
    chosen = [entry for entry in entries if _is_wanted(entry, role, turn)]
    if not chosen:
        roles = ", ".join(sorted({role_of(entry.lane) for entry in entries if entry.kind == "reply"})) or "nobody"
        turns = max((turn_of(entry) or 0 for entry in entries if not role or role_of(entry.lane) == role), default=0)
        raise UserError(f"{path}: nothing there of that role and turn; there are {roles}, turns 0 to {turns}")
    if form == "raw":
        _print_raw(path, role, turn)
    elif form == "json":
        click.echo(
            json.dumps([make_row(entry, price).model_dump() for entry in chosen if entry.kind != "run"], indent=1)
        )
    else:
        console = Console(highlight=False)
        _print_facts(console, entries if role is None and turn is None else [])
        _print_lanes(console, chosen, texts, price, whole=turn is not None)
    return 0


def _find(name: str) -> Path:
    if Path(name).is_file():
        return Path(name)
    folder = find_run(name)
    if not (folder / FILE).is_file():
        raise UserError(f"run {folder.name} has no journal: no model was asked in it")
    return folder / FILE


def role_of(lane: str) -> str:
    """The role whose conversation a lane is; empty for what has none, such as `intake`."""
    parts = lane.split("/")
    return parts[2] if len(parts) > 2 else ""


def turn_of(entry: Entry) -> int | None:
    """The turn that an entry belongs to: a reply's own, a tool call's that the reply asked for."""
    start = entry.key.partition(":")[0].partition(".")[0]
    number = start.removeprefix("turn-")
    return int(number) if start.startswith("turn-") and number.isdigit() else None


def _is_wanted(entry: Entry, role: str | None, turn: int | None) -> bool:
    if role is not None and role_of(entry.lane) != role:
        return False
    return turn is None or turn_of(entry) == turn


def make_row(entry: Entry, price: Price) -> Row:
    """An entry as one row."""
    place: dict[str, Any] = {"lane": entry.lane, "role": role_of(entry.lane), "turn": turn_of(entry)}
    if entry.kind != "reply":
        what = entry.key.partition(":")[2] if turn_of(entry) is not None else entry.key
        return Row(**place, what=what, seconds=entry.seconds, came=_brief(_told(entry.value)))
    reply = Reply.model_validate(entry.value)
    new = entry.asked.messages if entry.asked else ()
    said = [show_block(block) for message in new if message["role"] == "user" for block in message["blocks"]]
    calls = ", ".join(call.name for call in reply.calls)
    return Row(
        **place,
        what="reply",
        model=reply.model,
        input_tokens=reply.usage.input_tokens,
        cached_tokens=reply.usage.cached_tokens,
        output_tokens=reply.usage.output_tokens,
        usd=price(reply.model, reply.usage),
        seconds=reply.seconds,
        asked=_brief(" ".join(said)),
        came=" → ".join(part for part in (_brief(reply.text), calls) if part) or f"nothing ({reply.stop})",
    )


def _told(value: Any) -> str:
    """What says most about a result: its title, its text, its digest; else all of it."""
    if isinstance(value, dict):
        for name in ("title", "content", "digest", "reason", "commit"):
            if isinstance(value.get(name), str) and value[name]:
                return str(value[name])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHORT else f"{line[: SHORT - 1]}…"


def _print_facts(console: Console, entries: list[Entry]) -> None:
    for entry in entries:
        if entry.kind == "run" and not entry.key.startswith(TEXT):
            console.print(Text(f"{entry.key}: ", style="dim").append(safe(_brief(_told(entry.value)))), soft_wrap=True)


def _print_lanes(console: Console, entries: list[Entry], texts: dict[str, Any], price: Price, *, whole: bool) -> None:
    lanes = dict.fromkeys(entry.lane for entry in entries if entry.kind != "run")
    for lane in lanes:
        console.print(safe(f"\n{lane}", "bold"), soft_wrap=True)
        for entry in entries:
            if entry.lane == lane and entry.kind != "run":
                row = make_row(entry, price)
                lines = _tell_whole(entry, row, texts) if whole else _tell(row)
                for line in lines:
                    console.print(line, soft_wrap=True)


def _tell(row: Row) -> Iterator[Text]:
    took = f"{row.seconds:.1f} s" if row.seconds is not None else ""
    if row.what != "reply":
        yield safe(f"    {row.what:<28} {took:>8}  {row.came}", "dim" if row.turn is not None else "")
        return
    cached = f", {row.cached_tokens / row.input_tokens:.0%} cached" if row.cached_tokens and row.input_tokens else ""
    head = f"  turn {row.turn}: {row.model}, {row.input_tokens:,} tokens in{cached}, {row.output_tokens:,} out, {took}"
    head += f", {row.usd:.4f} USD" if row.usd is not None else ""
    yield safe(head, "cyan")
    if row.asked:
        yield safe(f"    asked: {row.asked}", "dim")
    yield safe(f"    came:  {row.came}")


def _tell_whole(entry: Entry, row: Row, texts: dict[str, Any]) -> Iterator[Text]:
    """An entry with all its texts."""
    if entry.kind != "reply":
        yield safe(f"  {row.what}, {row.seconds or 0:.1f} s", "cyan")
        yield from _indented(_told(entry.value))
        return
    if entry.asked is None:
        yield safe("  asked: this journal has only a digest of it", "dim")
    else:
        yield from _tell_question(entry, texts)
    yield next(_tell(row))
    for block in entry.value["blocks"]:
        yield safe(f"    {show_block_head(block)}".rstrip(), "dim")
        yield from _indented(show_block(block))


def _tell_question(entry: Entry, texts: dict[str, Any]) -> Iterator[Text]:
    assert entry.asked is not None
    if entry.asked.kept == 0:
        yield safe("  prompt", "cyan")
        yield from _indented(str(texts.get(entry.asked.system, "")))
        yield safe("  tools", "cyan")
        for tool in texts.get(entry.asked.tools) or ():
            yield safe(f"    {next(show_tool(tool))}")
    plural = "" if entry.asked.kept == 1 else "s"
    yield safe(f"  asked, after {entry.asked.kept} earlier message{plural}", "cyan")
    for message in entry.asked.messages:
        for line in show_message(message):
            yield safe(f"    {line}")


def _indented(text: str) -> Iterator[Text]:
    for line in text.splitlines():
        yield safe(f"      {line}")


def _print_raw(path: Path, role: str | None, turn: int | None) -> None:
    """The lines of the file as they are."""
    lines = whole_part(path.read_bytes()).splitlines()
    for entry, line in zip(read_entries(path), lines, strict=True):
        if _is_wanted(entry, role, turn):
            click.echo(line.decode())
