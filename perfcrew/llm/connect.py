"""From a model's name to whoever answers for it. The vendors' SDKs are heavy: each is imported when first needed."""

import ipaddress
from urllib.parse import urlsplit

from pydantic import SecretStr

from perfcrew.errors import UserError
from perfcrew.llm.base import LLM
from perfcrew.llm.models import LISTED, Catalogue

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
    openai_chat_api_key: Secret = None,
    openai_chat_base_url: str | None = None,
    timeout: float = 900.0,
    stream: bool = False,
    catalogue: Catalogue = LISTED,
) -> LLM:
    """An adapter that answers requests for a model.

    Args:
        model: `anthropic/NAME` (Messages), `openai/NAME` (Responses) or `openai-chat/NAME` (Chat Completions).
        anthropic_api_key: needed for the `anthropic` wire unless its base URL is on this machine.
        anthropic_base_url: another address that speaks Messages.
        openai_api_key: needed for both `openai` wires unless their base URL is on this machine.
        openai_base_url: another address that speaks OpenAI's wires; `/v1` is added where no path is given.
        openai_chat_api_key: for the server at `openai_chat_base_url`; no other key is ever sent there.
        openai_chat_base_url: where `openai-chat` models are, when not where `openai` models are.
        timeout: seconds for one whole answer.
        stream: take every answer in pieces, also when nobody listens.
        catalogue: what is known of models.

    Raises:
        UserError: the name has no provider, a key is missing, or a base URL isn't one.
    """
    model = full_name(model)
    wire = model.partition("/")[0]
    if wire == "anthropic":
        url = _checked("ANTHROPIC_BASE_URL", anthropic_base_url)
        key = _key("ANTHROPIC_API_KEY", anthropic_api_key, url, model)
        from perfcrew.llm import abilities, anthropic

        able = abilities.Abilities.of(catalogue.find(model))
        # The SDK adds /v1 itself, and people copy addresses with it.
        address = url.removesuffix("/v1") if url else anthropic.BASE_URL
        return anthropic.Anthropic(key, address, timeout, stream=stream, abilities=able)
    service, given, place = "OPENAI", openai_api_key, openai_base_url
    if wire == "openai-chat" and openai_chat_base_url:
        service, given, place = "OPENAI_CHAT", openai_chat_api_key, openai_chat_base_url
    url = _checked(f"{service}_BASE_URL", place)
    key = _key(f"{service}_API_KEY", given, url, model)
    if url and not urlsplit(url).path:
        url += "/v1"
    from perfcrew.llm import abilities, openai, openai_chat, openai_responses

    able = abilities.Abilities.of(catalogue.find(model))
    adapter = openai_responses.OpenAIResponses if wire == "openai" else openai_chat.OpenAIChat
    return adapter(key, url or openai.BASE_URL, timeout, stream=stream, abilities=able)


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
