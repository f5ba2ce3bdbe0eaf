"""The page in a real browser: read on a desk and on a phone, in the dark, on paper, by keyboard, and by axe."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from report_material import N_PLUS_ONE, finish_run

from perfcrew.artifacts import Artifacts
from perfcrew.page_effects import page_effects
from perfcrew.records.report import PageDuel
from perfcrew.report.build import build_report
from perfcrew.report.excerpt import Excerpt
from perfcrew.report.html import render_html
from tests.unit.test_page_effects import FAST, SLOW, make_duel, make_visits
from tools.browser import NAMES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
LIGHTHOUSE = shutil.which("lighthouse")
AXE = Path(LIGHTHOUSE).resolve().parents[1] / "node_modules" / "axe-core" / "axe.min.js" if LIGHTHOUSE else Path("none")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def visits(count: int, **columns: Any) -> list[dict[str, Any]]:
    entry = {"url": "http://localhost/app.js", "type": "Script", "ttfb_ms": 40.0, "bytes": 9000, "end": 0.4}
    return [visit | {"network": [entry], "requests": [(120.0, 400.0)]} for visit in make_visits(count, **columns)]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    artifacts = Artifacts(folder / "artifacts")
    raw = make_duel(visits(8, lcp=SLOW), visits(8, lcp=FAST))
    duel = PageDuel(workload="shop", effects=page_effects(raw), samples=artifacts.put_json(raw))
    code = Excerpt(path="app/dashboard.py", first=10, lines=("for user in users:", "    load(user)"), marked=11)
    report = build_report(finish_run(artifacts, pages=(duel,)))
    page = folder / "report.html"
    page.write_text(render_html(report, artifacts, {N_PLUS_ONE: code}), encoding="utf-8")
    return page.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def read(browser: "Browser", address: str, **options: Any) -> "Page":
    """The page, which must have nothing to complain about and fetch nothing."""
    context = browser.new_context(**{"viewport": DESK, **options})
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    assert (said, asked) == ([], [address])
    return page


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("desk", {}),
        ("phone", {"viewport": PHONE, "is_mobile": True, "has_touch": True}),
        ("dark", {"color_scheme": "dark"}),
    ],
)
def test_it_is_looked_at(browser: "Browser", address: str, tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    page = read(browser, address, **options)
    page.screenshot(path=tmp_path / f"{name}.png")
    width = page.evaluate("innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out"
    for words in ("What was wrong", "What was done", "What it gained"):
        assert page.get_by_role("heading", name=words).is_visible()
    ratio = page.locator(".large .ratio").first.bounding_box()
    assert ratio and ratio["y"] + ratio["height"] < page.evaluate("innerHeight"), "the gain is on the first screen"
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, back.removeprefix("rgb(").rstrip(")").split(","))) < 200) == (name == "dark")
    page.context.close()


def test_without_a_script_everything_is_there(browser: "Browser", address: str) -> None:
    page = read(browser, address, java_script_enabled=False)
    assert page.locator("svg.plot path.line").count() > 4
    assert page.locator(".tools").count() == 0
    assert page.get_by_text("attach_items(session, users)").first.is_visible()
    page.context.close()


def test_on_paper(browser: "Browser", address: str) -> None:
    page = read(browser, address)
    page.emulate_media(media="print")
    assert not page.locator(".tools").first.is_visible() and not page.locator("nav").is_visible()
    assert page.pdf(format="A4").count(b"/Type /Page\n") > 3 or len(page.pdf(format="A4")) > 50_000
    page.context.close()


def test_a_plot_is_read_zoomed_and_thinned_by_keyboard(browser: "Browser", address: str) -> None:
    page = read(browser, address)
    figure = page.locator("figure", has=page.get_by_role("heading", name="Response times before and after")).first
    slider, told = figure.get_by_role("slider"), figure.locator("output")
    assert "Move over the plot" in told.inner_text()
    slider.focus()
    page.keyboard.press("End")
    at_end = told.inner_text()
    assert "base 100 %" in at_end and "candidate 100 %" in at_end
    page.keyboard.press("Home")
    assert "base 0 %" in told.inner_text() and slider.get_attribute("aria-valuetext") == told.inner_text()
    ticks = figure.locator("svg .tick.mid").all_text_contents()
    page.keyboard.press("+")
    assert figure.locator("svg .tick.mid").all_text_contents() != ticks
    page.keyboard.press("Escape")
    assert figure.locator("svg .tick.mid").all_text_contents() == ticks
    arm = figure.get_by_role("button", name="candidate: ")
    arm.focus()
    page.keyboard.press("Enter")
    assert arm.get_attribute("aria-pressed") == "false" and figure.locator("path.line.candidate").count() == 0
    page.keyboard.press("Enter")
    assert figure.locator("path.line.candidate").count() == 1
    page.context.close()


def test_a_plot_is_read_and_zoomed_by_pointer(browser: "Browser", address: str) -> None:
    page = read(browser, address)
    drawing = page.locator("svg[data-plot]").first
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, y)
    told = page.locator("figure output").first
    assert "candidate" in told.inner_text() and drawing.locator(".cursor").count() == 1
    ticks = drawing.locator(".tick.mid").all_text_contents()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, y, steps=3)
    page.mouse.up()
    assert drawing.locator(".tick.mid").all_text_contents() != ticks
    page.context.close()


def test_a_flame_graph_is_entered_and_searched(browser: "Browser", address: str) -> None:
    page = read(browser, address)
    section = page.locator("#profile")
    graph = section.locator("svg.flame").first
    graph.locator("g[tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.name") == "dashboard"
    before = graph.locator("g[data-name='load_items'] rect").bounding_box()
    page.keyboard.press("Enter")
    after = graph.locator("g[data-name='load_items'] rect").bounding_box()
    assert before and after and after["width"] > before["width"]
    assert "dashboard: " in section.locator("output").first.inner_text()
    page.keyboard.press("Escape")
    back = graph.locator("g[data-name='load_items'] rect").bounding_box()
    assert back and abs(back["width"] - before["width"]) < 0.1
    section.get_by_role("searchbox").first.fill("serialise")
    assert graph.locator("g.found").count() >= 1
    assert "% of the samples" in section.locator("output").first.inner_text()
    page.context.close()


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core, which comes with lighthouse, is not installed")
@pytest.mark.parametrize("options", [{}, {"viewport": PHONE, "color_scheme": "dark"}])
def test_axe_finds_nothing(browser: "Browser", address: str, options: dict[str, Any]) -> None:
    page = read(browser, address, bypass_csp=True, **options)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == []
    assert len(found["passes"]) > 20
    page.context.close()
