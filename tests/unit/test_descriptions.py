"""What models read about each tool is short: they read all of it before every answer."""

import pytest

from agents import architect, coder, memory_sync, performance, security, tester
from agents.agent import Agent
from perfcrew.llm.tokens import count_bytes
from tools.tool import Tool

MOST_TOKENS = 130
TOOLS: dict[str, Tool] = {
    tool.name: tool
    for module in (architect, coder, memory_sync, performance, security, tester)
    for agent in vars(module).values()
    if isinstance(agent, Agent)
    for tool in agent.tools
}


def test_there_are_tools_to_look_at() -> None:
    assert "explain_query" in TOOLS


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_a_description_is_short_and_says_something(name: str) -> None:
    assert 3 < count_bytes(TOOLS[name].description) <= MOST_TOKENS
