"""What responses cost on the wire: size, encoding, caching, round trips, time to first byte."""

import gzip
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, pack_rows
from perfcrew.records.target import Workload
from tools.arm import Arm
from tools.requests import Answer, Asked, decode, expand_workload, open_client, send
from tools.workspace import Workspace

FILLS = 3
"""Different parameter sets asked of each request; the largest answer stands for the endpoint."""
OFFERED = "gzip, br, zstd"
ENCODINGS = ("gzip", "br", "zstd")
GZIP_LEVEL, BROTLI_QUALITY, ZSTD_LEVEL = 6, 5, 3
"""What servers use on the fly."""
WORTH_COMPRESSING = 1000
"""Smaller bodies fit into a packet or two whatever is done to them."""
MAX_REDIRECTS = 5
MAX_SHOWN = 14
_SAFE = ("GET", "HEAD")


async def inspect_responses(workspace: Workspace, arm: Arm, workload: Workload) -> Evidence:
    """Ask each reading request plainly and with encodings offered, and revalidate what has a validator.

    Requests that write are sent once, plainly, as sending them again would change what they answer.

    Raises:
        InstrumentError: a request got no answer.
    """
    asked = [item for fills in expand_workload(workload, cap=FILLS) for item in fills]
    rows: list[Row] = []
    async with open_client(arm.url) as client:
        for item in asked:
            try:
                rows.append(await _inspect(client, item))
            except httpx.HTTPError as error:
                raise InstrumentError(f"{item.name}: {type(error).__name__} {error}".rstrip()) from error
    largest: dict[str, Row] = {}
    for row in rows:
        name = str(row["endpoint"])
        if name not in largest or int(row["identity"] or 0) > int(largest[name]["identity"] or 0):
            largest[name] = row
    shown = sorted(largest.values(), key=lambda row: -int(row["identity"] or 0))
    raw: dict[str, Any] = {"workload": workload.name, "responses": rows}
    top = shown[0]
    return Evidence(
        id=f"payload@{workload.name}/{arm.name}",
        kind="payload",
        title=f"{workload.name} on {arm.name}: largest response {int(top['identity'] or 0):,} B ({top['endpoint']})",
        digest=render_payload(workload.name, arm.name, shown),
        artifact=workspace.artifacts.put_json(raw),
        facts=pack_rows("response", shown),
    )


async def _inspect(client: httpx.AsyncClient, asked: Asked) -> Row:
    plain = {name: value for name, value in asked.headers.items() if name.lower() != "accept-encoding"}
    asked, first, redirects = await _follow(client, replace(asked, headers=plain))
    again = asked.method in _SAFE
    offered = await send(client, asked, {"accept-encoding": OFFERED}) if again else first
    body = decode(first)
    packed = pack(body)
    alone = await _encodings(client, asked) if again and len(body) >= WORTH_COMPRESSING else []
    return {
        "endpoint": asked.endpoint,
        "path": asked.path,
        "status": first.status,
        "type": first.headers.get("content-type", "").partition(";")[0],
        "identity": len(body),
        "wire": len(offered.raw),
        "encoding": offered.headers.get("content-encoding", "identity"),
        **packed,
        "encodings": " ".join(alone),
        "http": offered.version,
        "round_trips": 1 + redirects,
        "reused": int(first.connection is not None and first.connection == offered.connection) if again else None,
        "cache_control": offered.headers.get("cache-control"),
        "vary": offered.headers.get("vary"),
        "validator": "ETag" if "etag" in offered.headers else "Last-Modified" if _modified(offered) else None,
        "revalidates": await _revalidates(client, asked, offered),
        "first_byte_ms": round(offered.first_byte_ms, 2),
        "total_ms": round(offered.total_ms, 2),
    }


async def _follow(client: httpx.AsyncClient, asked: Asked) -> tuple[Asked, Answer, int]:
    """Ask plainly; where that leads elsewhere on the same server, go there, and say how often that happened."""
    for redirects in range(MAX_REDIRECTS + 1):
        answer = await send(client, asked, {"accept-encoding": "identity"})
        target = urljoin(str(client.base_url.join(asked.path)), answer.headers.get("location", ""))
        onward = answer.status in (301, 302, 303, 307, 308) and "location" in answer.headers
        same = urlsplit(target).netloc == urlsplit(str(client.base_url)).netloc
        if not (onward and same and asked.method in _SAFE) or redirects == MAX_REDIRECTS:
            break
        parts = urlsplit(target)
        asked = replace(asked, path=parts.path + (f"?{parts.query}" if parts.query else ""))
    return asked, answer, redirects


async def _encodings(client: httpx.AsyncClient, asked: Asked) -> list[str]:
    """The encodings that the server uses when it is offered one alone."""
    used = [
        (await send(client, asked, {"accept-encoding": name})).headers.get("content-encoding") for name in ENCODINGS
    ]
    return [name for name, answered in zip(ENCODINGS, used, strict=True) if answered == name]


def pack(body: bytes) -> dict[str, int]:
    """How many bytes each encoding would make of a body, never more than it has."""
    import brotli
    import zstandard

    sizes = {
        "gzip": len(gzip.compress(body, GZIP_LEVEL, mtime=0)),
        "br": len(brotli.compress(body, quality=BROTLI_QUALITY)),
        "zstd": len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)),
    }
    return {name: min(size, len(body)) for name, size in sizes.items()}


def _modified(answer: Answer) -> bool:
    return "last-modified" in answer.headers


async def _revalidates(client: httpx.AsyncClient, asked: Asked, answer: Answer) -> int | None:
    """1 if an unchanged answer comes as 304, 0 if it is sent again, None without a validator."""
    if asked.method not in _SAFE:
        return None
    if "etag" in answer.headers:
        headers = {"if-none-match": answer.headers["etag"]}
    elif _modified(answer):
        headers = {"if-modified-since": answer.headers["last-modified"]}
    else:
        return None
    again = await send(client, asked, {"accept-encoding": OFFERED, **headers})
    return int(again.status == 304)


def render_payload(workload: str, arm: str, rows: Sequence[Row]) -> str:
    """The digest: endpoints by decoded size."""
    lines = [
        f"{workload} on {arm}: largest response of each endpoint. `plain` is decoded size, `wire` what came with "
        f"{OFFERED} offered, `gzip`, `br`, `zstd` what they would make of it. Times are single answers on loopback, "
        "one at a time."
    ]
    for row in rows[:MAX_SHOWN]:
        plain, wire = int(row["identity"] or 0), int(row["wire"] or 0)
        packed = ", ".join(f"{name} {int(row[name] or 0):,} B" for name in ENCODINGS)
        cache = row["cache_control"] or "no cache-control"
        validator = str(row["validator"] or "no validator")
        if row["revalidates"] is not None:
            validator += " answered 304" if row["revalidates"] else " ignored (no 304)"
        lines.append(
            f"{row['endpoint']}: {row['status']} {row['type']}; plain {plain:,} B, wire {wire:,} B "
            f"({row['encoding']}), {packed}; {cache}; {validator}; {row['http']}{_trips(row)}; first byte "
            f"{row['first_byte_ms']} ms of {row['total_ms']} ms"
        )
    if len(rows) > MAX_SHOWN:
        lines.append(f"and {len(rows) - MAX_SHOWN} smaller ones")
    return "\n".join(lines)


def _trips(row: Row) -> str:
    """What costs round trips beside the answer itself."""
    redirects = int(row["round_trips"] or 1) - 1
    told = f", {redirects} redirects before it" if redirects else ""
    return f"{told}, connection not kept" if row["reused"] == 0 else told
