"""The scripted endpoint as a process, for runs that are killed while it goes on."""

import asyncio
import json
import sys
from pathlib import Path

from perfcrew.llm.base import Message, Request, Text
from perfcrew.llm.connect import connect
from tools.process import start

ROOT = Path(__file__).parents[2]
SCRIPT = """
def reply(request):
    return {"text": f"{request.number}: {request.last_text}"}
"""


async def test_the_endpoint_as_a_process(tmp_path: Path) -> None:
    script, log, out = tmp_path / "script.py", tmp_path / "log.jsonl", tmp_path / "out.txt"
    script.write_text(SCRIPT)
    argv = [sys.executable, "-m", "tests.llm_endpoint", "--script", str(script), "--port", "0", "--log", str(log)]
    process = await start(argv, cwd=ROOT, environment={}, log=out)
    try:
        for _ in range(500):
            if out.read_text().endswith("\n"):
                break
            await asyncio.sleep(0.02)
        url = f"http://127.0.0.1:{int(out.read_text())}"
        for number, model in enumerate(("anthropic/a", "openai/b", "openai-chat/c"), 1):
            llm = connect(model, anthropic_base_url=url, openai_base_url=url)
            said = Message(role="user", blocks=(Text(text="hello"),))
            reply = await llm.complete(Request(model=model, system="", messages=(said,)))
            await llm.aclose()  # type: ignore[attr-defined]
            assert reply.text == f"{number}: hello"
    finally:
        await process.stop(5)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["n"], line["api"], line["model"], line["status"]) for line in lines] == [
        (1, "anthropic", "a", 200),
        (2, "responses", "b", 200),
        (3, "chat", "c", 200),
    ]
