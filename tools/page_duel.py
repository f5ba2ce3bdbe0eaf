"""Two versions of a page side by side: visits by turns, pair by pair, and the effects on its vitals."""

import math
from typing import Any

from perfcrew.page_stats import ALPHA, collect_values, page_effects
from perfcrew.records.evidence import Effect
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Workload
from perfcrew.records.vitals import VITALS
from perfcrew.verdict import describe
from tools.arm import start_arm
from tools.browser import find_chromium, open_browser
from tools.duel import Duel
from tools.lease import quiet_lease
from tools.page_visit import page_path, visit_page
from tools.web_vitals import QUICK_QUIET_S, QUIET_S, measure_values
from tools.workspace import Workspace

PAIRS, QUICK_PAIRS = 7, 3
SIDES = ("base", "candidate")


async def duel_pages(
    workspace: Workspace, base: str, candidate: str, workload: Workload, *, name: str = "pages"
) -> Duel:
    """Compare the vitals of a page in two commits. Holds the quiet lease.

    Both arms run at once, and only one is visited at a time; which is visited first alternates from pair to pair. The
    visits of a pair follow each other, so that the machine's drift hits both.

    Raises:
        InstrumentError: no browser, an arm does not start, the page does not load, or a step finds nothing to act on.
    """
    find_chromium(workspace.programs)
    commits = {"base": base, "candidate": candidate}
    visits: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    async with (
        quiet_lease(workspace),
        start_arm(workspace, base, "duel-base") as first,
        start_arm(workspace, candidate, "duel-candidate") as second,
        open_browser(workspace) as browser,
    ):
        urls = {side: arm.url + page_path(workload) for side, arm in zip(SIDES, (first, second), strict=True)}
        for url in urls.values():
            await visit_page(browser, url, workload, quiet_s=0.3, throttled=False)
        for number in range(QUICK_PAIRS if workspace.quick else PAIRS):
            for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                quiet_s = QUICK_QUIET_S if workspace.quick else QUIET_S
                visits[side].append(await visit_page(browser, urls[side], workload, quiet_s=quiet_s))
        version = f"Chromium {browser.version}"
    raw = {
        "kind": "page-duel", "name": name, "workload": workload.name, "commits": commits, "alpha": ALPHA,
        "browser": version, "visits": visits, "values": {side: collect_values(visits[side]) for side in SIDES},
    }  # fmt: skip
    return conclude_pages(workspace, raw)


def conclude_pages(workspace: Workspace, raw: dict[str, Any]) -> Duel:
    """The duel's outcome, from its raw visits."""
    effects = page_effects(raw)
    # What happened in some visits only has fewer values.
    raw["medians"] = {
        side: {name: [value for value in column if value is not None] for name, column in raw["values"][side].items()}
        for side in SIDES
    }
    samples = workspace.artifacts.put_json(raw)
    measurements = tuple(
        measurement
        for side in SIDES
        for measurement in measure_values(
            workspace, raw["medians"][side], samples, raw["workload"], side, raw["commits"][side], raw["browser"],
            duel=raw["name"], pointer=f"/medians/{side}",
        )
    )  # fmt: skip
    return Duel(
        name=raw["name"], workload=raw["workload"], base=raw["commits"]["base"], candidate=raw["commits"]["candidate"],
        effects=effects, samples=samples, digest=render_pages(raw, effects), measurements=measurements,
    )  # fmt: skip


def render_pages(raw: dict[str, Any], effects: tuple[Effect, ...]) -> str:
    """The digest: a headline of the Core Web Vitals, then each effect."""
    core = [effect for effect in effects if effect.metric in {vital.metric for vital in VITALS if vital.core}]
    pairs = len(raw["visits"]["base"])
    lines = [f"{raw['workload']}: {'; '.join(show_effect(effect) for effect in core)}; {pairs} pairs of visits"]
    lines += [f"{effect.outcome.replace('_', ' ')}: {show_effect(effect)}" for effect in effects]
    return "\n".join(lines)


def show_effect(effect: Effect) -> str:
    """An effect in words; for one around zero, where a ratio says little, both values alone."""
    if min(effect.base, effect.candidate) <= 0 or not math.isfinite(effect.ratio_high):
        unit = "" if effect.unit == "1" else f" {effect.unit}"
        return f"{METRICS[effect.metric].title} from {effect.base:.3g}{unit} to {effect.candidate:.3g}{unit}"
    return describe(effect)
