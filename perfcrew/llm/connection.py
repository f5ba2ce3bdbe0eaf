"""One connection to a model service, through its vendor's SDK: plain or streamed, each failure an `LLMError`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

import httpx2

from perfcrew.llm.base import Listener
from perfcrew.llm.faults import broken_off, odd_body, read_body, refused, unreachable

MOST_EVENT_BYTES = 64 * 1024 * 1024
"""Of one event in a stream: the last one of OpenAI's Responses holds the whole answer and what was asked."""
DONE = "[DONE]"


class Fold(Protocol):
    """Puts the events of a stream together to the body that a plain answer has."""

    def take(self, event: dict[str, Any]) -> str:
        """Take one event in; the text that a listener hears of it."""
        ...

    def end(self) -> None:
        """The service said that this was all."""
        ...

    def body(self) -> dict[str, Any] | None:
        """The body; None when the stream ended before the answer did."""
        ...


class Answer(NamedTuple):
    """A body, and the service's id of the request."""

    body: dict[str, Any]
    request_id: str | None


class Connection:
    """A client of one service, without retries of its own.

    Args:
        provider: named in errors.
        sdk: the vendor's package; both are made by one generator and raise errors of the same names.
        client: the SDK's asynchronous client.
        url: the service's address, for errors.
        secret: the key, which never stands in an error.
        timeout: seconds for one whole answer, however slowly it trickles.
        id_header: the header with the request's id.
    """

    def __init__(
        self, provider: str, sdk: Any, client: Any, *, url: str, secret: str, timeout: float, id_header: str
    ) -> None:
        self.provider, self.url, self.client = provider, url, client
        self._sdk, self._secret, self._timeout, self._id_header = sdk, secret, timeout, id_header

    async def send(self, path: str, content: bytes, fold: Fold, listener: Listener | None = None) -> Answer:
        """Post a body and read the answer to its end, in whichever of the two forms the service gives it.

        Raises:
            LLMError: the service refused, could not be reached, or sent something that is not a whole answer.
        """
        request_id = None
        try:
            async with asyncio.timeout(self._timeout), self._post(path, content) as response:
                request_id = response.headers.get(self._id_header)
                if not response.headers.get("content-type", "").startswith("text/event-stream"):
                    return Answer(read_body(self.provider, await response.aread(), request_id), request_id)
                return Answer(await self._listen(response, request_id, fold, listener), request_id)
        except self._sdk.APIStatusError as error:
            headers = error.response.headers
            raise refused(
                self.provider,
                error.status_code,
                headers,
                error.body,
                request_id=headers.get(self._id_header),
                secret=self._secret,
            ) from error
        except (self._sdk.APIConnectionError, httpx2.HTTPError, TimeoutError) as error:
            late = isinstance(error, self._sdk.APITimeoutError | httpx2.TimeoutException | TimeoutError)
            raise unreachable(
                self.provider, error, url=self.url, timeout=late, request_id=request_id, secret=self._secret
            ) from error

    @asynccontextmanager
    async def _post(self, path: str, content: bytes) -> AsyncIterator[Any]:
        # The typed calls walk through the whole conversation on each request, or encode it again: up to 190 ms at 50
        # turns. This one is as public, and knows keys, headers, timeouts and errors all the same.
        stream = await self.client.post(
            path, cast_to=object, content=content, stream=True, stream_cls=self._sdk.AsyncStream[object]
        )
        try:
            yield stream.response
        finally:
            await stream.response.aclose()

    async def _listen(
        self, response: Any, request_id: str | None, fold: Fold, listener: Listener | None
    ) -> dict[str, Any]:
        async for event in httpx2.EventSource(response, MOST_EVENT_BYTES):
            if event.data == DONE:
                fold.end()
            elif event.data:
                data = read_body(self.provider, event.data.encode(), request_id)
                if data.get("type") == "error" or data.get("error"):
                    raise broken_off(self.provider, data, request_id, self._secret)
                text = fold.take(data)
                if text and listener is not None:
                    listener.heard(text)
        # Neither SDK tells a stream that was cut off from one that ended.
        body = fold.body()
        if body is None:
            raise odd_body(self.provider, "the stream ended before the answer did", request_id)
        return body

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.close()
