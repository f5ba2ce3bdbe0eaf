"""What responses cost on the wire: size, encoding, caching, time to first byte."""

import gzip
from collections.abc import Sequence
from typing import Any

import httpx

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from perfcrew.records.target import Workload
from tools.arm import Arm
from tools.facts import Row, pack_rows
from tools.requests import Answer, Asked, decode, expand_workload, open_client, send
from tools.workspace import Workspace

FILLS = 3
"""Different parameter sets asked of each request; the largest answer stands for the endpoint."""
OFFERED = "gzip, br, zstd"
GZIP_LEVEL = 6
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
    asked = Asked(asked.method, asked.path, asked.endpoint, plain, asked.body, asked.expect)
    first = await send(client, asked, {"accept-encoding": "identity"})
    offered = await send(client, asked, {"accept-encoding": OFFERED}) if asked.method in _SAFE else first
    body = decode(first)
    packed = len(gzip.compress(body, GZIP_LEVEL, mtime=0))
    return {
        "endpoint": asked.endpoint,
        "path": asked.path,
        "status": first.status,
        "type": first.headers.get("content-type", "").partition(";")[0],
        "identity": len(body),
        "wire": len(offered.raw),
        "encoding": offered.headers.get("content-encoding", "identity"),
        "gzip": min(packed, len(body)),
        "http": offered.version,
        "cache_control": offered.headers.get("cache-control"),
        "vary": offered.headers.get("vary"),
        "validator": "ETag" if "etag" in offered.headers else "Last-Modified" if _modified(offered) else None,
        "revalidates": await _revalidates(client, asked, offered),
        "first_byte_ms": round(offered.first_byte_ms, 2),
        "total_ms": round(offered.total_ms, 2),
    }


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
        f"{OFFERED} offered, `gzip` what gzip would make of it. Times are single answers on loopback, one at a time."
    ]
    for row in rows[:MAX_SHOWN]:
        plain, wire, packed = (int(row[name] or 0) for name in ("identity", "wire", "gzip"))
        cache = row["cache_control"] or "no cache-control"
        validator = str(row["validator"] or "no validator")
        if row["revalidates"] is not None:
            validator += " answered 304" if row["revalidates"] else " ignored (no 304)"
        lines.append(
            f"{row['endpoint']}: {row['status']} {row['type']}; plain {plain:,} B, wire {wire:,} B "
            f"({row['encoding']}), gzip {packed:,} B; {cache}; {validator}; {row['http']}; first byte "
            f"{row['first_byte_ms']} ms of {row['total_ms']} ms"
        )
    if len(rows) > MAX_SHOWN:
        lines.append(f"and {len(rows) - MAX_SHOWN} smaller ones")
    return "\n".join(lines)
