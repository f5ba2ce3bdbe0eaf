"""The MCP server: tools, resources and prompts wired to what does them; progress and cancellation of long calls."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any, TypeVar

import anyio
import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from perfcrew.entry.host_commands import HOST_COMMANDS, prompt_text
from perfcrew.entry.mcp.desk_tools import desk_offers
from perfcrew.entry.mcp.measuring import measuring_offers
from perfcrew.entry.mcp.offer import Host, Offer, Told, Watch
from perfcrew.entry.mcp.resources import TEMPLATES, list_resources, read_resource
from perfcrew.entry.mcp.run_tools import run_offers
from perfcrew.entry.mcp.stdin import open_stdin
from perfcrew.errors import PerfcrewError
from perfcrew.records.events import Event
from tools.tool import explain

Context = ServerRequestContext[Any, Any]
T = TypeVar("T")
BEAT_S = 5.0
"""A call that is silent for so long reports its last progress again, so that no host takes it for dead."""
INSTRUCTIONS = (
    "perfcrew measures where an application's time, memory and bytes go, and whether a change made it faster. Begin "
    "with `measure`; after an edit in the worktree call `compare` with base HEAD. Its figures come with intervals and "
    "raw files: tell them as they are and estimate none."
)


def offers_of(host: Host) -> dict[str, Offer]:
    """The tools by name: those that patch only where the server may."""
    every = (*measuring_offers(), *run_offers(), *desk_offers())
    return {offer.name: offer for offer in every if host.writes or not offer.writes}


def build_server(host: Host) -> Server[Any]:
    """The server over one host's repository."""
    offers = offers_of(host)

    async def list_tools(_: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_describe(offer) for offer in offers.values()])

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        offer = offers.get(params.name)
        if offer is None:
            raise MCPError(types.INVALID_PARAMS, f"there is no tool {params.name}; there are: {', '.join(offers)}")
        async with reporting(context.session) as watch:
            return _result(await _call(offer, params.arguments or {}, host, watch))

    return Server(
        "perfcrew",
        version=version("perfcrew"),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        **_resource_handlers(host),
        **_prompt_handlers(host),
    )


async def serve_stdio(host: Host) -> None:
    """Serve one host over standard input and output, until it closes them."""
    server = build_server(host)
    try:
        async with stdio_server(stdin=await open_stdin()) as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())
    finally:
        await host.aclose()


async def run_whole(work: Awaitable[T]) -> T:
    """Run in a task of its own; a cancelled call cancels it once and waits until it has ended its processes.

    The SDK's cancel scopes cancel every further await, also those of cleaning up.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        raise


@asynccontextmanager
async def reporting(session: ServerSession) -> AsyncIterator[Watch]:
    """Something that hears events and reports them as the call's progress."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def pump() -> None:
        number, last = 0, ""
        while True:
            with suppress(TimeoutError):
                last = await asyncio.wait_for(heard.get(), BEAT_S)
            number += 1
            await session.report_progress(number, None, last or None)

    def watch(event: Event) -> None:
        if event.text and event.kind != "card":
            heard.put_nowait(event.text.splitlines()[0])

    pumping = asyncio.create_task(pump())
    try:
        yield watch
    finally:
        pumping.cancel()


async def _call(offer: Offer, arguments: dict[str, Any], host: Host, watch: Watch) -> Told:
    try:
        checked = offer.arguments.model_validate(arguments)
    except ValidationError as error:
        return Told(text=explain(error), is_error=True)
    try:
        return await run_whole(offer.function(checked, host, watch))
    except PerfcrewError as error:
        return Told(text="\n".join([str(error), *getattr(error, "__notes__", ())]), is_error=True)
    except Exception as error:  # noqa: BLE001  one failed call must not end the server
        return Told(text=f"unexpected {type(error).__name__}: {error}", is_error=True)


def _describe(offer: Offer) -> types.Tool:
    schema = offer.arguments.model_json_schema()
    schema.pop("title", None)
    schema.pop("description", None)
    hints = types.ToolAnnotations(read_only_hint=not offer.writes, destructive_hint=False, open_world_hint=False)
    return types.Tool(name=offer.name, description=offer.description, input_schema=schema, annotations=hints)


def _result(told: Told) -> types.CallToolResult:
    links = [types.ResourceLink(uri=link.uri, name=link.name) for link in told.links]
    content: list[types.ContentBlock] = [types.TextContent(text=told.text), *links]
    return types.CallToolResult(content=content, structured_content=told.value, is_error=told.is_error)


def _resource_handlers(host: Host) -> dict[str, Any]:
    home = host.settings.home

    async def listed(_: Context, __: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
        found = await asyncio.to_thread(list_resources, home)
        return types.ListResourcesResult(
            resources=[types.Resource(uri=uri, name=name, mime_type=mime) for uri, name, mime in found]
        )

    async def templates(_: Context, __: types.PaginatedRequestParams | None) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(
            resource_templates=[
                types.ResourceTemplate(uri_template=uri, name=re.sub(r".*/", "", uri), description=text)
                for uri, text in TEMPLATES.items()
            ]
        )

    async def read(_: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        try:
            found = await asyncio.to_thread(read_resource, home, uri)
        except PerfcrewError as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from error
        if found.blob is not None:
            blob = types.BlobResourceContents(uri=uri, mime_type=found.mime, blob=found.blob)
            return types.ReadResourceResult(contents=[blob])
        text = types.TextResourceContents(uri=uri, mime_type=found.mime, text=found.text or "")
        return types.ReadResourceResult(contents=[text])

    return {"on_list_resources": listed, "on_list_resource_templates": templates, "on_read_resource": read}


def _prompt_handlers(host: Host) -> dict[str, Any]:
    known = {command.name: command for command in HOST_COMMANDS}

    async def listed(_: Context, __: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        return types.ListPromptsResult(
            prompts=[
                types.Prompt(
                    name=command.name,
                    description=command.help,
                    arguments=[types.PromptArgument(name="text", description=command.hint)] if command.hint else None,
                )
                for command in known.values()
            ]
        )

    async def get(_: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        command = known.get(params.name)
        if command is None:
            raise MCPError(types.INVALID_PARAMS, f"there is no prompt {params.name}; there are: {', '.join(known)}")
        said = (params.arguments or {}).get("text", "")
        content = types.TextContent(text=prompt_text(command, said, writes=host.writes))
        return types.GetPromptResult(
            description=command.help, messages=[types.PromptMessage(role="user", content=content)]
        )

    return {"on_list_prompts": listed, "on_get_prompt": get}
