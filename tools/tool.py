"""What a tool is: a typed async function `(Arguments, Workspace) → ToolOutput` whose docstring models read."""

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from perfcrew.errors import ToolError
from perfcrew.llm.base import ToolSpec
from perfcrew.records.base import Record
from perfcrew.records.evidence import Evidence
from tools.workspace import Workspace

MAX_RESULT_CHARACTERS = 8000
"""About 2,000 tokens. What is longer is cut with a line that says how to see the rest."""


class ToolOutput(Record):
    """What a tool gives: text for the model, evidence for the record."""

    content: str
    evidence: tuple[Evidence, ...] = ()
    is_error: bool = False
    refused: tuple[str, ...] = ()
    """What it reached for that is out of bounds, a line each with the gate that refused: the report names them."""


@dataclass(frozen=True)
class Tool:
    """A tool as the loop holds it."""

    name: str
    description: str
    arguments: type[Record]
    function: Callable[[Any, Workspace], Awaitable[ToolOutput]]
    writes: bool = False
    """Changes the worktree: done again on resume, and given to the coder only."""
    ordered: bool = False
    """Its calls in one reply run one after the other, in the order asked; others run at once."""

    @property
    def spec(self) -> ToolSpec:
        """The tool as a model sees it."""
        schema = self.arguments.model_json_schema()
        schema.pop("title", None)
        schema.pop("description", None)
        return ToolSpec(name=self.name, description=self.description, parameters=schema)

    async def call(self, arguments: dict[str, Any], workspace: Workspace) -> ToolOutput:
        """Check the arguments, run the tool, cap what it says.

        Raises:
            ToolError: the arguments don't fit, or the tool refused.
        """
        try:
            checked = self.arguments.model_validate(arguments)
        except ValidationError as error:
            raise ToolError(explain(error)) from error
        output = await self.function(checked, workspace)
        if len(output.content) <= MAX_RESULT_CHARACTERS:
            return output
        cut = output.content[:MAX_RESULT_CHARACTERS]
        note = f"\n[cut: {len(output.content) - len(cut)} more characters; narrow the call to see them]"
        return output.model_copy(update={"content": cut + note})


def tool(
    arguments: type[Record], *, writes: bool = False, ordered: bool = False
) -> Callable[[Callable[[Any, Workspace], Awaitable[ToolOutput]]], Tool]:
    """Make a tool of an async function. Its name is the function's, its description the docstring."""

    def make(function: Callable[[Any, Workspace], Awaitable[ToolOutput]]) -> Tool:
        description = re.sub(r"\s+", " ", inspect.getdoc(function) or "").strip()
        return Tool(function.__name__, description, arguments, function, writes, ordered)

    return make


def explain(error: ValidationError) -> str:
    """A validation error as one line per problem: where, what was expected, what came."""
    lines = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"]) or "arguments"
        lines.append(f"{where}: {problem['msg']} (got {str(problem['input'])[:80]!r})")
    return "\n".join(lines)
