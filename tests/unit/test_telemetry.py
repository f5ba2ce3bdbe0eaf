"""Traces and the JSON log of a whole replayed run, as a collector and a log reader get them."""

import json
import subprocess  # noqa: TID251  a process of its own, to see what it imports
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from otlp_collector import Collector, collecting, values
from rich.console import Console

from perfcrew.entry.cli import start
from perfcrew.event_log import EVENT_LOG
from perfcrew.records.events import Event
from perfcrew.settings import load_settings
from perfcrew.telemetry import TELEMETRY, split_model

REPLAY = ["eval", "--replay", "dashboard"]
Said = pytest.CaptureFixture[str]


@pytest.fixture
def collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PERFCREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        yield made
        TELEMETRY.switch_off()


def named(collector: Collector, operation: str) -> list[Any]:
    return [span for span in collector.spans() if values(span.attributes).get("gen_ai.operation.name") == operation]


def test_a_run_is_one_trace_of_phases_agents_calls_and_tools(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=ci")
    assert start(REPLAY) == 0
    spans = collector.spans()
    assert set(collector.paths) == {"/v1/traces"}
    assert collector.headers[0]["x-key"] == "a b"
    assert collector.resource()["service.name"] == "perfcrew"
    assert collector.resource()["deployment.environment"] == "ci"
    (run,) = named(collector, "invoke_workflow")
    assert len({span.trace_id for span in spans}) == 1
    by_id = {span.span_id: span for span in spans}
    agents = named(collector, "invoke_agent")
    assert {span.name for span in agents} >= {
        "invoke_agent performance",
        "invoke_agent architect",
        "invoke_agent coder",
    }
    assert all(by_id[span.parent_span_id].name.startswith("phase ") for span in agents)
    assert all(by_id[by_id[span.parent_span_id].parent_span_id].span_id == run.span_id for span in agents)
    chats = named(collector, "chat")
    assert all(by_id[span.parent_span_id] in agents for span in chats)
    told = values(chats[0].attributes)
    assert told["gen_ai.usage.input_tokens"] > 0
    assert told["gen_ai.request.model"]
    assert told["gen_ai.provider.name"] in ("anthropic", "openai")
    assert told["gen_ai.response.finish_reasons"]
    assert told["perfcrew.replayed"] is True
    tools = {values(span.attributes)["gen_ai.tool.name"] for span in named(collector, "execute_tool")}
    assert {"load", "queries", "read_file", "replace_text"} <= tools
    said = json.dumps([values(span.attributes) for span in spans])
    assert "SELECT" not in said
    assert "gen_ai.input.messages" not in said


def test_what_was_said_is_in_them_only_when_asked_for(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "dashboard/services")  # a "secret" that the conversations do hold
    assert start(REPLAY) == 0
    told = [values(span.attributes) for span in named(collector, "chat")]
    messages = json.loads(told[-1]["gen_ai.input.messages"])
    assert messages[0]["role"] == "user"
    assert {part["type"] for message in messages for part in message["parts"]} >= {"text", "tool_call"}
    assert json.loads(told[0]["gen_ai.output.messages"])[0]["finish_reason"]
    said = json.dumps([values(span.attributes) for span in collector.spans()])
    assert "dashboard/services" not in said
    assert "[redacted]" in said


def test_a_collector_that_refuses_costs_one_line(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    collector.code = 400
    assert start([*REPLAY]) == 0
    assert collector.paths
    TELEMETRY.switch_off()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "")])
def test_off_means_nothing_is_sent(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert load_settings().traces_endpoint is None


def test_off_costs_no_import(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom perfcrew.telemetry import TELEMETRY\n"
        "with TELEMETRY.span('x', {}) as span:\n    span.note({'a': 1})\n    span.say('b', lambda: 1 / 0)\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
        "import graphs.engine, graphs.survey\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.exporter')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n[]\n"


def test_an_error_is_named_without_its_message(collector: Collector) -> None:
    TELEMETRY.switch_on(f"{collector.url}/v1/traces", captures=False, tell=print)
    with pytest.raises(ValueError, match="secret"), TELEMETRY.span("doing", {}):
        raise ValueError("a secret")
    TELEMETRY.flush()
    (span,) = collector.spans()
    assert values(span.attributes) == {"error.type": "ValueError"}
    assert "secret" not in str(span)
    assert span.status.code == 2


def test_models_are_named_as_the_conventions_do() -> None:
    assert split_model("openai-chat/qwen/3") == ("openai", "qwen/3")
    assert split_model("anthropic/claude-opus-5-5") == ("anthropic", "claude-opus-5-5")
    assert split_model("recorded") == ("recorded", "recorded")


@pytest.fixture
def log() -> Any:
    yield EVENT_LOG
    EVENT_LOG.close()


def test_a_log_line_is_json_with_what_is_known(log: Any, capsys: Said) -> None:
    heard: list[Event] = []
    assert log.listen(heard.append, "r") == heard.append
    log.open()
    watch = log.listen(heard.append, "r-1")
    watch(Event(kind="warning", text="no Chromium\nmore", phase="baseline"))
    watch(Event(kind="turn", text="é", role="coder", figures={"tokens": 3.0}))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line.pop("time")[-1] for line in lines] == ["Z", "Z"]
    assert lines == [
        {"level": "warning", "kind": "warning", "text": "no Chromium\nmore", "run_id": "r-1", "phase": "baseline"},
        {"level": "info", "kind": "turn", "text": "é", "run_id": "r-1", "role": "coder", "figures": {"tokens": 3.0}},
    ]
    assert len(heard) == 2
    click.echo("for people", err=True)
    Console(stderr=True).print("[bold]and[/bold] more\n")
    assert [json.loads(line)["text"] for line in capsys.readouterr().err.splitlines()] == ["for people", "and more"]


def test_errors_are_lines_of_the_log_too(log: Any, tmp_path: Path, capsys: Said) -> None:
    assert start(["measure", str(tmp_path), "--log-json", "--json", "-"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["level"], told["exit_code"]) == ("error", 2)
    assert "perfcrew.toml" in told["text"]


@pytest.mark.parametrize("command", ["run", "demo", "exec", "batch", "measure", "compare"])
def test_every_command_that_works_long_can_log(command: str) -> None:
    from perfcrew.entry.cli import cli

    assert "--log-json" in {option for each in cli.commands[command].params for option in each.opts}
