"""Two versions of a page side by side: visits by turns, pair by pair, and the effects on its vitals."""

import time
from typing import Any

from perfcrew.page_effects import ALPHA, is_settled, page_effects, plan_looks
from perfcrew.page_stats import collect_values
from perfcrew.records.evidence import Effect
from perfcrew.records.target import Workload
from perfcrew.records.vitals import CORE
from perfcrew.verdict import describe
from tools.arm import start_arm
from tools.browser import find_chromium, open_browser
from tools.duel import Duel
from tools.lease import quiet_lease
from tools.page_visit import page_path, visit_page
from tools.web_vitals import QUICK_QUIET_S, QUIET_S, measure_values
from tools.workspace import Workspace

SIDES = ("base", "candidate")
LEAST_PAIRS = 2
"""Visited whatever time is left."""


async def duel_pages(
    workspace: Workspace, base: str, candidate: str, workload: Workload, *,
    name: str = "pages", alpha: float = ALPHA, limit_s: float | None = None,
) -> Duel:  # fmt: skip
    """Compare the vitals of a page in two commits. Holds the quiet lease.

    Both arms run at once, and only one is visited at a time; which is visited first alternates from pair to pair. The
    visits of a pair follow each other, so that the machine's drift hits both.

    Args:
        workspace: where the arms run.
        base: commit.
        candidate: commit.
        workload: of kind `page`.
        name: of the duel.
        alpha: risk of a false alarm over all that is judged of the page; a part where several duels decide together.
        limit_s: no further pair is begun that would probably end later than this.

    Raises:
        InstrumentError: no browser, an arm does not start, the page does not load, or a step finds nothing to act on.
    """
    find_chromium(workspace.programs)
    raw: dict[str, Any] = {
        "kind": "page-duel", "name": name, "workload": workload.name,
        "commits": {"base": base, "candidate": candidate}, "protocol": plan_looks(alpha, quick=workspace.quick),
        "visits": {side: [] for side in SIDES},
    }  # fmt: skip
    async with (
        quiet_lease(workspace),
        start_arm(workspace, base, "duel-base") as first,
        start_arm(workspace, candidate, "duel-candidate") as second,
        open_browser(workspace) as browser,
    ):
        urls = {side: arm.url + page_path(workload) for side, arm in zip(SIDES, (first, second), strict=True)}
        for url in urls.values():
            await visit_page(browser, url, workload, quiet_s=0.3, throttled=False)
        quiet_s = QUICK_QUIET_S if workspace.quick else QUIET_S
        began = time.monotonic()
        while not _is_over(raw, limit_s, time.monotonic() - began):
            number = len(raw["visits"]["base"])
            for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                raw["visits"][side].append(await visit_page(browser, urls[side], workload, quiet_s=quiet_s))
        raw |= {"browser": f"Chromium {browser.version}", "seconds": time.monotonic() - began}
    return conclude_pages(workspace, raw)


def _is_over(raw: dict[str, Any], limit_s: float | None, spent_s: float) -> bool:
    """Whether the last look is reached, or an earlier one that leaves nothing open, or the time is up."""
    done, looks = len(raw["visits"]["base"]), raw["protocol"]["looks"]
    if done < LEAST_PAIRS:
        return False
    if done >= looks[-1] or (limit_s is not None and spent_s + spent_s / done > limit_s):
        return True
    return done in looks and is_settled(page_effects(raw))


def conclude_pages(workspace: Workspace, raw: dict[str, Any]) -> Duel:
    """The duel's outcome, from its raw visits."""
    effects = page_effects(raw)
    samples = workspace.artifacts.put_json(raw)
    measurements = tuple(
        measurement
        for side in SIDES
        for measurement in measure_values(
            workspace, collect_values(raw["visits"][side]), samples, raw["workload"], side, raw["commits"][side],
            raw["browser"], duel=raw["name"],
        )
    )  # fmt: skip
    return Duel(
        name=raw["name"], workload=raw["workload"], base=raw["commits"]["base"], candidate=raw["commits"]["candidate"],
        effects=effects, samples=samples, digest=render_pages(raw, effects), measurements=measurements,
    )  # fmt: skip


def render_pages(raw: dict[str, Any], effects: tuple[Effect, ...]) -> str:
    """The digest: a headline of the Core Web Vitals, then each effect."""
    core = [effect for effect in effects if effect.metric in {vital.metric for vital in CORE}]
    told = f"{len(raw['visits']['base'])} pairs of visits, {raw['seconds']:.0f} s"
    lines = [f"{raw['workload']}: {'; '.join(describe(effect) for effect in core)}; {told}"]
    return "\n".join([*lines, *(f"{effect.outcome.replace('_', ' ')}: {describe(effect)}" for effect in effects)])
