"""From a model's name to whoever answers for it. The vendors' SDKs are heavy: each is imported when first needed."""

import ipaddress
from typing import TYPE_CHECKING, NamedTuple, TypedDict, Unpack
from urllib.parse import urlsplit

from pydantic import SecretStr

from perfcrew.errors import UserError
from perfcrew.llm.base import LLM
from perfcrew.llm.models import LISTED, Catalogue

if TYPE_CHECKING:
    from perfcrew.llm.wire import Wire

WIRES = ("anthropic", "openai", "openai-chat")
FAMILIES = {"claude": "anthropic", "gpt": "openai"}
NO_KEY = "none"

Secret = SecretStr | str | None


class Access(TypedDict, total=False):
    """Keys and addresses of services."""

    anthropic_api_key: Secret
    """Needed for the `anthropic` wire unless its base URL is on this machine."""
    anthropic_base_url: str | None
    """Another address that speaks Messages."""
    openai_api_key: Secret
    """Needed for both `openai` wires unless their base URL is on this machine."""
    openai_base_url: str | None
    """Another address that speaks OpenAI's wires; `/v1` is added where no path is given."""
    openai_chat_api_key: Secret
    """For the server at `openai_chat_base_url`; no other key is ever sent there."""
    openai_chat_base_url: str | None
    """Where `openai-chat` models are, when not where `openai` models are."""


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


class Service(NamedTuple):
    """Where a model answers."""

    wire: str
    url: str | None
    """None is the vendor's own address."""
    key: str


def locate(model: str, **access: Unpack[Access]) -> Service:
    """Who would be asked for a model. Costs no import of an SDK.

    Raises:
        UserError: the name has no provider, a key is missing, or a base URL isn't one.
    """
    model = full_name(model)
    wire = model.partition("/")[0]
    if wire == "anthropic":
        url = _checked("ANTHROPIC_BASE_URL", access.get("anthropic_base_url"))
        key = _key("ANTHROPIC_API_KEY", access.get("anthropic_api_key"), url, model)
        # The SDK adds /v1 itself, and people copy addresses with it.
        return Service(wire, url and url.removesuffix("/v1"), key)
    service, given, place = "OPENAI", access.get("openai_api_key"), access.get("openai_base_url")
    if wire == "openai-chat" and access.get("openai_chat_base_url"):
        service, given, place = "OPENAI_CHAT", access.get("openai_chat_api_key"), access["openai_chat_base_url"]
    url = _checked(f"{service}_BASE_URL", place)
    key = _key(f"{service}_API_KEY", given, url, model)
    return Service(wire, f"{url}/v1" if url and not urlsplit(url).path else url, key)


def connect(
    model: str,
    *,
    timeout: float = 900.0,
    stream: bool = False,
    catalogue: Catalogue = LISTED,
    **access: Unpack[Access],
) -> LLM:
    """An adapter that answers requests for a model.

    Args:
        model: `anthropic/NAME` (Messages), `openai/NAME` (Responses) or `openai-chat/NAME` (Chat Completions).
        timeout: seconds for one whole answer.
        stream: take every answer in pieces, also when nobody listens.
        catalogue: what is known of models.
        access: keys and addresses.

    Raises:
        UserError: the name has no provider, a key is missing, or a base URL isn't one.
    """
    wire, url, key = locate(model, **access)
    from perfcrew.llm import abilities

    able = abilities.Abilities.of(catalogue.find(full_name(model)))
    return _adapter(wire)(key, url, timeout, stream=stream, abilities=able)


def _adapter(wire: str) -> "type[Wire]":
    if wire == "anthropic":
        from perfcrew.llm.anthropic import Anthropic

        return Anthropic
    if wire == "openai":
        from perfcrew.llm.openai_responses import OpenAIResponses

        return OpenAIResponses
    from perfcrew.llm.openai_chat import OpenAIChat

    return OpenAIChat


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
