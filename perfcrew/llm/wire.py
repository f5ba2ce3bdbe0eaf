"""What the three wires have in common: one request and its answer, asked for again without what a server lacks."""

import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from perfcrew.errors import LLMError
from perfcrew.llm.abilities import Abilities
from perfcrew.llm.base import Listener, Reply, Request
from perfcrew.llm.connection import Answer, Connection, Fold
from perfcrew.llm.tape import Tape


class Wire(ABC):
    """An adapter: answers requests through one connection.

    Args:
        api_key: the key; any text for servers that want none.
        base_url: the service, or a compatible one; None is the vendor's own.
        timeout: seconds for one whole answer; it has to cover long thinking.
        stream: take every answer in pieces, also when nobody listens: some intermediaries cut connections on which
            nothing moves for minutes.
        abilities: what is believed of the server; what it refuses is learned here.
    """

    base_url: ClassVar[str]
    """The vendor's own address."""
    path: ClassVar[str]
    """Where requests go, below the service's address."""
    conversation: ClassVar[str]
    """The body's key of the conversation."""

    def __init__(
        self, api_key: str, base_url: str | None, timeout: float, *, stream: bool, abilities: Abilities
    ) -> None:
        self._connection = self.open(api_key, base_url or self.base_url, timeout)
        self._abilities, self._stream, self._tape = abilities, stream, Tape()

    @staticmethod
    @abstractmethod
    def open(api_key: str, base_url: str, timeout: float) -> Connection:
        """A client of the service."""

    @abstractmethod
    def payload(self, request: Request, abilities: Abilities, tape: Tape) -> dict[str, Any]:
        """The body of a request, with the conversation as the tape has it."""

    def streamed(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body that asks for the same answer in pieces."""
        return {**body, "stream": True}

    @abstractmethod
    def fold(self) -> Fold:
        """What puts one stream together."""

    @abstractmethod
    def read(self, body: dict[str, Any], request: Request, request_id: str | None, seconds: float) -> Reply:
        """The reply in a body.

        Raises:
            LLMError: the body lacks what every answer has.
        """

    async def complete(self, request: Request, listener: Listener | None = None) -> Reply:
        """Answer a request; with a listener, or where told to stream, in pieces if the server can.

        Raises:
            LLMError: the service refused, could not be reached, or sent something that is not a whole answer.
        """
        started = time.perf_counter()
        while True:
            try:
                answer = await self._send(request, listener)
            except LLMError as error:
                # Each refusal gives up one ability for good, so this ends.
                if not self._abilities.learn(error):
                    raise
            else:
                return self.read(answer.body, request, answer.request_id, time.perf_counter() - started)

    async def _send(self, request: Request, listener: Listener | None) -> Answer:
        stream = (self._stream or listener is not None) and self._abilities.streams
        body = self.payload(request, self._abilities, self._tape)
        if stream:
            body = self.streamed(body)
        content = self._tape.encode(body, self.conversation)
        return await self._connection.send(self.path, content, self.fold(), listener)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.aclose()
