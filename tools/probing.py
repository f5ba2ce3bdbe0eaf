"""Single requests to base and candidate, as the tester chooses them: on equal data, in order, on arms that stay up."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from pydantic import Field

from perfcrew.errors import InstrumentError, ToolError
from perfcrew.records.base import Record
from perfcrew.records.evidence import Evidence
from perfcrew.records.target import HttpRequest, Method
from tools.behaviour import both_arms, volatile_of
from tools.lease import locked, quiet_lease
from tools.pair import Comparison, Pair
from tools.requests import Asked, ask
from tools.tool import ToolOutput, tool
from tools.workspace import Workspace

MAX_HISTORY = 40


class CompareRequest(Record):
    """A request to both versions."""

    method: Method = "GET"
    path: str = Field(pattern=r"^/", description="with its query, such as /api/items?limit=0")
    body: Any = Field(default=None, description="JSON body, if any")
    headers: dict[str, str] = Field(default_factory=dict)


class Probing:
    """A pair of arms that stays up between probes, so that each costs its own requests only."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._pair: Pair | None = None

    async def pair(self, workspace: Workspace, candidate: str, history: Path) -> Pair:
        """The running pair; at first use it is started, and what was asked before is asked again."""
        if self._pair is not None:
            return self._pair
        arms = both_arms(workspace, workspace.base_commit, candidate, workspace.worktree)
        _, pair = await self._stack.enter_async_context(arms)
        for earlier in _read_history(history):
            await pair.ask(ask(earlier, {}))
        self._pair = pair
        return pair

    async def aclose(self) -> None:
        """End both arms."""
        await self._stack.aclose()


_probing: ContextVar[Probing | None] = ContextVar("probing", default=None)


@asynccontextmanager
async def probing() -> AsyncIterator[None]:
    """For as long as it lasts, all probes go to one pair of arms, started at the first of them."""
    kept = Probing()
    token = _probing.set(kept)
    try:
        yield
    finally:
        _probing.reset(token)
        await kept.aclose()


@tool(CompareRequest, ordered=True)
async def compare_request(arguments: CompareRequest, workspace: Workspace) -> ToolOutput:
    """Send one request to the base and to the candidate, on equal data, and report whether they answer alike.

    Requests are applied to both in the order in which you send them, so that a read sees earlier writes.
    """
    candidate = workspace.candidate or (workspace.base_commit if workspace.worktree is not None else "")
    if not candidate:
        raise ToolError("there is no candidate to compare with yet")
    request = HttpRequest(
        method=arguments.method, path=arguments.path, headers=arguments.headers, json_body=arguments.body
    )
    asked = ask(request, {})
    history = workspace.folder / "probes" / f"{workspace.candidate or 'worktree'}.jsonl"
    kept = _probing.get()
    probe = kept or Probing()
    async with quiet_lease(workspace), locked(history.with_suffix(".lock")):
        try:
            pair = await probe.pair(workspace, candidate, history)
            found = await pair.compare("probe", [[asked]], volatile_of(workspace.target))
        except InstrumentError as error:
            raise ToolError(str(error)) from error
        finally:
            if kept is None:
                await probe.aclose()
        _append_history(history, request)
    return _output(workspace, asked, found)


def _read_history(path: Path) -> list[HttpRequest]:
    # Not splitlines(): a body may hold U+2028 and its like, which end a line for it alone.
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    return [HttpRequest.model_validate_json(line) for line in lines if line][-MAX_HISTORY:]


def _append_history(path: Path, request: HttpRequest) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(request.model_dump_json(by_alias=True) + "\n")


def _output(workspace: Workspace, asked: Asked, found: Comparison) -> ToolOutput:
    check = found.as_check()
    seen = found.last
    shown = "" if seen is None else f"{seen.status}, {len(seen.body)} bytes: {seen.body[:400].decode(errors='replace')}"
    text = f"equal: {check.detail}" if check.passed else f"DIFFERENT: {check.detail}"
    body = f" {asked.body[:80].decode(errors='replace')}" if asked.body else ""
    evidence = Evidence(
        id=f"behaviour@{asked.name}{body}/candidate",
        kind="behaviour",
        title=f"{asked.name}{body}: {'equal' if check.passed else check.detail}",
        digest=text,
        artifact=workspace.artifacts.put_json(found.as_json()),
        facts={"equal": int(check.passed), "requests": found.requests},
    )
    return ToolOutput(content=f"{text}\nThe base answered {shown}", evidence=(evidence,))
