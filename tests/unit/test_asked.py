"""What was asked: the digest of a growing conversation costs its growth, and all of it can be read back."""

from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from perfcrew.llm.asked import Conversation, differing, spell_out
from perfcrew.llm.base import Message, Request, Text, ToolSpec
from perfcrew.llm.entries import Entry, digest, read_entries
from perfcrew.llm.journal import Journal
from tests.unit.journal_material import LANE, Live, asking, never

TOOLS = (ToolSpec(name="t", description="d", parameters={"b": 1, "a": 2}),)
texts = st.lists(st.text(max_size=5), max_size=6)


def saying(said: Sequence[str], system: str = "s", tools: tuple[ToolSpec, ...] = TOOLS) -> Request:
    messages = tuple(Message(role="user", blocks=(Text(text=text),)) for text in said)
    return Request(model="m", system=system, messages=messages, tools=tools)


def whole_digest(request: Request) -> str:
    parts = {
        "system": request.system,
        "tools": [tool.model_dump(mode="json") for tool in request.tools],
        "history": [message.model_dump(mode="json") for message in request.messages],
    }
    return " ".join(f"{name}={digest(part)}" for name, part in parts.items())


@given(histories=st.lists(texts, min_size=1, max_size=6), systems=st.lists(st.sampled_from("ab"), min_size=6))
def test_the_digest_is_that_of_the_whole_request_however_the_history_went_on(
    histories: list[list[str]], systems: list[str]
) -> None:
    conversation = Conversation()
    entries, texts_known, asked_now = [], {}, []
    for turn, (said, system) in enumerate(zip(histories, systems, strict=False)):
        request = saying(said, system)
        question = conversation.ask(request)
        assert question.digest == whole_digest(request)
        texts_known |= {question.asked.system: question.system, question.asked.tools: question.tools}
        entries.append(Entry(kind="reply", lane="l", key=f"turn-{turn}", asked=question.asked))
        asked_now.append(request)
    for spelt, request in zip(spell_out(entries, texts_known.get), asked_now, strict=True):
        assert spelt.system == request.system
        assert spelt.messages == tuple(message.model_dump(mode="json") for message in request.messages)
        assert spelt.tools == tuple(tool.model_dump(mode="json") for tool in request.tools)


def test_only_what_is_new_is_written() -> None:
    conversation = Conversation()
    conversation.ask(saying(["a", "b"]))
    asked = conversation.ask(saying(["a", "b", "c"])).asked
    assert (asked.kept, len(asked.messages)) == (2, 1)
    asked = conversation.ask(saying(["a", "x", "c"])).asked
    assert (asked.kept, len(asked.messages)) == (1, 2), "from where it was changed"
    conversation.begin_again()
    assert len(conversation.ask(saying(["a", "x", "c", "d"])).asked.messages) == 4


async def test_a_history_that_changed_between_two_processes_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first = Journal(path)
    await first.reply(LANE, 0, asking("old"), Live()("a"))
    first.close()
    second = Journal(path)
    await second.reply(LANE, 0, asking("new"), never)
    changed = asking("new")
    grown = changed.model_copy(update={"messages": (*changed.messages, *asking("more").messages)})
    await second.reply(LANE, 1, grown, Live()("b"))
    second.close()
    replies = [entry for entry in read_entries(path) if entry.kind == "reply"]
    assert [len(entry.asked.messages) for entry in replies if entry.asked] == [1, 2]
    assert spell_out(replies, lambda _: None)[1].messages == tuple(m.model_dump(mode="json") for m in grown.messages)


def test_parts_are_named_in_their_order() -> None:
    assert differing("system=1 tools=2 history=3", "system=9 tools=2 history=8") == ("system", "history")
    assert differing("", "system=1 tools=2 history=3") == ("system", "tools", "history")
