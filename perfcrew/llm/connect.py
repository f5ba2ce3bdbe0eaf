"""From a model's name to whoever answers for it. The vendors' SDKs are heavy: each is imported when first needed."""

import ipaddress
from urllib.parse import urlsplit

from pydantic import SecretStr

from perfcrew.errors import UserError
from perfcrew.llm.base import LLM

WIRES = ("anthropic", "openai", "openai-chat")
FAMILIES = {"claude": "anthropic", "gpt": "openai"}
NO_KEY = "none"

Secret = SecretStr | str | None


def full_name(model: str) -> str:
    """A model's name with its provider: `claude-opus-5-5` becomes `anthropic/claude-opus-5-5`.

    Raises:
        UserError: no provider is named, and the name doesn't tell.
    """
    wire, slash, name = model.partition("/")
    if slash and wire in WIRES and name:
        return model
    for start, family in FAMILIES.items():
        if model.startswith(start) and not slash:
            return f"{family}/{model}"
    raise UserError(f"model {model!r}: name its provider, as in {', '.join(f'{wire}/NAME' for wire in WIRES)}")


def connect(
    model: str,
    *,
    anthropic_api_key: Secret = None,
    anthropic_base_url: str | None = None,
    openai_api_key: Secret = None,
    openai_base_url: str | None = None,
    timeout: float = 900.0,
) -> LLM:
    """An adapter that answers requests for a model.

    Args:
        model: `anthropic/NAME` (Messages), `openai/NAME` (Responses) or `openai-chat/NAME` (Chat Completions).
        anthropic_api_key: needed for the `anthropic` wire unless its base URL is on this machine.
        anthropic_base_url: another address that speaks Messages.
        openai_api_key: needed for both `openai` wires unless their base URL is on this machine.
        openai_base_url: another address that speaks OpenAI's wires; `/v1` is added where no path is given.
        timeout: seconds for one whole answer.

    Raises:
        UserError: the name has no provider, a key is missing, or a base URL isn't one.
    """
    wire = full_name(model).partition("/")[0]
    if wire == "anthropic":
        url = _checked("ANTHROPIC_BASE_URL", anthropic_base_url)
        key = _key("ANTHROPIC_API_KEY", anthropic_api_key, url, model)
        from perfcrew.llm import anthropic

        # The SDK adds /v1 itself, and people copy addresses with it.
        return anthropic.Anthropic(key, url.removesuffix("/v1") if url else anthropic.BASE_URL, timeout)
    url = _checked("OPENAI_BASE_URL", openai_base_url)
    key = _key("OPENAI_API_KEY", openai_api_key, url, model)
    if url and not urlsplit(url).path:
        url += "/v1"
    from perfcrew.llm import openai, openai_chat, openai_responses

    adapter = openai_responses.OpenAIResponses if wire == "openai" else openai_chat.OpenAIChat
    return adapter(key, url or openai.BASE_URL, timeout)


def _checked(variable: str, url: str | None) -> str | None:
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{variable}: {url!r} is not an address such as http://127.0.0.1:8000/v1")
    return url.rstrip("/")


def _key(variable: str, given: Secret, url: str | None, model: str) -> str:
    key = given.get_secret_value() if isinstance(given, SecretStr) else given
    if key:
        return key
    if url and _is_loopback(url):
        return NO_KEY
    raise UserError(f"model {model}: no key; set {variable} in the environment or in .env")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
