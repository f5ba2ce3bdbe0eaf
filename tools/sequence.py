"""What a workload sends, in order: placeholders filled, requests chosen by weight, all from one seed.

Plain values in, plain values out, standard library only: the load generator's process imports this.
"""

import itertools
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

Values = Mapping[str, str | int]
_KEPT = 10_000
"""Filled requests that a sequence keeps, so that filling costs nothing while they come again."""
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Sent:
    """One request, ready to be sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    expect: frozenset[int]
    index: int
    """Which of the workload's requests it is."""

    @cached_property
    def names_host(self) -> bool:
        """Whether its headers name the host."""
        return any(name.lower() == "host" for name in self.headers)

    @cached_property
    def rest(self) -> bytes:
        """What follows the request line and the host: headers, an empty line, the body."""
        headers = {"User-Agent": "perfcrew", "Accept": "*/*", **self.headers}
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(len(self.body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return lines.encode("latin-1", "replace") + b"\r\n" + self.body


def fill_request(request: Mapping[str, Any], values: Values, index: int = 0) -> Sent:
    """Fill a request's placeholders. Braces that name no parameter stay as they are.

    Args:
        request: as `HttpRequest.model_dump(by_alias=True)` gives it.
        values: parameter to value. In a path it is percent-encoded; in JSON a text that is nothing but a placeholder
            becomes the value itself, so that a number stays a number.
        index: kept with the request.
    """

    def in_path(match: re.Match[str]) -> str:
        return quote(str(values[match[1]]), safe="") if match[1] in values else match[0]

    headers = {"Accept-Encoding": "gzip", **{name: _in_json(text, values) for name, text in request["headers"].items()}}
    body = b""
    if request["json"] is not None:
        body = json.dumps(_in_json(request["json"], values), separators=(",", ":")).encode()
        headers.setdefault("Content-Type", "application/json")
    path = _PLACEHOLDER.sub(in_path, request["path"])
    return Sent(
        request["method"], path, {name: str(value) for name, value in headers.items()}, body,
        frozenset(request["expect"]), index,
    )  # fmt: skip


def _in_json(value: Any, values: Values) -> Any:
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        if whole and whole[1] in values:
            return values[whole[1]]
        return _PLACEHOLDER.sub(lambda match: str(values.get(match[1], match[0])), value)
    if isinstance(value, Mapping):
        return {key: _in_json(entry, values) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_in_json(entry, values) for entry in value]
    return value


def draw_requests(
    requests: Sequence[Mapping[str, Any]], params: Mapping[str, Sequence[str | int]], seed: int
) -> Iterator[Sent]:
    """An endless sequence of requests. Equal arguments give equal sequences, on every machine."""
    chance = random.Random(seed)
    numbers = range(len(requests))
    weights = list(itertools.accumulate(int(request["weight"]) for request in requests))
    filled: dict[tuple[str | int, ...], Sent] = {}
    while True:
        index = chance.choices(numbers, cum_weights=weights)[0]
        values = {name: chance.choice(choices) for name, choices in params.items()}
        key = (index, *values.values())
        sent = filled.get(key)
        if sent is None:
            sent = fill_request(requests[index], values, index)
            if len(filled) < _KEPT:
                filled[key] = sent
        yield sent
