"""Web vitals of a page: measured by the web-vitals library in a real browser under real throttling.

Each vital is the median over several visits with a cold cache; a visit before them warms the server and does not count.
The element that a vital is about is that of the visit closest to the median.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from perfcrew.errors import InstrumentError
from perfcrew.page_stats import collect_values
from perfcrew.quantiles import mad, median
from perfcrew.records.base import ArtifactRef
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.facts import Row, pack_rows
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Workload
from perfcrew.records.vitals import VITALS, Vital, rate
from tools.arm import start_arm
from tools.browser import find_chromium, open_browser
from tools.lease import quiet_lease
from tools.page_network import show_address
from tools.page_visit import THROTTLES, page_path, visit_page
from tools.workspace import Workspace

LIBRARY = "web-vitals 6.2.3"
VISITS = 5
LONG_QUIET_S, QUIET_S, QUICK_QUIET_S = 5.2, 1.5, 0.6
"""The first visit is watched until five quiet seconds have passed, which is what TTI asks for."""
MAX_SHIFTS = 4
_SHORT = {vital.metric: vital.short.lower() for vital in VITALS} | {
    "page.bytes": "page-bytes",
    "page.requests": "page-requests",
}


async def measure_vitals(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Vitals of a page workload. Holds the quiet lease and starts an arm of its own.

    Raises:
        InstrumentError: no browser, or the page does not load, or a step finds nothing to act on.
    """
    find_chromium(workspace.programs)
    async with quiet_lease(workspace), start_arm(workspace, commit, arm) as running, open_browser(workspace) as browser:
        url = running.url + page_path(workload)
        await visit_page(browser, url, workload, quiet_s=0.3, throttled=False)
        visits = []
        for number in range(VISITS):
            quiet_s = QUICK_QUIET_S if workspace.quick else QUIET_S if number else LONG_QUIET_S
            visits.append(await visit_page(browser, url, workload, quiet_s=quiet_s))
        version = f"Chromium {browser.version}"
    return conclude_vitals(workspace, commit, workload, arm, visits, version)


def conclude_vitals(
    workspace: Workspace, commit: str, workload: Workload, arm: str, visits: Sequence[dict[str, Any]], browser: str
) -> Evidence:
    """The evidence of some visits: figures, digest, facts."""
    assert workload.page is not None
    values = collect_values(visits)
    if "page.fcp_ms" not in values:
        raise InstrumentError(f"workload {workload.name}: the page paints nothing, so it has no vitals")
    throttle = THROTTLES[workload.page.throttling]
    raw: dict[str, Any] = {
        "kind": "vitals", "workload": workload.name, "arm": arm, "page": workload.page.model_dump(mode="json"),
        "throttle": vars(throttle) if throttle else None, "browser": browser, "library": LIBRARY, "visits": visits,
    }  # fmt: skip
    artifact = workspace.artifacts.put_json(raw)
    measurements = measure_values(workspace, values, artifact, workload.name, arm, commit, browser)
    rows = vital_rows(visits, values)
    return Evidence(
        id=f"vitals@{workload.name}/{arm}",
        kind="vitals",
        title=f"{workload.name} on {arm}: " + ", ".join(_headline(row) for row in rows if row["core"]),
        digest=render_vitals(workload, arm, rows, visits, browser),
        measurements=measurements,
        artifact=artifact,
        facts={**pack_rows("vital", rows), **pack_rows("shift", shift_rows(visits))},
    )


def measure_values(
    workspace: Workspace, values: Mapping[str, Sequence[float | None]], artifact: ArtifactRef,
    workload: str, arm: str, commit: str, instrument: str, *, duel: str = "",
) -> tuple[Measurement, ...]:  # fmt: skip
    """A measurement for each metric: the median over the visits that have it, with their spread.

    A duel's measurements have its name in their ids.
    """
    place = f"{workload}/{duel}/{arm}" if duel else f"{workload}/{arm}"
    seen = {metric: [value for value in column if value is not None] for metric, column in values.items()}
    return tuple(
        Measurement(
            id=f"{_SHORT[metric]}@{place}", metric=metric, unit=METRICS[metric].unit,
            better=METRICS[metric].better, workload=workload, arm=arm, commit=commit, value=median(column),
            spread=mad(column), count=len(column), method=f"page:{arm}/{metric}" if duel else f"page:{metric}",
            samples=artifact, instrument=f"{LIBRARY}, {instrument}", environment=workspace.environment,
        )
        for metric, column in seen.items()
    )  # fmt: skip


