"""The least that a model-tool loop can be on each wire: the vendor's SDK as its documentation shows it, no more."""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

SYSTEM = "You read notes until you know what to answer."
BRIEF = "Find the word. " * 20
NUMBER = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
WORD = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
TOOLS = (("read_note", "Read a note.", NUMBER), ("answer", "Give your final answer.", WORD))
NOTE = "Note {}: GET /api/list took 212 ms in 40 queries, 180 ms of them in SELECT * FROM rows WHERE owner = ?. " * 3
"""What the tool gives: about 300 characters."""

Marks = list[float]


def read_note(number: int) -> str:
    """The tool."""
    return NOTE.format(number, number, number)


async def loop_anthropic(url: str) -> Marks:
    """Messages: seconds at the start and after each turn."""
    import anthropic as sdk

    tools: Any = [{"name": name, "description": text, "input_schema": schema} for name, text, schema in TOOLS]
    messages: list[Any] = [{"role": "user", "content": BRIEF}]
    async with sdk.AsyncAnthropic(api_key="none", base_url=url, max_retries=0) as client:
        marks = [time.perf_counter()]
        while True:
            reply = await client.messages.create(
                model="bench", max_tokens=8000, system=SYSTEM, messages=messages, tools=tools
            )
            [call] = [block for block in reply.content if block.type == "tool_use"]
            marks.append(time.perf_counter())
            if call.name == "answer":
                return marks
            messages.append({"role": "assistant", "content": reply.content})
            result = {
                "type": "tool_result",
                "tool_use_id": call.id,
                "content": read_note(int(str(call.input["number"]))),
            }
            messages.append({"role": "user", "content": [result]})


async def loop_responses(url: str) -> Marks:
    """Responses: seconds at the start and after each turn."""
    import openai as sdk

    tools: Any = [
        {"type": "function", "name": name, "description": text, "parameters": schema, "strict": False}
        for name, text, schema in TOOLS
    ]
    items: list[Any] = [{"role": "user", "content": BRIEF}]
    async with sdk.AsyncOpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0) as client:
        marks = [time.perf_counter()]
        while True:
            reply = await client.responses.create(
                model="bench", instructions=SYSTEM, input=items, tools=tools, store=False
            )
            [call] = [item for item in reply.output if item.type == "function_call"]
            marks.append(time.perf_counter())
            if call.name == "answer":
                return marks
            items += reply.output
            output = read_note(**json.loads(call.arguments))
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": output})


async def loop_chat(url: str) -> Marks:
    """Chat Completions: seconds at the start and after each turn."""
    import openai as sdk

    tools: Any = [
        {"type": "function", "function": {"name": name, "description": text, "parameters": schema}}
        for name, text, schema in TOOLS
    ]
    messages: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": BRIEF}]
    async with sdk.AsyncOpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0) as client:
        marks = [time.perf_counter()]
        while True:
            reply = await client.chat.completions.create(model="bench", messages=messages, tools=tools)
            message = reply.choices[0].message
            call: Any = (message.tool_calls or [])[0]
            marks.append(time.perf_counter())
            if call.function.name == "answer":
                return marks
            messages.append(message)
            output = read_note(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": output})


BARE: dict[str, Callable[[str], Awaitable[Marks]]] = {
    "anthropic": loop_anthropic,
    "openai": loop_responses,
    "openai-chat": loop_chat,
}
