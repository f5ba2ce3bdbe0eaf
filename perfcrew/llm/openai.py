"""What both OpenAI wires share: the client and its failures."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import openai as sdk

from perfcrew.llm.faults import read_body, refused, unreachable

PROVIDER = "openai"
BASE_URL = "https://api.openai.com/v1"


class Raw(Protocol):
    """A response before the SDK makes a model of it."""

    @property
    def http_response(self) -> Any:
        """The HTTP response, read to its end."""
        ...


class Connection:
    """A client of OpenAI or a compatible server, without retries of its own.

    Args:
        api_key: the key; any text for servers that want none.
        base_url: the service, up to and including `/v1`.
        timeout: seconds for one whole answer.
    """

    def __init__(self, api_key: str, base_url: str = BASE_URL, timeout: float = 900.0) -> None:
        self._secret = api_key
        self.url = base_url
        self.client = sdk.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            timeout=sdk.Timeout(timeout, connect=10.0),
            max_retries=0,
        )

    @property
    def is_openai(self) -> bool:
        """Whether this is OpenAI's own service, with its newer and stricter rules."""
        return self.url.rstrip("/") == BASE_URL

    async def send(self, call: Callable[[], Awaitable[Raw]]) -> tuple[dict[str, Any], str | None]:
        """Make a call; give the response body and the request id.

        Raises:
            LLMError: the service refused, could not be reached, or sent something that is not JSON.
        """
        try:
            raw = await call()
        except sdk.APIStatusError as error:
            headers = error.response.headers
            raise refused(
                PROVIDER, error.status_code, headers, error.body, request_id=error.request_id, secret=self._secret
            ) from error
        except sdk.APIConnectionError as error:
            late = isinstance(error, sdk.APITimeoutError)
            raise unreachable(PROVIDER, error, url=self.url, timeout=late, secret=self._secret) from error
        request_id = raw.http_response.headers.get("x-request-id")
        return read_body(PROVIDER, raw.http_response.content, request_id), request_id

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.close()


def bare_name(model: str) -> str:
    """A model's name as the service knows it. Names on local servers may hold slashes of their own."""
    prefix, _, name = model.partition("/")
    return name if prefix in ("openai", "openai-chat") else model
