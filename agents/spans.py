"""Agents and their model calls as spans, in the semantic conventions for generative AI."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from agents.crew import Crew
from perfcrew.llm.accounts import place_of
from perfcrew.llm.base import Block, Message, Reply, Request, Text, ToolCall, ToolResult
from perfcrew.records.base import Role
from perfcrew.telemetry import TELEMETRY, Span, Value, split_model


@contextmanager
def agent_span(role: Role, model: str, lane: str) -> Iterator[Span]:
    """One conversation."""
    provider, name = split_model(model)
    attributes = {
        "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": role, "gen_ai.provider.name": provider,
        "gen_ai.request.model": name, "perfcrew.lane": lane, "perfcrew.phase": place_of(lane)[1],
    }  # fmt: skip
    with TELEMETRY.span(f"invoke_agent {role}", attributes) as span:
        yield span


@contextmanager
def call_span(crew: Crew, role: Role, lane: str, turn: int, request: Request) -> Iterator[Span]:
    """One request to a model, with the tries that it took."""
    provider, name = split_model(request.model)
    replayed = crew.journal.has(lane, f"turn-{turn}", "reply") or not crew.journal.live
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": name,
        "gen_ai.request.max_tokens": request.max_tokens, "gen_ai.agent.name": role, "perfcrew.turn": turn,
        "perfcrew.replayed": replayed,
    }  # fmt: skip
    with TELEMETRY.span(f"chat {name}", attributes) as span:
        text = crew.journal.redactor.text
        span.say("gen_ai.system_instructions", lambda: text(request.system))
        span.say("gen_ai.input.messages", lambda: [_spoken(message, text) for message in request.messages])
        yield span


def note_reply(span: Span, reply: Reply, crew: Crew) -> None:
    """What came back: model, tokens, why it ended; what was said only where that was asked for."""
    usage = reply.usage
    span.note(
        {
            "gen_ai.response.model": split_model(reply.model)[1],
            "gen_ai.response.id": reply.request_id,
            "gen_ai.response.finish_reasons": [reply.stop],
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        }
    )
    text = crew.journal.redactor.text
    answered = Message(role="assistant", blocks=reply.blocks)
    span.say("gen_ai.output.messages", lambda: [{**_spoken(answered, text), "finish_reason": reply.stop}])


def _spoken(message: Message, redact: Callable[[str], str]) -> dict[str, Any]:
    parts = [part for block in message.blocks if (part := _part(block, redact))]
    return {"role": message.role, "parts": parts}


def _part(block: Block, redact: Callable[[str], str]) -> dict[str, Any] | None:
    match block:
        case Text():
            return {"type": "text", "content": redact(block.text)}
        case ToolCall():
            arguments = json.loads(redact(json.dumps(block.arguments)))
            return {"type": "tool_call", "id": block.id, "name": block.name, "arguments": arguments}
        case ToolResult():
            return {"type": "tool_call_response", "id": block.call, "result": redact(block.content)}
    return None
