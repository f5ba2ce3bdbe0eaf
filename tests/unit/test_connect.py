"""From names to adapters."""

import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from perfcrew.errors import UserError
from perfcrew.llm.anthropic import Anthropic
from perfcrew.llm.connect import connect, full_name
from perfcrew.llm.openai_chat import OpenAIChat
from perfcrew.llm.openai_responses import OpenAIResponses
from tools.process import run


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("claude-opus-5-5", "anthropic/claude-opus-5-5"),
        ("gpt-6.2-sol", "openai/gpt-6.2-sol"),
        ("openai-chat/meta/llama-3", "openai-chat/meta/llama-3"),
        ("anthropic/anything", "anthropic/anything"),
    ],
)
def test_names(given: str, full: str) -> None:
    assert full_name(given) == full


@pytest.mark.parametrize("given", ["llama3", "", "anthropic/", "mistral/large", "meta/gpt", "/x"])
def test_names_that_tell_no_provider(given: str) -> None:
    with pytest.raises(UserError, match="name its provider, as in anthropic/NAME, openai/NAME, openai-chat/NAME"):
        full_name(given)


def test_each_prefix_has_its_adapter() -> None:
    keys = {"anthropic_api_key": SecretStr("a"), "openai_api_key": "b"}
    assert isinstance(connect("claude-opus-5-5", **keys), Anthropic)  # type: ignore[arg-type]
    assert isinstance(connect("openai/x", **keys), OpenAIResponses)  # type: ignore[arg-type]
    assert isinstance(connect("openai-chat/x", **keys), OpenAIChat)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("anthropic/x", "ANTHROPIC_API_KEY"),
        ("openai/x", "OPENAI_API_KEY"),
        ("openai-chat/x", "OPENAI_API_KEY"),
    ],
)
def test_a_missing_key_is_named(model: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "set behind our back")
    for url in (None, "https://llm.example.com"):
        with pytest.raises(UserError) as caught:
            connect(model, anthropic_base_url=url, openai_base_url=url, anthropic_api_key="", openai_api_key=None)
        assert str(caught.value) == f"model {model}: no key; set {variable} in the environment or in .env"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost"])
@pytest.mark.parametrize("model", ["anthropic/x", "openai/x", "openai-chat/x"])
def test_this_machine_needs_no_key(host: str, model: str) -> None:
    url = f"http://{host}:9"
    connect(model, anthropic_base_url=url, openai_base_url=url)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "localhost:11434", "ftp://x", "http://"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(UserError, match="is not an address") as caught:
        connect("openai-chat/x", openai_base_url=url)
    assert str(caught.value).startswith("OPENAI_BASE_URL: ")
    with pytest.raises(UserError, match="ANTHROPIC_BASE_URL"):
        connect("anthropic/x", anthropic_base_url=url)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9/v1"),
        ("http://127.0.0.1:9/", "http://127.0.0.1:9/v1"),
        ("http://127.0.0.1:9/v1/", "http://127.0.0.1:9/v1"),
        ("http://127.0.0.1:9/proxy/openai", "http://127.0.0.1:9/proxy/openai"),
    ],
)
def test_openai_addresses(given: str, used: str) -> None:
    llm = connect("openai/x", openai_base_url=given)
    assert isinstance(llm, OpenAIResponses)
    assert llm._connection.url == used


@pytest.mark.parametrize("given", ["http://127.0.0.1:9", "http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1/"])
def test_anthropic_addresses(given: str) -> None:
    llm = connect("anthropic/x", anthropic_base_url=given)
    assert isinstance(llm, Anthropic)
    assert llm._connection.url == "http://127.0.0.1:9"


async def test_the_sdks_stay_out_until_needed(tmp_path: Path) -> None:
    heavy = ["anthropic", "openai", "httpx2", "tiktoken"]
    code = f"import sys, perfcrew.llm.connect; print([name for name in {heavy} if name in sys.modules])"
    done = await run([sys.executable, "-c", code], cwd=tmp_path, environment={}, timeout=60)
    assert (done.out.strip(), done.code) == ("[]", 0)
