"""Pages in comparisons and in validation: what is a win, what is noted, what the report shows of a page."""

from pathlib import Path
from typing import Any

import pytest
from page_target import make_page_workspace
from test_page_effects import FAST, SLOW, make_duel, make_visits

from graphs.page_comparing import compare_pages, validate_pages
from perfcrew.artifacts import Artifacts
from perfcrew.errors import InstrumentError
from perfcrew.page_effects import ALPHA, page_effects
from perfcrew.report.page_views import draw_waterfall, resource_table, vital_table, waterfall_rows
from perfcrew.stats import recompute
from perfcrew.verdict import guard_checks
from tools.duel import Duel
from tools.page_duel import conclude_pages
from tools.web_vitals import conclude_vitals

BROWSER = {"browser": "Chromium 1", "seconds": 60.0}
NOTHING_LOADED: dict[str, Any] = {"shifts": [], "network": []}


async def make_page_duel(folder: Path, cls: float, name: str = "shop") -> Duel:
    workspace = await make_page_workspace(folder)
    raw = make_duel(make_visits(8, lcp=SLOW, cls=0.0), make_visits(8, lcp=FAST, cls=cls))
    return conclude_pages(workspace, {**raw, **BROWSER, "workload": name})


async def test_a_worse_vital_breaks_the_guard_of_its_page(tmp_path: Path) -> None:
    good, bad = await make_page_duel(tmp_path / "a", 0.0), await make_page_duel(tmp_path / "b", 0.3, "cart")
    checks = {check.name: check for check in guard_checks((*good.effects, *bad.effects))}
    assert {name: check.passed for name, check in checks.items()} == {"guard of shop": True, "guard of cart": False}
    assert "cumulative layout shift (CLS) from 0 to 0.3" in checks["guard of cart"].detail


async def test_figures_of_a_page_duel_hold(tmp_path: Path) -> None:
    duel = await make_page_duel(tmp_path, 0.1)
    raw = Artifacts(tmp_path / "run" / "artifacts").get_json(duel.samples)
    assert len(duel.measurements) == 10 and page_effects(raw) == duel.effects
    assert all(recompute(item.method, raw) == item.value for item in duel.measurements)


async def test_each_page_has_its_part_of_the_risk_and_what_fails_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = await make_page_workspace(tmp_path / "work")
    made, asked = await make_page_duel(tmp_path / "made", 0.0), []

    async def duel(_: Any, base: str, candidate: str, page: Any, **more: Any) -> Duel:
        asked.append((base, candidate, page.name, more["alpha"], more["limit_s"]))
        if page.name == "twin":
            raise InstrumentError("no Chromium on PATH: install it")
        return made

    monkeypatch.setattr("graphs.page_comparing.duel_pages", duel)
    said: list[tuple[str, str]] = []
    bouts, notes = await compare_pages(
        workspace, ("a", "b"), lambda kind, text: said.append((kind, text)), family=3, within_s=40.0
    )
    assert [(bout.workload, bout.outcome) for bout in bouts] == [("shop", "improved")]
    assert notes == ("not compared: twin: no Chromium on PATH: install it",)
    assert asked == [("a", "b", "shop", ALPHA / 3, 40.0), ("a", "b", "twin", ALPHA / 3, 40.0)]
    assert ("warning", notes[0]) in said


class FakeJournal:
    async def effect(self, lane: str, key: str, kind: object, run: Any, *, asked: object) -> Any:
        return await run()


class FakeCrew:
    def __init__(self, workspace: object) -> None:
        self.workspace, self.journal, self.said = workspace, FakeJournal(), list[str]()

    def tell(self, kind: str, text: str, **more: object) -> None:
        self.said.append(text)


async def test_validation_compares_each_page_and_goes_on_without_a_browser(tmp_path: Path) -> None:
    nowhere = {"chromium": Path("/nonexistent/chromium")}
    crew: Any = FakeCrew(await make_page_workspace(tmp_path, programs=nowhere))
    duels, notes = await validate_pages(crew, "lane", "a", "b")
    assert duels == [] and [note.partition(":")[0] for note in notes] == [
        "shop was not compared", "twin was not compared",
    ]  # fmt: skip
    assert all("PERFCREW_CHROMIUM" in note and "\n" not in note for note in notes)


def loaded(url: str, start: float, end: float | None) -> dict[str, Any]:
    return {"url": url, "type": "Script", "start": start, "end": end, "ttfb_ms": 40.0, "bytes": 1200}


async def test_a_page_is_shown_as_tables_and_a_waterfall(tmp_path: Path) -> None:
    workspace = await make_page_workspace(tmp_path)
    shop = next(workload for workload in workspace.target.workload if workload.name == "shop")
    visits = [{**visit, **NOTHING_LOADED} for visit in make_visits(5, lcp=SLOW[:5], inp=320.0)]
    evidence = conclude_vitals(workspace, "c", shop, "base", visits, "Chromium 1")
    table = vital_table([evidence])
    assert table.rows[0][:4] == ("shop", "LCP", "–", "needs improvement") and table.rows[0][-1] == "5"
    assert {row[1] for row in table.rows} >= {"LCP", "CLS", "INP", "TBT", "FCP"}
    assert resource_table([]).rows == ()
    entries = [
        loaded("http://127.0.0.1:1/a.js?v=<1>", 1.0, 1.2), loaded("http://127.0.0.1:1/hangs", 1.1, None),
        loaded("http://127.0.0.1:1/b.js", 1.1, 1.12),
    ]  # fmt: skip
    visit = {**visits[0], "network": entries, "requests": [[0.0, 200.0], [100.0, 120.0]]}
    assert waterfall_rows(visit) == [
        ("/a.js?v=<1>", "Script", 0.0, 40.0, 200.0, 1200), ("/b.js", "Script", 100.0, 120.0, 120.0, 1200),
    ]  # fmt: skip
    drawn = draw_waterfall(visit, "one", "Waterfall")
    assert "/a.js?v=&lt;1&gt;" in drawn and ">LCP<" in drawn and "<1>" not in drawn
