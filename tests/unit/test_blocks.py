"""Conversations made fit to be sent; laws with hypothesis."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from perfcrew.llm.base import Block, Message, Opaque, Text, ToolCall, ToolResult
from perfcrew.llm.blocks import NEVER_RUN, Turn, read_arguments, settle, turns

words = st.sampled_from(["", " ", "a", "b\n"])
texts = st.builds(lambda text: Text(text=text), words)
opaque = st.just(Opaque(provider="anthropic", data={"type": "thinking"}))
ids = st.sampled_from("123")
calls = st.builds(lambda name: ToolCall(id=name, name="t"), ids)
asked = st.lists(st.one_of(texts, opaque, calls), max_size=4)
replied = st.lists(st.one_of(texts, st.builds(lambda name: ToolResult(call=name, content="r"), ids)), max_size=4)


def message(role: str, blocks: list[Block]) -> Message:
    return Message.model_validate({"role": role, "blocks": tuple(blocks)})


messages = st.lists(
    st.one_of(
        st.builds(lambda blocks: message("assistant", blocks), asked),
        st.builds(lambda blocks: message("user", blocks), replied),
    ),
    max_size=8,
)


@given(messages)
def test_sides_alternate_and_nobody_is_silent(conversation: list[Message]) -> None:
    made = turns(conversation)
    assert all(turn.blocks for turn in made)
    assert all(one.role != two.role for one, two in pairwise(made))


@given(messages)
def test_every_call_that_was_followed_has_a_result_ahead_of_any_text(conversation: list[Message]) -> None:
    made = turns(conversation)
    for before, after in pairwise(made):
        if after.role == "user":
            wanted = {block.id for block in before.blocks if isinstance(block, ToolCall)}
            assert wanted <= {block.call for block in after.blocks if isinstance(block, ToolResult)}
            kinds = [isinstance(block, ToolResult) for block in after.blocks]
            assert kinds == sorted(kinds, reverse=True)


@given(messages, messages)
def test_what_was_sent_is_sent_again_in_the_same_words(first: list[Message], then: list[Message]) -> None:
    # Caches and thinking blocks depend on it: all but the last turn stays the same, whatever follows.
    made, grown = turns(first), turns([*first, *then])
    assert grown[: max(0, len(made) - 1)] == made[:-1]


def test_turns_does_not_touch_what_it_is_given() -> None:
    conversation = [message("assistant", [ToolCall(id="1", name="t")]), message("user", [Text(text="stop")])]
    before = [item.model_dump() for item in conversation]
    assert turns(conversation)[1] == Turn(
        "user", [ToolResult(call="1", content=NEVER_RUN, is_error=True), Text(text="stop")]
    )
    assert [item.model_dump() for item in conversation] == before


def test_settle_leaves_whole_calls_alone() -> None:
    call = ToolCall(id="1", name="t", arguments={"a": 1})
    assert settle([Text(text="x"), call], "tool") == ((Text(text="x"), call), "tool")
    assert settle([call, Text(text="x")], "max_tokens")[0] == (call, Text(text="x"))


def test_settle_names_the_stop_after_what_is_there() -> None:
    call = ToolCall(id="1", name="t")
    assert settle([call], "end")[1] == "tool"
    assert settle([Text(text="x")], "tool")[1] == "end"
    assert settle([], "max_tokens") == ((), "max_tokens")


def test_read_arguments() -> None:
    assert read_arguments({"a": 1}) == ({"a": 1}, None)
    assert read_arguments('{"a": 1}') == ({"a": 1}, None)
    assert read_arguments("") == ({}, None)
    assert read_arguments(None) == ({}, None)
    assert read_arguments('{"a":') == ({}, '{"a":')
    assert read_arguments([1]) == ({}, "[1]")
