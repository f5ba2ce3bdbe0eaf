"""Slash commands: the recipe's example as it stands, and what people mistype."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipe_example import EXAMPLE

from perfcrew.entry.commands import CATALOGUE, NAMES, VARIATIONS, parse_commands
from perfcrew.errors import UserError
from perfcrew.records.models import CREW

AGENTS = [f"agent:{role}" for role in CREW]


def test_the_recipes_example_is_six_commands() -> None:
    commands = parse_commands(EXAMPLE)
    assert [(command.role, command.phase) for command in commands] == [
        ("performance", 1), ("memory-sync", 1), ("architect", 2), ("coder", 3), ("performance", 4), ("tester", 4),
    ]  # fmt: skip
    first, _, architect, coder = commands[:4]
    assert first.text == "Analyze /api/dashboard endpoint:"
    assert len(first.bullets) == 5
    assert first.bullets[1] == "Load test with 100 concurrent users"
    assert architect.text.splitlines()[1:] == [
        "Baseline: 1.2s response, 15 DB queries, 50MB memory",
        "Target: <300ms response, <5 queries, <20MB memory",
        "Constraints: No breaking changes, maintain real-time data",
    ]
    assert coder.bullets[0] == "Add Redis caching for user preferences"
    assert len(coder.bullets) == 5
    assert not any("[" in command.said for command in commands)
    assert commands[5].said.splitlines()[-1] == "- Edge cases handled"


def test_one_line() -> None:
    (command,) = parse_commands("/agent:performance Analyze /api/dashboard endpoint")
    assert (command.role, command.text, command.line) == ("performance", "Analyze /api/dashboard endpoint", 1)


def test_a_path_at_the_start_of_a_line_is_text() -> None:
    (command,) = parse_commands("/agent:performance\n/api/dashboard is slow")
    assert command.text == "/api/dashboard is slow"


@pytest.mark.parametrize(
    ("text", "variation", "said"),
    [("/recipe", None, ""), ("/recipe API keep it small", "api", "keep it small"), ("/recipe go", None, "go")],
)
def test_recipe(text: str, variation: str | None, said: str) -> None:
    (command,) = parse_commands(text)
    assert (command.role, command.variation, command.text) == (None, variation, said)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/agent:performence x", "x.md, line 1: no such command /agent:performence; did you mean /agent:performance?"),
        ("/stauts", "x.md, line 1: no such command /stauts; did you mean /status?"),
        ("/status\nwhat now", "x.md, line 2: expected a command such as /agent:performance, got 'what now'"),
        ("/coder x", "x.md, line 1: no such command /coder; did you mean /agent:coder?"),
        ("\n/agent:zzz", "x.md, line 2: no such command /agent:zzz; there are /agent:performance, /agent:memory-sync,"),
        ("hello", "x.md, line 1: expected a command such as /agent:performance, got 'hello'"),
        ("# only a comment", "x.md: expected a command such as /agent:performance, got nothing"),
    ],
)
def test_mistakes_take_one_line(text: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_commands(text, "x.md")
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(AGENTS),
            st.lists(st.from_regex(r"[A-Z][a-z ]{0,20}", fullmatch=True)),
        )
    )
)
def test_what_is_said_comes_back(spoken: list[tuple[str, list[str]]]) -> None:
    if not spoken:
        return
    text = "\n".join(f"/{name}\n" + "".join(f"- {line}\n" for line in lines) for name, lines in spoken)
    commands = parse_commands(text)
    assert [(command.name, list(command.bullets)) for command in commands] == [
        (name, [line.strip() for line in lines]) for name, lines in spoken
    ]


def test_without_a_slash_it_is_a_question_where_that_is_allowed() -> None:
    commands = parse_commands("what is slow?\nand why?\n/status\nwhat next?", "", free=True)
    assert [(command.name, command.said) for command in commands] == [
        ("ask", "what is slow?\nand why?"), ("status", ""), ("ask", "what next?"),
    ]  # fmt: skip


def test_a_mistake_in_one_typed_line_needs_no_place() -> None:
    with pytest.raises(UserError, match=r"^no such command /plam; did you mean /plan\?$"):
        parse_commands("/plam", "", free=True)


def test_every_command_has_an_example_that_can_be_sent() -> None:
    for name, entry in CATALOGUE.items():
        (command,) = parse_commands(entry.example)
        assert command.name == name
    assert set(NAMES) > {f"agent:{role}" for role in CREW}
    assert CATALOGUE["recipe"].takes.startswith(f"[{'|'.join(VARIATIONS)}]")
