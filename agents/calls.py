"""One tool call of a model: run once and journalled, its failures told to the model."""

import json

from agents.crew import Crew
from perfcrew.errors import Forbidden, InstrumentError, ToolError
from perfcrew.llm.base import ToolCall
from perfcrew.records.base import Role
from perfcrew.telemetry import TELEMETRY, Value
from tools.tool import Tool, ToolOutput


async def run_call(
    crew: Crew, lane: str, role: Role, place: str, call: ToolCall, tool: Tool, stale: list[str]
) -> ToolOutput:
    """Run a call, or take its result from the journal.

    Args:
        crew: journal and workspace.
        lane: the conversation's place in the run.
        role: who calls.
        place: the call's place in the conversation, `turn-N.M`.
        call: what the model asks for.
        tool: the tool of that name.
        stale: gets a line when a write that worked in the recording does not any more.
    """
    if call.malformed is not None:
        told = f"not executed: the arguments are not a JSON object: {call.malformed[:300]}"
        return ToolOutput(content=told, is_error=True)
    key = f"{place}:{tool.name}"
    crew.tell("tool", _brief(call), role=role)

    async def run() -> ToolOutput:
        try:
            return await tool.call(call.arguments, crew.workspace)
        except Forbidden as error:
            return ToolOutput(content=str(error), is_error=True, refused=(f"path rules: {error}",))
        except (ToolError, InstrumentError) as error:
            return ToolOutput(content=str(error), is_error=True)

    with TELEMETRY.span(f"execute_tool {tool.name}", _named(call)) as span:
        output = await crew.journal.effect(lane, key, ToolOutput, run, asked=call.arguments, reapply=tool.writes)
        redact = crew.journal.redactor.text
        span.note({"error.type": "ToolError" if output.is_error else None})
        span.say("gen_ai.tool.call.arguments", lambda: redact(json.dumps(call.arguments)))
        span.say("gen_ai.tool.call.result", lambda: redact(output.content))
    if output.is_error and tool.writes and _worked_when_recorded(crew, lane, key):
        stale.append(f"stale: {_brief(call)}: {output.content.splitlines()[0]}")
    return output


def _named(call: ToolCall) -> dict[str, Value]:
    return {
        "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": call.name, "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": call.id,
    }  # fmt: skip


def _worked_when_recorded(crew: Crew, lane: str, key: str) -> bool:
    recorded = crew.journal.source.find("effect", lane, key) if crew.journal.source else None
    return recorded is not None and not recorded.value.get("is_error", False)


def _brief(call: ToolCall) -> str:
    arguments = ", ".join(f"{name}={str(value)[:60]!r}" for name, value in list(call.arguments.items())[:2])
    return f"{call.name}({arguments})"
