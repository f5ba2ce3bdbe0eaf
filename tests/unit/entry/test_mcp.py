"""`perfcrew mcp` as hosts meet it: the official client, in process, over standard input and output, and over HTTP."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from survey_material import make_survey

from graphs.runs import SURVEY, Manifest, run_folder, write_manifest, write_result
from graphs.survey import SurveyOptions
from perfcrew.artifacts import Artifacts
from perfcrew.entry.cli import start
from perfcrew.entry.mcp import crew_runs, measuring
from perfcrew.entry.mcp.http import serve_http
from perfcrew.entry.mcp.offer import Host
from perfcrew.entry.mcp.server import build_server
from perfcrew.entry.mcp.stdin import open_stdin
from perfcrew.errors import UserError
from perfcrew.records.events import Event
from perfcrew.records.survey import Survey
from perfcrew.records.work import Plan, RecipeRequest
from perfcrew.report.survey_seal import seal
from perfcrew.settings import load_settings
from tools.process import run
from tools.process_tree import is_running

Said = pytest.CaptureFixture[str]
Progress = list[tuple[float, str | None]]


@pytest.fixture
def host(shop: Path, home: Path) -> Host:
    return Host(load_settings(), shop)


@pytest.fixture
def surveyed(monkeypatch: pytest.MonkeyPatch) -> list[SurveyOptions]:
    """A measure that is done at once and says two things."""
    asked: list[SurveyOptions] = []

    async def take(options: SurveyOptions, *, settings: Any, watch: Callable[[Event], None]) -> tuple[Survey, Path]:
        asked.append(options)
        folder = run_folder(settings.home, "run-measure", new=True)
        values = {
            "run_id": folder.name, "repo": options.repo, "config": None, "base": "c" * 40, "request": RecipeRequest(),
            "replay": None, "frozen": False, "answered_by": "", "quick": options.quick, "kind": "measure",
        }  # fmt: skip
        write_manifest(folder, Manifest.model_validate(values))
        survey = seal(make_survey(Artifacts(folder / "artifacts")).model_copy(update={"run_id": folder.name}))
        write_result(folder, SURVEY, survey)
        watch(Event(kind="tool", text="load@shop/base"))
        watch(Event(kind="measured", text="shop/base: P95 118 ms\nmore"))
        await asyncio.sleep(0.05)
        return survey, folder

    monkeypatch.setattr(measuring, "take_survey", take)
    return asked


def collector(heard: Progress) -> Any:
    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message))

    return hear


@asynccontextmanager
async def listening(host: Host) -> AsyncIterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serving = asyncio.create_task(serve_http(host, "right", "127.0.0.1", port))
    url = f"http://127.0.0.1:{port}/mcp"
    async with httpx.AsyncClient() as client:
        async with asyncio.timeout(60):
            while True:
                try:
                    await client.get(url)
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.01)
    yield url
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@asynccontextmanager
async def connected(host: Host, how: str) -> AsyncIterator[Client]:
    """A client in process, in the protocol's newer or older form, or over HTTP."""
    if how != "http":
        async with Client(build_server(host), mode=how) as client:
            yield client
        return
    async with (
        listening(host) as url,
        httpx2.AsyncClient(headers={"Authorization": "Bearer right"}, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


async def test_it_only_reads_unless_it_is_told_otherwise(host: Host) -> None:
    async with Client(build_server(host)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {"measure", "measure_cpu", "measure_queries", "compare", "read_file", "try_index", "run_status"} <= set(
            tools
        )
        assert not {"write_file", "run_command", "compare_patch", "publish_patch", "approve_plan"} & set(tools)
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.values())
        refused = await client.call_tool("run_commands", {"text": "/agent:coder do it"})
        assert refused.is_error
        assert "perfcrew mcp --allow-patches" in refused.content[0].text
        with pytest.raises(MCPError, match="there is no tool write_file"):
            await client.call_tool("write_file", {"path": "x", "text": "y"})
        prompt = await client.get_prompt("recipe", {"text": "api"})
        assert "--allow-patches" in prompt.messages[0].content.text
    host.writes = True
    async with Client(build_server(host)) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"write_file", "run_command", "compare_patch", "publish_patch", "approve_plan"} <= names


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_measure_gives_its_digest_progress_and_references(
    host: Host, surveyed: list[SurveyOptions], mode: str
) -> None:
    heard: Progress = []
    async with Client(build_server(host), mode=mode) as client:
        done = await client.call_tool("measure_cpu", {"quick": True}, progress_callback=collector(heard))
        assert not done.is_error, done.content
        assert surveyed == [SurveyOptions(host.repo, None, (), ("cpu",), True)]
        assert [message for _, message in heard[:2]] == ["load@shop/base", "shop/base: P95 118 ms"]
        assert done.structured_content["run_id"] == "run-measure"
        assert "Findings:" in done.content[0].text
        links = [block.uri for block in done.content[1:]]
        assert links[:2] == ["perfcrew://runs/run-measure/report.md", "perfcrew://runs/run-measure/report.json"]
        for uri in links:
            (contents,) = (await client.read_resource(uri)).contents
            assert contents.text
        listed = {resource.uri for resource in (await client.list_resources()).resources}
        assert {"perfcrew://runs", links[0]} <= listed
        assert "run-measure" in (await client.read_resource("perfcrew://runs")).contents[0].text


async def test_mistakes_are_told_to_the_model(host: Host, surveyed: list[SurveyOptions]) -> None:
    async with Client(build_server(host)) as client:
        wrong = await client.call_tool("measure", {"workload": ["w"]})
        assert wrong.is_error
        assert "workload" in wrong.content[0].text
        for uri in (
            "perfcrew://runs/none/report.md",
            "perfcrew://runs/../x",
            "perfcrew://runs/a/artifacts/../run.json",
        ):
            with pytest.raises(MCPError, match="there is"):
                await client.read_resource(uri)
        with pytest.raises(MCPError, match="there is no prompt"):
            await client.get_prompt("nothing")
        prompt = (await client.get_prompt("agent:performance", {"text": "Analyze /x"})).messages[0].content.text
        assert "\n/agent:performance Analyze /x\n" in prompt


@pytest.mark.parametrize("how", ["auto", "legacy", "http"])
async def test_a_cancelled_call_ends_its_processes(host: Host, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    pids: list[int] = []
    tidy: list[str] = []

    async def take(options: SurveyOptions, *, settings: Any, watch: Callable[[Event], None]) -> Any:
        file = options.repo / "pid"
        child = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
        try:
            work = asyncio.ensure_future(
                run([sys.executable, "-c", child], cwd=options.repo, environment={}, timeout=60)
            )
            while not (file.exists() and file.read_text()):
                await asyncio.sleep(0.01)
            pids.append(int(file.read_text()))
            watch(Event(kind="tool", text="started"))
            await work
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait([work])
            await asyncio.sleep(0.01)  # cleaning up awaits too
            tidy.append("done")
            raise

    monkeypatch.setattr(measuring, "take_survey", take)
    async with connected(host, how) as client:
        call = asyncio.create_task(client.call_tool("measure", {}))
        while not pids:
            await asyncio.sleep(0.01)
        assert is_running(pids[0])
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        async with asyncio.timeout(60):
            while not tidy:
                await asyncio.sleep(0.01)
        assert tidy == ["done"]
        assert not is_running(pids[0])


async def test_a_run_goes_on_after_its_call_and_waits_for_the_user(
    host: Host, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.writes = True
    go_on = asyncio.Event()
    engine.during = go_on.wait
    manifests: list[Manifest] = []

    async def prepare(options: Any, settings: Any) -> tuple[Manifest, Path]:
        folder = engine.begin(options, settings)
        manifests.append(Manifest.model_validate_json((folder / "run.json").read_text()))
        return manifests[-1], folder

    monkeypatch.setattr(crew_runs, "prepare", prepare)
    monkeypatch.setattr(crew_runs, "run", engine.run)
    async with Client(build_server(host)) as client:
        begun = await client.call_tool("run_commands", {"text": "/recipe api it is slow", "wait_s": 0})
        assert begun.structured_content["state"] == "running"
        run_id = begun.structured_content["run_id"]
        assert engine.given[0].request.approve
        assert engine.given[0].request.variation == "api"
        again = await client.call_tool("run_commands", {"text": "/agent:tester x", "resume": run_id})
        assert "is at work" in again.content[0].text
        go_on.set()
        done = await client.call_tool("run_status", {"run_id": run_id, "wait_s": 20})
        assert done.structured_content["state"] == "finished", done.content
        assert "# " in done.content[0].text
        page = await client.read_resource(f"perfcrew://runs/{run_id}/report.html")
        assert "<html" in page.contents[0].text
    await host.aclose()


async def test_a_plan_waits_for_the_user_and_goes_on_with_the_answer(
    host: Host, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.writes = True
    answers: list[Any] = []

    async def prepare(options: Any, settings: Any) -> tuple[Manifest, Path]:
        folder = engine.begin(options, settings)
        return Manifest.model_validate_json((folder / "run.json").read_text()), folder

    async def run_with_a_plan(options: Any, *, settings: Any, watch: Any, approve: Any) -> Any:
        plan = Plan(round=0, summary="Index it", steps=(), criteria=(), risks="", rollback="")
        answers.append(await approve(plan))
        return await engine.run(options, settings=settings, watch=watch)

    monkeypatch.setattr(crew_runs, "prepare", prepare)
    monkeypatch.setattr(crew_runs, "run", run_with_a_plan)
    async with Client(build_server(host)) as client:
        waiting = await client.call_tool("run_commands", {"text": "/recipe"})
        assert waiting.structured_content["state"] == "waiting"
        assert "Plan: Index it" in waiting.content[0].text
        assert not answers
        run_id = waiting.structured_content["run_id"]
        await client.call_tool("approve_plan", {"run_id": run_id, "approved": True, "note": "go"})
        done = await client.call_tool("run_status", {"run_id": run_id, "wait_s": 20})
        assert done.structured_content["state"] == "finished"
    assert [(answer.approved, answer.note) for answer in answers] == [(True, "go")]


async def test_stopping_the_server_stops_its_runs(host: Host, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host.writes = True
    engine.during = asyncio.Event().wait

    async def prepare(options: Any, settings: Any) -> tuple[Manifest, Path]:
        folder = engine.begin(options, settings)
        return Manifest.model_validate_json((folder / "run.json").read_text()), folder

    monkeypatch.setattr(crew_runs, "prepare", prepare)
    monkeypatch.setattr(crew_runs, "run", engine.run)
    begun = await host.runs.start("/recipe", resume=None, writes=True)
    await host.aclose()
    assert begun.state == "stopped"


def test_other_addresses_are_refused(shop: Path, home: Path, capsys: Said) -> None:
    for address in ("0.0.0.0", "10.0.0.5", "example.org", "::"):
        assert start(["mcp", str(shop), "--http", "--host", address]) == 2
        assert "only loopback is served" in capsys.readouterr().err


async def test_over_http_only_the_token_and_our_own_origin_get_in(host: Host, surveyed: list[SurveyOptions]) -> None:
    heard: Progress = []
    async with listening(host) as url:
        async with (
            httpx2.AsyncClient(headers={"Authorization": "Bearer right"}) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            assert "measure" in {tool.name for tool in (await client.list_tools()).tools}
            done = await client.call_tool("measure", {}, progress_callback=collector(heard))
            assert done.structured_content["run_id"] == "run-measure"
            assert heard[0][1] == "load@shop/base"
        async with httpx.AsyncClient() as plain:
            body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            kinds = {"Accept": "application/json, text/event-stream"}
            for headers, code in (
                ({}, 401),
                ({"Authorization": "Bearer wrong"}, 401),
                ({"Authorization": "Bearer right", "Origin": "http://evil.example"}, 403),
                ({"Authorization": "Bearer right", "Host": "evil.example"}, 421),
            ):
                assert (await plain.post(url, json=body, headers={**kinds, **headers})).status_code == code


async def test_over_standard_input_and_output(shop: Path, home: Path) -> None:
    program = [sys.executable, "-m", "perfcrew", "mcp", str(shop)]
    root = str(Path(measuring.__file__).parents[3])
    variables = {"PATH": os.defpath, "HOME": str(home), "PERFCREW_HOME": str(home), "PYTHONPATH": root}
    parameters = StdioServerParameters(command=program[0], args=program[1:], env=variables)
    async with Client(parameters) as client:
        assert client.server_info.name == "perfcrew"
        assert "measure" in {tool.name for tool in (await client.list_tools()).tools}
        told = await client.call_tool("list_files", {})
        assert told.is_error
        assert "git" in told.content[0].text


async def test_lines_of_standard_input_can_be_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as pipe, os.fdopen(writing, "w") as host_end:
        monkeypatch.setattr(sys, "stdin", pipe)
        lines = await open_stdin()
        host_end.write("é" * 20_000 + "\n{}\n")
        host_end.flush()
        assert [len(await anext(lines)), await anext(lines)] == [20_001, "{}\n"]
        waiting = asyncio.create_task(anext(lines))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert os.get_blocking(reading)


async def test_a_port_that_is_taken_is_one_line(host: Host) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="can't be listened on"):
            await serve_http(host, "right", "127.0.0.1", taken.getsockname()[1])
