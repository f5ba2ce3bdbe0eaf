"""The tape gives what translating a whole conversation gives, however it grew."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.llm import tape as tape_module
from perfcrew.llm.base import Message, Opaque, Text, ToolCall, ToolResult, ToolSpec
from perfcrew.llm.blocks import Turn, turns
from perfcrew.llm.tape import Tape, encode

_blocks = st.one_of(
    st.builds(Text, text=st.sampled_from(["", "  ", "hm", "ü", "\ud800 half"])),
    st.builds(Opaque, provider=st.just("anthropic"), data=st.just({"type": "thinking"})),
    st.builds(ToolCall, id=st.sampled_from("abc"), name=st.just("look"), arguments=st.just({"w": 1})),
    st.builds(ToolResult, call=st.sampled_from("abc"), content=st.sampled_from(["seen", "\udfff"])),
)
_messages = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["user", "assistant"]),
        blocks=st.lists(_blocks, max_size=3).map(tuple),
    ),
    max_size=12,
)


def translate(said: Any) -> list[dict[str, Any]]:
    return [{"role": turn.role, "content": [block.model_dump() for block in turn.blocks]} for turn in said]


@given(messages=_messages, cuts=st.lists(st.integers(0, 12), max_size=6))
def test_a_conversation_that_grew_is_what_it_would_be_at_once(messages: list[Message], cuts: list[int]) -> None:
    tape = Tape()
    for cut in [*sorted(cuts), len(messages)]:
        body = {"model": "m", "messages": tape.items(tuple(messages[:cut]), translate)}
        whole = translate(turns(messages[:cut]))
        assert body["messages"] == whole
        assert json.loads(tape.encode(body, "messages")) == json.loads(encode({**body, "messages": whole}))


def conversation(length: int) -> tuple[Message, ...]:
    messages = [Message(role="user", blocks=(Text(text="go"),))]
    for number in range(length):
        call = ToolCall(id=str(number), name="look", arguments={"number": number})
        messages.append(Message(role="assistant", blocks=(call,)))
        messages.append(Message(role="user", blocks=(ToolResult(call=str(number), content="seen"),)))
    return tuple(messages)


def test_each_turn_is_translated_once() -> None:
    tape, seen = Tape(), list[Turn]()

    def counted(said: Any) -> list[dict[str, Any]]:
        seen.extend(said)
        return translate(said)

    messages = conversation(50)
    for end in range(1, len(messages) + 1, 2):
        tape.items(messages[:end], counted)
    # What is still open is translated with each request: the last call and its result, twice at most.
    assert len(seen) <= 3 * len(messages)


def test_parallel_conversations_do_not_disturb_each_other() -> None:
    tape, one, two = Tape(), conversation(5), conversation(6)
    for end in range(1, 12, 2):
        assert tape.items(one[:end], translate) == translate(turns(one[:end]))
        assert tape.items(two[:end], translate) == translate(turns(two[:end]))


def test_a_conversation_that_was_cut_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tape, messages = Tape(), conversation(5)
    tape.items(messages, translate)
    short = ToolResult(call="0", content="cut")
    cut = (*messages[:2], Message(role="user", blocks=(short,)), *messages[3:])
    assert tape.items(cut, translate) == translate(turns(cut))
    assert tape.items(cut, lambda said: [{"x": len(list(said))}], form="other") != translate(turns(cut))


def test_old_conversations_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tape_module, "MOST_CONVERSATIONS", 2)
    tape, talks = Tape(), [conversation(3) for _ in range(5)]
    for talk in talks:
        tape.items(talk, translate)
    assert len(tape._reels) == 2
    assert len(tape._encoded) == 2 * 5


def test_a_copy_with_a_mark_is_encoded_as_it_is() -> None:
    tape, messages = Tape(), conversation(3)
    items = tape.items(messages, translate)
    items[2] = {**items[2], "mark": True}
    assert json.loads(tape.encode({"messages": items}, "messages"))["messages"][2]["mark"] is True
    assert "mark" not in tape.items(messages, translate)[2]


def test_tools_are_made_again_when_they_differ() -> None:
    tape, made = Tape(), list[str]()
    tools = (ToolSpec(name="a", description="", parameters={}),)

    def named(tool: ToolSpec) -> dict[str, Any]:
        made.append(tool.name)
        return {"name": tool.name}

    for form in ("x", "x", "y"):
        assert tape.tools(tools, named, form) == [{"name": "a"}]
    assert made == ["a", "a"]
    assert tape.tools((), named, "y") == []
