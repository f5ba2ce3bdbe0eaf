"""What both OpenAI wires share: the client, names, and how a service's refusals are taken."""

import openai as sdk

from perfcrew.llm.connection import Connection

PROVIDER = "openai"
BASE_URL = "https://api.openai.com/v1"


def open_connection(api_key: str, base_url: str, timeout: float) -> Connection:
    """A client of OpenAI or a compatible server.

    Args:
        api_key: the key; any text for servers that want none.
        base_url: the service, up to and including `/v1`.
        timeout: seconds for one whole answer.
    """
    limits = sdk.Timeout(timeout, connect=10.0)
    client = sdk.AsyncOpenAI(api_key=api_key, base_url=base_url, timeout=limits, max_retries=0)
    return Connection(PROVIDER, sdk, client, url=base_url, secret=api_key, timeout=timeout, id_header="x-request-id")


def is_openai(connection: Connection) -> bool:
    """Whether this is OpenAI's own service, with its newer and stricter rules."""
    return connection.url.rstrip("/") == BASE_URL


def bare_name(model: str) -> str:
    """A model's name as the service knows it. Names on local servers may hold slashes of their own."""
    prefix, _, name = model.partition("/")
    return name if prefix in ("openai", "openai-chat") else model