def vital_rows(visits: Sequence[Mapping[str, Any]], values: Mapping[str, Sequence[float | None]]) -> list[Row]:
    """One row for each vital that was seen: value, spread, rating, and what it is about."""
    rows: list[Row] = []
    for vital in VITALS:
        known = [value for value in values.get(vital.metric, ()) if value is not None]
        if not known:
            continue
        centre = median(known)
        about = _about(visits, values[vital.metric], vital, centre)
        rows.append(
            {
                "metric": vital.metric, "short": vital.short, "value": centre, "least": min(known), "most": max(known),
                "visits": len(known), "rating": rate(vital, centre), "core": int(vital.core),
                "retired": int(vital.retired), "element": about.get("element"), "url": about.get("url"),
                "script": about.get("script"), "parts": about.get("parts"),
            }
        )  # fmt: skip
    return rows


def _about(
    visits: Sequence[Mapping[str, Any]], column: Sequence[float | None], vital: Vital, centre: float
) -> dict[str, str | None]:
    """What the vital is about in the visit whose value is closest to the median."""
    seen = [(abs(value - centre), number) for number, value in enumerate(column) if value is not None]
    visit = visits[min(seen)[1]]
    if vital.short == "FID":
        return {"element": visit["first_input"]["element"]}
    entry = visit["vitals"].get(vital.short, {})
    parts = ", ".join(f"{name.replace('_', ' ')} {value:.0f} ms" for name, value in entry.get("parts", {}).items())
    url, script = entry.get("url"), entry.get("script")
    return {
        "element": entry.get("element"),
        "url": show_address(url) if url else None,
        "script": _show_script(script) if script else None,
        "parts": parts or None,
    }


def _show_script(script: str) -> str:
    url, _, function = script.partition(" ")
    return f"{show_address(url) if '://' in url else url} {function}".strip()


def shift_rows(visits: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Layout shifts of the first visit, the largest first, with what moved."""
    shifts = sorted(visits[0]["shifts"], key=lambda shift: -shift["value"])[:MAX_SHIFTS]
    return [
        {"value": round(shift["value"], 4), "at_ms": round(shift["at"]), "elements": ", ".join(shift["elements"])}
        for shift in shifts
    ]


def show_vital(metric: str, value: float) -> str:
    """A vital's value as it is usually written."""
    if metric == "page.cls":
        return f"{value:.3f}"
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _headline(row: Row) -> str:
    return f"{row['short']} {show_vital(str(row['metric']), float(row['value'] or 0))} ({row['rating']})"


def render_vitals(
    workload: Workload, arm: str, rows: Sequence[Row], visits: Sequence[Mapping[str, Any]], browser: str
) -> str:
    """The digest: each vital with spread and element, then the shifts, then what to know about the figures."""
    assert workload.page is not None
    page, throttle = workload.page, THROTTLES[workload.page.throttling]
    slowed = (
        f"CPU slowed {throttle.cpu:g} times, {throttle.rtt_ms:g} ms a request, {throttle.down / 1e6:.1f} Mbit/s down"
        if throttle
        else "no throttling"
    )
    lines = [
        f"{workload.name} on {arm}: {page.path} at {page.width}×{page.height}, {browser}, {LIBRARY}; median of "
        f"{len(visits)} visits with a cold cache after one that does not count; {slowed}; "
        f"scripted steps: {len(page.step)}."
    ]
    lines += [_render_row(row) for row in rows]
    seen = {row["short"] for row in rows}
    if "INP" not in seen:
        why = "no step made the page paint" if page.step else "the workload has no [[workload.page.step]]"
        lines.append(f"INP and FID: not measured ({why})")
    if "TTI" not in seen:
        lines.append("TTI: unknown, as no five quiet seconds were seen after the first paint")
    shifts = shift_rows(visits)
    lines += [f"shift of {row['value']} at {row['at_ms']} ms: {row['elements'] or 'element gone'}" for row in shifts]
    lines.append(
        "TBT counts from first paint until interactive, before any step. TTFB leaves out the throttled latency, except "
        "of redirects. FID (superseded by INP in March 2024) and TTI are retired: for information only."
    )
    return "\n".join(lines)


def _render_row(row: Row) -> str:
    metric = str(row["metric"])
    value, least, most = (show_vital(metric, float(row[name] or 0)) for name in ("value", "least", "most"))
    spread = "one visit" if row["visits"] == 1 else f"{least} to {most}" if least != most else "the same each time"
    about = [f"element {row['element']}" if row["element"] else "", str(row["url"] or ""), str(row["parts"] or "")]
    about.append(f"script {row['script']}" if row["script"] else "")
    told = "; ".join(text for text in about if text)
    retired = ", retired" if row["retired"] else ""
    return f"{row['short']} {value} ({row['rating']}{retired}; {spread})" + (f": {told}" if told else "")
