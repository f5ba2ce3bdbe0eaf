"""The chat in a real pseudo-terminal, as a user meets it; replies and tools come from the dashboard's recording."""

import os
import re
import select
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from recipe_example import EXAMPLE

from evals.case import find_case
from perfcrew.entry.plain_lines import PlainLines
from perfcrew.entry.prompting import Words
from tests.llm_endpoint import RequestView, ScriptedEndpoint

CASE = find_case("dashboard")
PATIENCE_S = 60
pytestmark = pytest.mark.filterwarnings("ignore:.*forkpty.*:DeprecationWarning")


@pytest.fixture
def waits() -> Iterator[threading.Event]:
    """Set to let the model answer a question that it is slow about."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def guide(waits: threading.Event) -> Iterator[ScriptedEndpoint]:
    def script(request: RequestView) -> dict[str, Any]:
        brief = request.messages[0].text
        if brief.endswith("take your time"):
            waits.wait(PATIENCE_S)
        answer = {"evidence": re.findall(r"### Evidence `(queries@[^`]+)`", brief)[:1], "command": "/agent:coder"}
        return {"text": "It sends 45 queries a request.", "tool_calls": [{"name": "answer", "arguments": answer}]}

    with ScriptedEndpoint(script) as endpoint:
        yield endpoint


def open_chat(home: Path, guide: ScriptedEndpoint, *words: str, term: str = "xterm-256color") -> Any:
    case = [str(CASE.app), "--config", str(CASE.config), "--replay", str(CASE.recording), "--recorded-tools"]
    return pexpect.spawn(
        sys.executable,
        ["-P", "-m", "perfcrew", "chat", *(words or case)],
        env={
            "PATH": os.defpath, "TERM": term, "HOME": str(home), "PERFCREW_HOME": str(home), "LANG": "C.UTF-8",
            "OPENAI_API_KEY": "not-used", "OPENAI_BASE_URL": f"{guide.base_url}/v1",
            # Nobody answers the question where the cursor is.
            "PROMPT_TOOLKIT_NO_CPR": "1",
        },
        encoding="utf-8", timeout=PATIENCE_S, dimensions=(40, 110),
        # What a shell starts in the background ignores Ctrl-C, and so would all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def test_a_whole_talk_at_a_terminal(tmp_path: Path, guide: ScriptedEndpoint, waits: threading.Event) -> None:
    chat = open_chat(tmp_path, guide)
    chat.expect("perfcrew chat on")
    chat.expect("›")
    for typed, shown in (
        ("/stat", "/status"),
        ("\t", "us"),
        ("\r", "there is no run here yet; begin with /agent:perf"),
    ):
        chat.send(typed)
        chat.expect(shown)
    chat.send("/stauts\r")
    chat.expect(r"no such command /stauts; did you mean /status\?")
    chat.send(f"\x1b[200~{EXAMPLE}\x1b[201~")
    chat.send("\r")
    for shown in ("performance_baseline.*Measure the baseline", "the whole branch: improved", "All were"):
        chat.expect(shown)
    chat.send("what costs most?\r")
    for shown in ("It sends 45 queries a request", "rests on: .*queries@", "/agent:coder", "Tab takes"):
        chat.expect(shown)
    break_off(chat, guide)
    waits.set()
    chat.setwinsize(24, 60)
    chat.send("/undo\r")
    chat.expect("withdrawn: Validate and encode")
    chat.expect("›")
    chat.send("half a line")
    chat.sendcontrol("c")
    chat.send("/quit\r")
    chat.expect(r"Go on with: perfcrew chat --resume (\S+)")
    chat.expect(pexpect.EOF)
    chat.close()
    assert chat.exitstatus == 0
    assert all(body["stream"] for body in guide.bodies)
    history = (tmp_path / "chat_history").read_text()
    assert "+/undo" in history and "+# Phase 4: Parallel Validation" in history


def break_off(chat: Any, guide: ScriptedEndpoint) -> None:
    """Ctrl-C while the model is asked."""
    asked = guide.count
    chat.send("take your time\r")
    while guide.count == asked:
        select.select([], [], [], 0.01)
    chat.sendcontrol("c")
    chat.expect("stopped")
    chat.expect("is kept; /resume goes on")


def test_a_dumb_terminal_gets_lines(tmp_path: Path, guide: ScriptedEndpoint) -> None:
    chat = open_chat(tmp_path, guide, term="dumb")
    heard = []
    chat.expect_exact("perfcrew> ")
    heard.append(chat.before)
    chat.sendline("/agent:performance Look\\\n\n- at the dashboard")
    chat.expect("noise floor measured")
    heard.append(chat.before)
    chat.expect_exact("perfcrew> ")
    heard.append(chat.before)
    chat.sendcontrol("c")
    chat.expect_exact("perfcrew> ")
    chat.sendline("and now?")
    chat.expect("It sends 45 queries a request")
    chat.expect_exact("perfcrew> ")
    chat.sendcontrol("d")
    chat.expect("Go on with: perfcrew chat --resume")
    chat.expect(pexpect.EOF)
    chat.close()
    assert chat.exitstatus == 0
    assert "DONE         Measure the baseline" in "".join(heard)
    assert "\x1b" not in "".join(heard)


def completed(words: Words, text: str, *, asked: bool = False) -> list[str]:
    event = CompleteEvent(completion_requested=asked, text_inserted=not asked)
    return [
        text[: len(text) + item.start_position] + item.text for item in words.get_completions(Document(text), event)
    ]


def test_commands_runs_and_paths_are_completed(tmp_path: Path) -> None:
    for name in ("20260101-000000-aa", "20260102-000000-bb"):
        (tmp_path / "home" / "runs" / name).mkdir(parents=True)
    (tmp_path / "shop" / "src").mkdir(parents=True)
    (tmp_path / "shop" / "src" / "orders.py").write_text("")
    words = Words(tmp_path / "home", tmp_path / "shop", lambda: "/agent:architect No breaking changes")
    assert completed(words, "/re") == ["/recipe", "/report", "/resume"]
    assert completed(words, "/perf") == ["/agent:performance"]
    assert completed(words, "/agent:performance\n/st") == ["/agent:performance\n/status"]
    assert completed(words, "/resume 20260102") == ["/resume 20260102-000000-bb"]
    assert completed(words, "/resume ") == ["/resume last", "/resume 20260102-000000-bb", "/resume 20260101-000000-aa"]
    assert completed(words, "/recipe d") == ["/recipe database"]
    assert completed(words, "look at src/or") == ["look at src/orders.py"]
    assert completed(words, "look", asked=True) == []
    assert completed(words, "") == []
    assert completed(words, "", asked=True) == ["/agent:architect No breaking changes"]


def test_lines_that_come_at_once_are_one_thing_said() -> None:
    reading, writing = os.pipe()
    lines = PlainLines(reading, None)
    os.write(writing, b"/agent:performance\n- one\n")
    assert lines.read() == "/agent:performance\n- one\n"
    os.write(writing, b"one \\\n")
    threading.Timer(0.2, lambda: (os.write(writing, b"two\n"), os.close(writing))).start()
    assert lines.read() == "one \ntwo\n"
    with pytest.raises(EOFError):
        lines.read()
    os.close(reading)
