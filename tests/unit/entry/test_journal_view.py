"""`perfcrew journal`: who asked what, what came back; one line for what isn't there."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from fake_engine import FakeEngine

sys.path.append(str(Path(__file__).parents[1]))

from graphs.runs import list_runs
from perfcrew.entry.cli import start
from perfcrew.entry.inspecting import ROLES
from perfcrew.llm.accounts import PRICE_OF
from perfcrew.llm.base import Message, Reply, Request, Text, ToolCall, ToolResult, ToolSpec, Usage
from perfcrew.llm.entries import read_entries
from perfcrew.llm.journal import Journal
from perfcrew.llm.models import Model
from perfcrew.records.models import ROLES as KNOWN
from tools.tool import ToolOutput

Said = pytest.CaptureFixture[str]
TESTER, CODER = "0/validation/tester", "0/implementation/coder/fix:a/b@GET /x/1"
TOOL = ToolSpec(name="ask_service", description="Ask the service.", parameters={"type": "object"})


@pytest.fixture
def run(engine: FakeEngine, home: Path, shop: Path, capsys: Said) -> Path:
    start(["run", "shop"])
    capsys.readouterr()
    folder = list_runs(home)[0]
    asyncio.run(converse(folder / "journal.jsonl"))
    return folder


async def converse(path: Path) -> None:
    journal = Journal(path)
    request = Request(
        model="anthropic/x", system="You test [hard].", messages=(said("Look at\nthe service."),), tools=(TOOL,)
    )
    call = ToolCall(id="c1", name="ask_service", arguments={"path": "/x"})
    first = Reply(
        model="anthropic/x",
        blocks=(Text(text="Asking first."), call),
        stop="tool",
        usage=Usage(input_tokens=2000, cached_tokens=1500, output_tokens=34),
        seconds=1.26,
    )
    await journal.reply(TESTER, 0, request, giving(first))

    async def ask() -> ToolOutput:
        return ToolOutput(content="200 OK\x1b[31m and a long body")

    await journal.effect(TESTER, "turn-0.0:ask_service", ToolOutput, ask)
    answered = Message(role="assistant", blocks=first.blocks)
    given = Message(role="user", blocks=(ToolResult(call="c1", content="200 OK and a long body"),))
    grown = request.model_copy(update={"messages": (*request.messages, answered, given)})
    await journal.reply(TESTER, 1, grown, giving(Reply(model="anthropic/x", blocks=(), stop="end")))
    await journal.reply(CODER, 0, request, giving(first))
    journal.close()


def said(text: str) -> Message:
    return Message(role="user", blocks=(Text(text=text),))


def giving(reply: Reply):  # type: ignore[no-untyped-def]
    async def ask() -> Reply:
        return reply

    return ask


def test_the_overview_tells_who_asked_what_and_what_it_cost(run: Path, capsys: Said) -> None:
    assert start(["journal", run.name]) == 0
    out = capsys.readouterr().out
    assert "label: someone" in out
    assert "turn 0: anthropic/x, 2,000 tokens in, 75% cached, 34 out, 1.3 s" in out
    assert "asked: Look at the service." in out
    assert "came:  Asking first. → ask_service" in out
    assert "asked: 200 OK and a long body" in out
    assert "nothing (end)" in out
    assert "\x1b" not in out
    assert out.index(TESTER) < out.index(CODER)


def test_a_role_and_a_turn_narrow_it_and_show_all_texts(run: Path, capsys: Said) -> None:
    assert start(["journal", "last", "--role", "tester"]) == 0
    out = capsys.readouterr().out
    assert TESTER in out
    assert CODER not in out
    assert start(["journal", "--role", "coder", "--turn", "0"]) == 0
    out = capsys.readouterr().out
    for shown in (CODER, "You test [hard].", "ask_service: Ask the service.", "the service.", '{"path": "/x"}'):
        assert shown in out
    assert start(["journal", "--role", "tester", "--turn", "1"]) == 0
    out = capsys.readouterr().out
    assert "after 1 earlier message\n" in out
    assert "You test" not in out


def test_raw_lines_are_the_files_own(run: Path, capsys: Said) -> None:
    assert start(["journal", "--raw"]) == 0
    assert capsys.readouterr().out.encode() == (run / "journal.jsonl").read_bytes()
    assert start(["journal", "--raw", "--role", "tester", "--turn", "1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["key"] == "turn-1"


def test_the_overview_as_json(run: Path, capsys: Said) -> None:
    assert start(["journal", "--json", "--role", "tester"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["what"], row["turn"]) for row in rows] == [("reply", 0), ("ask_service", 0), ("reply", 1)]
    assert rows[0]["cached_tokens"] == 1500
    assert rows[0]["usd"] is None


@pytest.mark.parametrize("noted", [True, False], ids=["when the report was written", "while at work"])
def test_what_a_reply_cost(tmp_path: Path, capsys: Said, noted: bool) -> None:
    model = "anthropic/of-a-kind" if noted else "anthropic/claude-opus-5-5"
    reply = Reply(model=model, blocks=(), stop="end", usage=Usage(input_tokens=10_000, output_tokens=1_000))
    journal = Journal(tmp_path / "journal.jsonl")
    request = Request(model=model, system="", messages=(said("x"),))
    asyncio.run(journal.reply(TESTER, 0, request, giving(reply)))
    if noted:
        facts = Model(name="of-a-kind", provider="anthropic", usd_input=4, usd_output=20)
        journal.note(f"{PRICE_OF}{model}", facts.model_dump(mode="json"))
    journal.close()
    assert start(["journal", str(journal.path)]) == 0
    assert "10,000 tokens in, 1,000 out, 0.0 s, 0.0600 USD" in capsys.readouterr().out


def test_a_recording_and_a_run_at_work_can_be_read(run: Path, tmp_path: Path, capsys: Said) -> None:
    recording = tmp_path / "recording.jsonl"
    recording.write_bytes((run / "journal.jsonl").read_bytes() + b'{"kind":"reply","la')
    assert start(["journal", str(recording), "--role", "coder"]) == 0
    assert CODER in capsys.readouterr().out
    assert start(["journal", str(recording), "--raw"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(list(read_entries(recording)))


def test_what_is_not_there_is_one_line_and_exit_code_2(run: Path, capsys: Said) -> None:
    for words in (["no-such-run"], ["last", "--role", "security"], ["last", "--turn", "7"], ["x/y"]):
        assert start(["journal", *words]) == 2
        said_then = capsys.readouterr()
        assert said_then.out == ""
        assert len(said_then.err.splitlines()) == 1
    Path("empty.jsonl").write_text("torn")
    assert start(["journal", "empty.jsonl"]) == 2
    assert "empty.jsonl: not a journal, or an empty one" in capsys.readouterr().err
    (run / "journal.jsonl").unlink()
    assert start(["journal"]) == 2
    assert "has no journal" in capsys.readouterr().err


def test_the_roles_of_the_option_are_all_there_are() -> None:
    assert tuple(ROLES.choices) == KNOWN
