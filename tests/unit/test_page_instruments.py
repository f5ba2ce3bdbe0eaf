"""The page instruments on a page with planted problems and on its healthy twin, in a real browser."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from page_target import make_page_workspace

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import text, unpack_rows
from perfcrew.records.target import PageStep, Workload
from perfcrew.stats import recompute
from tools.browser import NAMES
from tools.bundle import measure_bundle
from tools.detectors import detect
from tools.lighthouse import run_lighthouse
from tools.page_duel import duel_pages
from tools.page_inspection import inspect_page
from tools.web_vitals import measure_vitals
from tools.workspace import Workspace

HAS_CHROMIUM = any(shutil.which(name) for name in NAMES)
needs_chromium = pytest.mark.skipif(not HAS_CHROMIUM, reason="no Chromium on this machine")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def pick(workspace: Workspace, name: str) -> Workload:
    return next(workload for workload in workspace.target.workload if workload.name == name)


def figures_hold(workspace: Workspace, evidence: Evidence) -> bool:
    assert evidence.artifact is not None and len(evidence.digest) < 8000
    return all(
        recompute(item.method, workspace.artifacts.get_json(item.samples)) == item.value
        for item in evidence.measurements
    )


@pytest.mark.app
@needs_chromium
async def test_vitals_of_the_planted_page_are_poor_and_name_their_elements(tmp_path: Path) -> None:
    workspace = await make_page_workspace(tmp_path)
    evidence = await measure_vitals(workspace, workspace.base_commit, pick(workspace, "shop"), "base")
    rows = {text(row, "short"): row for row in unpack_rows(evidence.facts, "vital")}
    assert [text(rows[name], "rating") for name in ("LCP", "CLS", "INP")] == ["poor", "poor", "poor"]
    assert text(rows["LCP"], "element") == "div#hero>img" and text(rows["LCP"], "url") == "/static/hero.png"
    assert text(rows["INP"], "element") == "button#sort" and "/static/bundle.js" in text(rows["INP"], "script")
    assert "div#list" in str(evidence.facts["shift.0.elements"]) + str(evidence.facts["shift.1.elements"]) + text(
        rows["CLS"], "element"
    )
    assert float(rows["TBT"]["value"] or 0) > 200 and rows["FID"]["retired"] == 1
    assert figures_hold(workspace, evidence)
    assert {item.id for item in evidence.measurements} >= {"lcp@shop/base", "cls@shop/base", "inp@shop/base"}
    kinds = {finding.kind for finding in detect([evidence])}
    assert kinds == {"slow_paint", "layout_shift", "slow_interaction", "blocking_call"}
    assert not list((workspace.folder / "browser").iterdir())


@pytest.mark.app
@needs_chromium
async def test_vitals_of_the_twin_are_good(tmp_path: Path) -> None:
    workspace = await make_page_workspace(tmp_path)
    evidence = await measure_vitals(workspace, workspace.base_commit, pick(workspace, "twin"), "base")
    rows = {text(row, "short"): row for row in unpack_rows(evidence.facts, "vital")}
    assert [text(rows[name], "rating") for name in ("LCP", "CLS", "INP")] == ["good", "good", "good"]
    assert detect([evidence]) == ()


@pytest.mark.app
@needs_chromium
async def test_inspection_finds_what_was_planted_and_nothing_in_the_twin(tmp_path: Path) -> None:
    workspace = await make_page_workspace(tmp_path)
    shop = await inspect_page(workspace, workspace.base_commit, pick(workspace, "shop"), "base")
    rows = {kind: unpack_rows(shop.facts, kind) for kind in ("blocking", "image", "unused", "duplicate")}
    assert {text(row, "url") for row in rows["blocking"]} == {"/static/bundle.js", "/static/theme.css"}
    assert {(text(row, "url"), row["reserved"], row["old_format"]) for row in rows["image"]} == {
        ("/static/hero.png", 0, 1), ("/static/offer.png", 0, 1),
    }  # fmt: skip
    assert {text(row, "url") for row in rows["unused"] if float(row["unused"] or 0) > 10_000} == {
        "/static/bundle.js", "/static/theme.css",
    }  # fmt: skip
    assert [(text(row, "request"), row["count"]) for row in rows["duplicate"]] == [("GET /api/prices?shelf=1", 2)]
    assert shop.facts["redirects"] == 1 and figures_hold(workspace, shop)
    assert {finding.kind for finding in detect([shop])} == {
        "bundle_size", "blocked_rendering", "heavy_image", "layout_shift", "round_trips", "cache_miss",
        "no_compression",
    }  # fmt: skip
    loaded = {text(row, "url"): row for row in unpack_rows(shop.facts, "resource")}
    script = loaded["/static/bundle.js"]
    assert float(script["decoded"] or 0) > 200_000 and float(script["ttfb_ms"] or 0) > 0
    assert (script["http"], script["encoding"], script["cache_control"]) == ("http/1.1", "identity", None)
    twin = await inspect_page(workspace, workspace.base_commit, pick(workspace, "twin"), "base")
    small = next(row for row in unpack_rows(twin.facts, "resource") if text(row, "url") == "/static/hero.svg")
    assert small["encoding"] == "gzip" and float(small["decoded"] or 0) > float(small["bytes"] or 0)
    assert detect([twin]) == () and twin.facts["redirects"] == 0
    assert all(row["reserved"] and not row["old_format"] for row in unpack_rows(twin.facts, "image"))


@pytest.mark.app
@needs_chromium
async def test_bundle_has_sizes_with_or_without_the_explorer(tmp_path: Path) -> None:
    workspace = await make_page_workspace(tmp_path)
    evidence = await measure_bundle(workspace, workspace.base_commit, pick(workspace, "shop"), "base")
    first = unpack_rows(evidence.facts, "file")[0]
    assert text(first, "url") == "/static/bundle.js" and float(first["plain"] or 0) > 20 * float(first["gzip"] or 0)
    modules = unpack_rows(evidence.facts, "module")
    if shutil.which("source-map-explorer"):
        assert text(modules[0], "name") == "src/vendor/charts.js"
    else:
        assert modules == [] and "source-map-explorer is not installed" in evidence.digest


@pytest.mark.app
@needs_chromium
@pytest.mark.skipif(shutil.which("lighthouse") is None, reason="no Lighthouse on this machine")
async def test_lighthouse_tells_planted_problems(tmp_path: Path) -> None:
    workspace = await make_page_workspace(tmp_path)
    evidence = await run_lighthouse(workspace, workspace.base_commit, pick(workspace, "shop"), "base")
    assert "render-blocking" in evidence.digest and float(evidence.facts["tti_ms"] or 0) > 0


@pytest.mark.app
@needs_chromium
async def test_page_duel_sees_the_same_page_as_the_same(tmp_path: Path) -> None:
    workspace = await make_page_workspace(tmp_path)
    head = workspace.base_commit
    duel = await duel_pages(workspace, head, head, pick(workspace, "twin"))
    effects = {effect.metric: effect for effect in duel.effects}
    assert effects["page.bytes"].exact and effects["page.bytes"].ratio == 1.0
    assert effects["page.cls"].outcome == "no_significant_change"
    assert figures_hold(workspace, duel.evidence)
    assert {item.arm for item in duel.measurements} == {"base", "candidate"}


@pytest.mark.app
@needs_chromium
async def test_step_that_finds_nothing_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.page_visit.STEP_S", 0.5)
    workspace = await make_page_workspace(tmp_path)
    twin = pick(workspace, "twin")
    assert twin.page is not None
    lost = twin.model_copy(update={"page": twin.page.model_copy(update={"step": (PageStep(click="#gone"),)})})
    with pytest.raises(InstrumentError, match=r"^workload twin, step 1: '#gone' can't be used: ") as caught:
        await inspect_page(workspace, workspace.base_commit, lost, "base")
    assert "\n" not in str(caught.value)
    missing = twin.model_copy(update={"page": twin.page.model_copy(update={"path": "/nowhere"})})
    with pytest.raises(InstrumentError, match="/nowhere is answered with status 404"):
        await inspect_page(workspace, workspace.base_commit, missing, "base")


@pytest.mark.parametrize("instrument", [measure_vitals, inspect_page, measure_bundle, run_lighthouse])
async def test_without_chromium_there_is_one_line(
    instrument: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(instrument)
    workspace = await make_page_workspace(tmp_path, programs={"chromium": Path("/nonexistent/chromium")})
    with pytest.raises(InstrumentError, match="PERFCREW_CHROMIUM") as caught:
        await instrument(workspace, workspace.base_commit, pick(workspace, "shop"), "base")
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("PATH", str(tmp_path))
    workspace = replace(workspace, programs={})
    with pytest.raises(InstrumentError, match="apt install chromium") as caught:
        await instrument(workspace, workspace.base_commit, pick(workspace, "shop"), "base")
    assert "\n" not in str(caught.value)
