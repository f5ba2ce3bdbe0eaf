"""Lighthouse, for its audits: what it advises, and its figures for metrics that have no other source.

Its score is not shown, since simulated figures flip on loopback. Audits are read by id, and versions differ in which
they have: whatever is absent is left out.
"""

import json
import secrets
import shutil
from collections.abc import Mapping
from typing import Any

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, pack_rows
from perfcrew.records.target import Page, Workload
from tools.arm import start_arm
from tools.browser import find_chromium, open_chromium
from tools.launch import Place
from tools.lease import quiet_lease
from tools.node_programs import find_program, run_program
from tools.page_network import show_address
from tools.page_visit import page_path
from tools.workspace import Workspace

LIMIT_S = 150.0
PASSED = 0.9
"""Lighthouse shows an audit with this score or more as passed."""
MAX_AUDITS, MAX_ITEMS = 12, 2
FIGURES = {"interactive": "tti_ms", "max-potential-fid": "max_potential_fid_ms"}
"""Audit id to fact: both retired, and for information only."""
METRIC_AUDITS = frozenset(
    {
        "first-contentful-paint", "largest-contentful-paint", "first-meaningful-paint", "speed-index",
        "total-blocking-time", "cumulative-layout-shift", "interactive", "max-potential-fid", "server-response-time",
        "interaction-to-next-paint", "largest-contentful-paint-element",
    }
)  # fmt: skip
"""Measured better elsewhere."""


