"""A workload's requests with their parameters filled in, and how one is sent."""

import itertools
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from perfcrew.records.target import HttpRequest, Workload
from tools.arm_transport import ArmTransport
from tools.sequence import fill_request

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
Value = str | int


@dataclass(frozen=True)
class Asked:
    """One request, ready to be sent."""

    method: str
    path: str
    """With its query."""
    endpoint: str
    """Method and path template without the query: `GET /api/users/{user}`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    expect: tuple[int, ...] = (200,)
    weight: int = 1
    template: int = 0
    """Which of the workload's requests it comes from."""

    @property
    def name(self) -> str:
        """Method and path, as shown."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: httpx.Headers
    raw: bytes
    """The body as it came over the wire."""
    first_byte_ms: float
    total_ms: float
    version: str = "HTTP/1.1"
    connection: int | None = None
    """Our port of the connection that it came over: answers with the same one shared it."""


def _names(value: Any) -> set[str]:
    if isinstance(value, str):
        return set(_NAME.findall(value))
    if isinstance(value, dict):
        return set().union(*(_names(item) for item in value.values()))
    if isinstance(value, (list, tuple)):
        return set().union(*(_names(item) for item in value))
    return set()


def _spread(count: int, cap: int) -> list[int]:
    """At most `cap` of `count` indices, evenly spread, first and last among them."""
    if count <= cap:
        return list(range(count))
    return [round(step * (count - 1) / max(cap - 1, 1)) for step in range(cap)]


def combine(params: Mapping[str, Sequence[Value]], names: set[str], cap: int) -> list[dict[str, Value]]:
    """Combinations of the parameters that are used: all of them, or `cap` evenly spread ones."""
    used = [name for name in params if name in names]
    combinations = list(itertools.islice(itertools.product(*(params[name] for name in used)), 100_000))
    return [dict(zip(used, combinations[index], strict=True)) for index in _spread(len(combinations), cap)]


def ask(request: HttpRequest, given: Mapping[str, Value], template: int = 0) -> Asked:
    """One request with its parameters, filled as the load generator fills them."""
    sent = fill_request(request.model_dump(by_alias=True), given, template)
    return Asked(
        method=sent.method,
        path=sent.path,
        endpoint=f"{request.method} {request.path.partition('?')[0]}",
        headers=sent.headers,
        body=sent.body,
        expect=request.expect,
        weight=request.weight,
        template=template,
    )


def request_names(request: HttpRequest) -> set[str]:
    """Names of the parameters that a request uses."""
    return _names([request.path, dict(request.headers), request.json_body])


def expand(
    requests: Sequence[HttpRequest], params: Mapping[str, Sequence[Value]], cap: int
) -> tuple[tuple[Asked, ...], ...]:
    """Each request with up to `cap` combinations of its parameters; one tuple for each request."""
    return tuple(
        tuple(ask(request, given, template) for given in combine(params, request_names(request), cap))
        for template, request in enumerate(requests)
    )


def expand_workload(workload: Workload, *, cap: int, held_out: bool = False) -> tuple[tuple[Asked, ...], ...]:
    """A workload's requests, or those of its held-out variant, which takes over what it does not replace."""
    requests, params = workload.request, dict(workload.params)
    if held_out and workload.held_out is not None:
        requests = workload.held_out.request or requests
        params.update(workload.held_out.params)
    return expand(requests, params, cap)


def open_client(url: str) -> httpx.AsyncClient:
    """A client of one arm: no proxies, no redirects followed, cookies kept as a browser would."""
    return httpx.AsyncClient(
        base_url=url, timeout=60.0, trust_env=False, follow_redirects=False, transport=ArmTransport()
    )


async def send(client: httpx.AsyncClient, asked: Asked, headers: Mapping[str, str] | None = None) -> Answer:
    """Send a request and read the body as it comes over the wire.

    Raises:
        httpx.HTTPError: the connection failed or timed out.
    """
    request = client.build_request(
        asked.method, asked.path, headers={**asked.headers, **(headers or {})}, content=asked.body or None
    )
    began = time.perf_counter()
    response = await client.send(request, stream=True)
    first = time.perf_counter()
    stream = response.extensions.get("network_stream")
    address = stream.get_extra_info("client_addr") if stream is not None else None
    try:
        raw = b"".join([part async for part in response.aiter_raw()])
    finally:
        await response.aclose()
    return Answer(
        status=response.status_code, headers=response.headers, raw=raw, first_byte_ms=(first - began) * 1000,
        total_ms=(time.perf_counter() - began) * 1000, version=response.http_version,
        connection=address[1] if address else None,
    )  # fmt: skip


def decode(answer: Answer) -> bytes:
    """The body without its content encoding."""
    return httpx.Response(200, headers=_encoding(answer), content=answer.raw).content


def _encoding(answer: Answer) -> dict[str, str]:
    encoding = answer.headers.get("content-encoding")
    return {"content-encoding": encoding} if encoding else {}
