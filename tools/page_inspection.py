"""What a page loads, and what of it is too much: a visit at full speed that is counted, not timed."""

from collections.abc import Mapping, Sequence
from typing import Any

from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.facts import Row, pack_rows
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Workload
from tools.arm import start_arm
from tools.browser import find_chromium, open_browser
from tools.lease import quiet_lease
from tools.page_coverage import Coverage
from tools.page_network import NetworkLog, find_duplicates, show_address
from tools.page_visit import act_all, load, open_tab, page_path, settle
from tools.workspace import Workspace

QUIET_S = 1.0
OLD_FORMATS = ("image/png", "image/jpeg", "image/gif", "image/bmp")
SMALL_IMAGE_BYTES = 8_000
"""Another format saves little of a smaller one."""
TOO_LARGE = 1.5
"""An image with this many times the pixels that are shown, in either direction, is too large."""
MAX_SHOWN = 10


async def inspect_page(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Requests, render-blocking resources, images and unused code of a page workload. Starts an arm of its own.

    Raises:
        InstrumentError: no browser, or the page does not load, or a step finds nothing to act on.
    """
    find_chromium(workspace.programs)
    assert workload.page is not None
    async with (
        quiet_lease(workspace),
        start_arm(workspace, commit, arm) as running,
        open_browser(workspace) as browser,
        open_tab(browser, workload.page, throttled=False) as (tab, session, log),
    ):
        coverage = Coverage(session)
        await coverage.start()
        await load(tab, running.url + page_path(workload))
        await settle(tab, log, QUIET_S)
        seen: dict[str, Any] = await tab.evaluate("__perfcrew.read()")
        images: list[dict[str, Any]] = await tab.evaluate("__perfcrew.images()")
        await act_all(tab, workload)
        unused = await coverage.read()
        version = f"Chromium {browser.version}"
    raw = describe_page(workload, arm, log, seen["resources"], images, unused)
    return conclude_page(workspace, commit, workload, arm, raw, version)


def describe_page(
    workload: Workload, arm: str, log: NetworkLog, resources: Sequence[Mapping[str, Any]],
    images: Sequence[Mapping[str, Any]], unused: Sequence[Row],
) -> dict[str, Any]:  # fmt: skip
    """The raw file of an inspection: rows by kind, and sums."""
    requests = log.requests
    blocking = dict.fromkeys(entry["url"] for entry in resources if entry["blocking"])
    known = {entry["url"]: entry for entry in requests}
    wire = {show_address(entry["url"]): int(entry["bytes"]) for entry in requests}
    return {
        "kind": "page", "workload": workload.name, "arm": arm, "network": requests,
        "unused_bytes": sum(int(row["unused"] or 0) for row in unused),
        "bytes": log.total_bytes(), "requests": len(requests),
        "connections": len({entry.get("connection") for entry in requests if entry.get("connection")}),
        "redirects": sum(bool(entry.get("redirected_to")) for entry in requests),
        "resource": [_resource(entry) for entry in sorted(requests, key=lambda entry: -int(entry["bytes"]))],
        "blocking": [
            {"url": show_address(url), "bytes": int(known[url]["bytes"]) if url in known else 0} for url in blocking
        ],
        "image": [_image(image, known.get(image["url"], {})) for image in images],
        "unused": [{**row, "wire": wire.get(str(row["url"]), 0)} for row in unused],
        "duplicate": [{"request": name, "count": count} for name, count in find_duplicates(requests)],
        "refused": [
            {"url": show_address(entry["url"]), "why": entry["failed"]} for entry in requests if entry["failed"]
        ],
    }  # fmt: skip


def _resource(entry: Mapping[str, Any]) -> Row:
    headers = entry.get("headers") or {}
    return {
        "url": show_address(entry["url"]), "type": entry["type"], "status": entry["status"],
        "bytes": int(entry["bytes"]), "decoded": int(entry["decoded"]), "ttfb_ms": _round(entry.get("ttfb_ms")),
        "encoding": headers.get("content-encoding", "identity"),
        "http": entry.get("protocol"), "cache_control": headers.get("cache-control"),
        "validator": int("etag" in headers or "last-modified" in headers),
        "by": show_address(entry["by"]) if entry.get("by") else None,
    }  # fmt: skip


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _image(image: Mapping[str, Any], entry: Mapping[str, Any]) -> Row:
    size, mime = int(entry.get("bytes", 0)), entry.get("mime")
    natural, shown = image["natural"], image["shown"]
    drawn = mime == "image/svg+xml"
    over = (
        not drawn
        and min(shown) > 0
        and any(has > TOO_LARGE * is_shown for has, is_shown in zip(natural, shown, strict=True))
    )
    return {
        "url": show_address(image["url"]), "element": image["element"], "bytes": size, "mime": mime,
        "reserved": int(image["reserved"]), "old_format": int(mime in OLD_FORMATS and size >= SMALL_IMAGE_BYTES),
        "too_large": int(over), "lazy": int(image["lazy"]),
        "natural": f"{natural[0]}×{natural[1]}", "shown": f"{shown[0]}×{shown[1]}",
    }  # fmt: skip


def conclude_page(
    workspace: Workspace, commit: str, workload: Workload, arm: str, raw: dict[str, Any], instrument: str
) -> Evidence:
    """The evidence of an inspection."""
    artifact = workspace.artifacts.put_json(raw)
    metric = METRICS["page.unused_bytes"]
    measurement = Measurement(
        id=f"unused-bytes@{workload.name}/{arm}", metric=metric.name, unit=metric.unit, better=metric.better,
        workload=workload.name, arm=arm, commit=commit, value=float(raw["unused_bytes"]), count=len(raw["unused"]),
        method="value:/unused_bytes", samples=artifact, instrument=instrument, environment=workspace.environment,
    )  # fmt: skip
    kinds = ("resource", "blocking", "image", "unused", "duplicate")
    facts = {name: raw[name] for name in ("bytes", "requests", "connections", "redirects", "unused_bytes")}
    for kind in kinds:
        facts |= pack_rows(kind, raw[kind])
    return Evidence(
        id=f"page@{workload.name}/{arm}",
        kind="page",
        title=(
            f"{workload.name} on {arm}: {raw['requests']} requests, {raw['bytes']:,} B, "
            f"{len(raw['blocking'])} render-blocking, {raw['unused_bytes']:,} B of code unused"
        ),
        digest=render_page(workload, arm, raw),
        measurements=(measurement,),
        artifact=artifact,
        facts=facts,
    )


def render_page(workload: Workload, arm: str, raw: Mapping[str, Any]) -> str:
    """The digest: sums, then what holds up the first paint, images, unused code, repeated and refused requests."""
    lines = [
        f"{workload.name} on {arm}: {raw['requests']} requests over {raw['connections']} connections, "
        f"{raw['redirects']} redirects, {raw['bytes']:,} B on the wire, cold cache. Sizes are counted, nothing is "
        "timed; unused is what ran neither while loading nor in the steps."
    ]
    lines += _listed("render-blocking", raw["blocking"], lambda row: f"{row['url']}, {row['bytes']:,} B")
    bad = [row for row in raw["image"] if not row["reserved"] or row["old_format"] or row["too_large"]]
    lines += _listed("image", bad, _render_image)
    unused = [row for row in raw["unused"] if row["unused"]]
    lines += _listed("unused", unused, lambda row: (
        f"{row['url']} ({row['kind']}), {row['unused']:,} of {row['total']:,} characters "
        f"({row['wire']:,} B on the wire)"
    ))  # fmt: skip
    lines += _listed("asked more than once", raw["duplicate"], lambda row: f"{row['request']}, {row['count']} times")
    lines += _listed("failed (only loopback is reachable)", raw["refused"], lambda row: f"{row['url']}: {row['why']}")
    lines += _listed("largest", raw["resource"], lambda row: (
        f"{row['url']}, {row['type']} {row['bytes']:,} B {row['encoding']} ({row['decoded']:,} B decoded), "
        f"{row['cache_control'] or 'no cache-control'}{', validator' if row['validator'] else ''}, {row['http']}"
        f"{'' if row['ttfb_ms'] is None else ', first byte ' + format(row['ttfb_ms'], 'g') + ' ms'}"
    ))  # fmt: skip
    return "\n".join(lines)


def _render_image(row: Mapping[str, Any]) -> str:
    faults = [
        "no space reserved (no width and height)" if not row["reserved"] else "",
        f"{row['mime']}, no modern format" if row["old_format"] else "",
        f"{row['natural']} pixels for {row['shown']} shown" if row["too_large"] else "",
    ]
    return f"{row['element']} {row['url']}, {row['bytes']:,} B: {', '.join(fault for fault in faults if fault)}"


def _listed(name: str, rows: Sequence[Mapping[str, Any]], show: Any) -> list[str]:
    lines = [f"{name}: {show(row)}" for row in rows[:MAX_SHOWN]]
    return [*lines, f"{name}: and {len(rows) - MAX_SHOWN} more"] if len(rows) > MAX_SHOWN else lines
