"""Estimates of tokens, and what they learn."""

import hashlib
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from perfcrew.llm import tokens
from perfcrew.llm.base import Message, Opaque, Request, Text, ToolCall, ToolResult, ToolSpec, Usage
from perfcrew.llm.tokens import TABLES_URL, TokenGauge, count_bytes, estimate_tokens, load_tables


def asking(text: str, model: str = "anthropic/a") -> Request:
    return Request(model=model, system="", messages=(Message(role="user", blocks=(Text(text=text),)),))


def test_bytes_are_counted_not_characters() -> None:
    assert count_bytes("x" * 32) == 10
    assert count_bytes("ü" * 16) == 10
    assert count_bytes("\ud800") > 0, "half a surrogate is no reason to fail"


def test_everything_that_is_sent_counts() -> None:
    bare = estimate_tokens(asking("x" * 3200))
    assert bare == 1004
    long = "x" * 320
    parts = [
        {"system": long},
        {"tools": (ToolSpec(name="t", description=long, parameters={}),)},
        *(
            {"messages": (*asking("x" * 3200).messages, Message(role="assistant", blocks=(block,)))}
            for block in (
                Text(text=long),
                ToolCall(id="1", name="t", arguments={"a": long}),
                ToolResult(call="1", content=long),
                Opaque(provider="anthropic", data={"thinking": long}),
            )
        ),
    ]
    for part in parts:
        assert 100 <= estimate_tokens(asking("x" * 3200).model_copy(update=part)) - bare <= 125


def test_a_gauge_learns_each_models_ratio() -> None:
    gauge = TokenGauge()
    request = asking("x" * 32000)
    before = gauge.estimate(request)
    gauge.learn(request, Usage(input_tokens=13_000))
    assert gauge.estimate(request) == pytest.approx(13_000, abs=1)
    longer = asking("x" * 64000)
    assert gauge.estimate(longer) == pytest.approx(26_000, rel=0.01)
    assert gauge.estimate(asking("x" * 32000, "openai/b")) == before


def test_the_last_count_is_the_one_that_holds() -> None:
    gauge, request = TokenGauge(), asking("x" * 32000)
    gauge.learn(request, Usage(input_tokens=20_000))
    gauge.learn(request, Usage(input_tokens=8_000))
    assert gauge.estimate(request) == pytest.approx(8_000, abs=1)


def test_nonsense_teaches_little() -> None:
    gauge, request = TokenGauge(), asking("x" * 3200)
    plain = gauge.estimate(request)
    gauge.learn(request, Usage())
    assert gauge.estimate(request) == plain
    gauge.learn(request, Usage(input_tokens=10_000_000))
    assert gauge.estimate(request) == plain * 4


async def test_without_tables_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    assert await load_tables(tmp_path) is None


def fake_tiktoken(monkeypatch: pytest.MonkeyPatch, folder: Path, seconds: float) -> None:
    """A tiktoken whose tables are in the folder, and which takes its time."""
    (folder / hashlib.sha1(TABLES_URL.encode()).hexdigest()).touch()
    module = ModuleType("tiktoken")

    class Encoding:
        def encode(self, text: str, disallowed_special: Any) -> list[int]:
            return [0] * len(text.split())

    def get_encoding(name: str) -> Encoding:
        time.sleep(seconds)
        assert name == "o200k_base"
        return Encoding()

    module.get_encoding = get_encoding  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tiktoken", module)


async def test_tables_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tiktoken(monkeypatch, tmp_path, 0)
    count = await load_tables(tmp_path)
    assert count is not None
    assert estimate_tokens(asking("one two <|endoftext|>"), count) == 7


async def test_tables_that_take_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tiktoken(monkeypatch, tmp_path, 0.1)
    assert await load_tables(tmp_path, seconds=0.01) is None


def test_tiktoken_is_not_imported_with_the_module() -> None:
    assert not hasattr(tokens, "tiktoken")