async def run_lighthouse(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Lighthouse's performance audits of a page workload. Holds the quiet lease and starts an arm of its own.

    Raises:
        InstrumentError: no browser, Node or Lighthouse, or it could not audit the page.
    """
    find_chromium(workspace.programs)
    assert workload.page is not None
    async with quiet_lease(workspace), start_arm(workspace, commit, arm) as running:
        program = await find_program(workspace, "lighthouse", packages_of(running.place))
        scratch = workspace.folder / "lighthouse" / secrets.token_hex(4)
        try:
            async with open_chromium(workspace) as (port, _):
                options = _options(workload.page, port, str(scratch / "report.json"))
                url = running.url + page_path(workload)
                done = await run_program(workspace, program, [url, *options], scratch, timeout=LIMIT_S)
            report = _read(done.ok, scratch / "report.json", done.last_line)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return conclude_lighthouse(workspace, workload, arm, report)


def packages_of(place: Place) -> Any:
    """The `node_modules` folder that the target's setup made, or has in its sources."""
    folders = (place.env / "packages" / "node_modules", place.workdir / "node_modules")
    return next((folder for folder in folders if folder.is_dir()), None)


def _options(page: Page, port: int, output: str) -> list[str]:
    """Real throttling (`devtools`) as in our own visits of the page, its viewport, one category, JSON."""
    phone = page.throttling == "mobile"
    return [
        f"--port={port}", "--output=json", f"--output-path={output}", "--quiet", "--only-categories=performance",
        f"--throttling-method={'provided' if page.throttling == 'none' else 'devtools'}",
        *([] if phone else ["--preset=desktop"]),
        f"--screenEmulation.width={page.width}", f"--screenEmulation.height={page.height}",
        "--disable-full-page-screenshot", "--no-enable-error-reporting", "--max-wait-for-load=60000",
    ]  # fmt: skip


def _read(ok: bool, path: Any, last: str) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InstrumentError(f"lighthouse gave no report: {last[:200]}") from None
    problem = report.get("runtimeError", {})
    if problem.get("code", "NO_ERROR") != "NO_ERROR":
        raise InstrumentError(f"lighthouse could not audit the page: {problem.get('message', problem['code'])[:200]}")
    if not ok and not report.get("audits"):
        raise InstrumentError(f"lighthouse failed: {last[:200]}")
    return report


def conclude_lighthouse(workspace: Workspace, workload: Workload, arm: str, report: Mapping[str, Any]) -> Evidence:
    """The evidence of a report."""
    rows = failed_audits(report)
    figures = {
        fact: round(float(audit["numericValue"]), 1)
        for name, fact in FIGURES.items()
        if (audit := report["audits"].get(name)) and audit.get("numericValue") is not None
    }
    version = report.get("lighthouseVersion", "of unknown version")
    return Evidence(
        id=f"lighthouse@{workload.name}/{arm}",
        kind="lighthouse",
        title=f"{workload.name} on {arm}: {len(rows)} of Lighthouse's audits not passed",
        digest=render_lighthouse(workload.name, arm, version, rows, figures, list(report.get("runWarnings", ()))),
        artifact=workspace.artifacts.put_json(
            {"kind": "lighthouse", "workload": workload.name, "arm": arm, "report": report}
        ),
        facts={**figures, **pack_rows("audit", rows)},
    )


def failed_audits(report: Mapping[str, Any]) -> list[Row]:
    """Audits of the performance category that were not passed, what saves most first."""
    referred = report.get("categories", {}).get("performance", {}).get("auditRefs", ())
    rows: list[Row] = []
    for name in dict.fromkeys(ref["id"] for ref in referred):
        audit = report["audits"].get(name)
        if audit is None or name in METRIC_AUDITS or audit.get("score") is None or audit["score"] >= PASSED:
            continue
        details = audit.get("details") or {}
        savings = {key: value for key, value in (audit.get("metricSavings") or {}).items() if value}
        rows.append(
            {
                "id": name, "title": audit["title"], "score": audit["score"], "shown": audit.get("displayValue"),
                "saves_ms": max([float(details.get("overallSavingsMs") or 0), *(_ms(savings))]),
                "saves_bytes": float(details.get("overallSavingsBytes") or 0),
                "about": "; ".join(_items(details)) or None,
            }
        )  # fmt: skip
    return sorted(rows, key=lambda row: (-float(row["saves_ms"] or 0), -float(row["saves_bytes"] or 0), str(row["id"])))


def _ms(savings: Mapping[str, Any]) -> list[float]:
    return [float(value) for metric, value in savings.items() if metric != "CLS"]


def _items(details: Mapping[str, Any]) -> list[str]:
    """What an audit is about: addresses or elements of its first items."""
    found = []
    for item in details.get("items") or ():
        if not isinstance(item, Mapping):
            continue
        node = item.get("node")
        if isinstance(node, Mapping):
            found.append(str(node.get("selector") or node.get("snippet") or "")[:120])
        elif isinstance(item.get("url"), str):
            found.append(show_address(item["url"]))
    return [text for text in found if text][:MAX_ITEMS]


def render_lighthouse(
    workload: str, arm: str, version: str, rows: list[Row], figures: Mapping[str, float], warnings: list[str]
) -> str:
    """The digest: audits that were not passed, then the retired figures."""
    lines = [f"{workload} on {arm}: Lighthouse {version}, audits that were not passed; savings are its estimates."]
    for row in rows[:MAX_AUDITS]:
        saves = f", saves up to {row['saves_ms']:.0f} ms" if row["saves_ms"] else ""
        saves += f", {row['saves_bytes']:,.0f} B" if row["saves_bytes"] else ""
        shown = f" ({row['shown']})" if row["shown"] else ""
        lines.append(f"{row['id']}: {row['title']}{shown}{saves}" + (f": {row['about']}" if row["about"] else ""))
    if len(rows) > MAX_AUDITS:
        lines.append(f"and {len(rows) - MAX_AUDITS} more")
    if not rows:
        lines.append("none")
    names = {"tti_ms": "TTI (`interactive`, retired)", "max_potential_fid_ms": "highest possible FID (retired)"}
    lines += [
        f"{names[fact]}: {value:,.0f} ms in this one run, for information only" for fact, value in figures.items()
    ]
    return "\n".join([*lines, *(f"warning: {text[:200]}" for text in warnings[:3])])
