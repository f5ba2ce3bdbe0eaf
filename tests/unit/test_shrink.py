"""Long conversations: what shrinks, what never does."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from perfcrew.llm.base import Message, Opaque, Text, ToolCall, ToolResult
from perfcrew.llm.shrink import LEAST, RECENT, shrink
from perfcrew.llm.tokens import count_message

BRIEF = Message(role="user", blocks=(Text(text="the task and the plan\n" * 200),))


def talk(turns: int, length: int = 5000, *, thinks: bool = False) -> list[Message]:
    messages = [BRIEF]
    for number in range(turns):
        call = ToolCall(id=f"c{number}", name="read_file", arguments={"path": f"{number}.py"})
        thought = [Opaque(provider="anthropic", data={"type": "thinking", "signature": "s"})] if thinks else []
        messages.append(Message(role="assistant", blocks=(*thought, Text(text=f"I read {number}"), call)))
        content = f"file {number}\n" + "x = 1\n" * (length // 6)
        messages.append(Message(role="user", blocks=(ToolResult(call=f"c{number}", content=content),)))
    return messages


def cut(messages: list[Message], tokens: float, needed: float = 0.0) -> Any:
    return shrink(messages, count_message, wanted=tokens, needed=needed)


def test_the_oldest_results_shrink_first_and_only_as_many_as_needed() -> None:
    messages = talk(10)
    shrunk = cut(messages, 2.5 * count_message(messages[2]))
    changed = [index for index, (old, new) in enumerate(zip(messages, shrunk.messages, strict=True)) if old != new]
    assert changed == [2, 4, 6]
    assert list(shrunk.cut) == ["2.0", "4.0", "6.0"]
    result = shrunk.messages[2].blocks[0]
    assert isinstance(result, ToolResult)
    assert result.content.startswith("file 0\n")
    assert 'reference "2.0"' in result.content
    assert shrunk.cut["2.0"] == messages[2].blocks[0].content  # type: ignore[union-attr]


def test_then_long_arguments_and_the_newest_results_only_in_need() -> None:
    messages = talk(3)
    written = ToolCall(id="w", name="write_file", arguments={"path": "a.py", "content": "y = 2\n" * 500, "n": 3})
    messages[1] = Message(role="assistant", blocks=(written,))
    shrunk = cut(messages, 1e9)
    call = shrunk.messages[1].blocks[0]
    assert isinstance(call, ToolCall)
    assert (call.arguments["path"], call.arguments["n"]) == ("a.py", 3)
    assert len(call.arguments["content"]) < LEAST
    assert shrunk.cut["1.0"] == "content:\n" + "y = 2\n" * 500
    assert shrunk.messages[-RECENT:] == messages[-RECENT:]
    assert list(cut(messages, 1e9, 1e9).cut) == ["2.0", "1.0", "4.0", "6.0"]


def test_thinking_goes_when_what_it_was_about_is_cut() -> None:
    messages = talk(4, thinks=True)
    kept = cut(messages, 0.0)
    assert kept.messages == messages
    phase = Opaque(provider="openai", data={"type": "phase", "phase": "commentary"})
    messages[3] = messages[3].model_copy(update={"blocks": (phase, *messages[3].blocks)})
    blocks = [block for message in cut(messages, 100.0).messages for block in message.blocks]
    assert [block for block in blocks if isinstance(block, Opaque)] == [phase]


def test_what_is_cut_is_not_cut_again() -> None:
    once = cut(talk(5), 1e9, 1e9)
    again = cut(once.messages, 1e9, 1e9)
    assert again.messages == once.messages
    assert again.cut == {}
    assert again.freed == 0


_texts = st.integers(0, 3000).map(lambda length: "word " * (length // 5))
_blocks = st.one_of(
    st.builds(Text, text=_texts),
    st.builds(ToolCall, id=st.just("c"), name=st.just("t"), arguments=st.fixed_dictionaries({"a": _texts})),
    st.builds(ToolResult, call=st.just("c"), content=_texts),
    st.builds(Opaque, provider=st.just("p"), data=st.just({"type": "thinking"})),
)
_messages = st.lists(
    st.builds(Message, role=st.sampled_from(["user", "assistant"]), blocks=st.lists(_blocks, max_size=4).map(tuple)),
    max_size=10,
)


@given(messages=_messages, wanted=st.floats(0, 5000), needed=st.floats(0, 5000))
def test_nothing_said_is_lost(messages: list[Message], wanted: float, needed: float) -> None:
    messages = [BRIEF, *messages]
    shrunk = shrink(messages, count_message, wanted=wanted, needed=needed)
    assert shrunk.messages[0] == BRIEF
    assert len(shrunk.messages) == len(messages)
    freed = sum(map(count_message, messages)) - sum(map(count_message, shrunk.messages))
    assert abs(freed - shrunk.freed) < 1e-6
    assert freed >= 0
    for index, (old, new) in enumerate(zip(messages, shrunk.messages, strict=True)):
        assert [b for b in old.blocks if isinstance(b, Text)] == [b for b in new.blocks if isinstance(b, Text)]
        for number, block in enumerate(old.blocks):
            if isinstance(block, ToolResult) and block not in new.blocks:
                assert shrunk.cut[f"{index}.{number}"] == block.content
    old_calls = [(b.id, b.name) for m in messages for b in m.blocks if isinstance(b, ToolCall)]
    assert old_calls == [(b.id, b.name) for m in shrunk.messages for b in m.blocks if isinstance(b, ToolCall)]
