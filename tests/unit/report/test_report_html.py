"""The page: well formed, self-contained, readable without eyes, and safe against what the target says."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from shutil import copytree

import pytest
from report_material import N_PLUS_ONE, finish_run

from perfcrew.artifacts import Artifacts
from perfcrew.records.report import Report
from perfcrew.report.build import build_report
from perfcrew.report.excerpt import Excerpt, cut_excerpt
from perfcrew.report.html import render_html

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """What tests ask of a page; complains about tags that don't match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.headings: list[int] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.text += data if self._open and self._open[-1] not in ("style", "script") else ""

    def values(self, name: str) -> list[str]:
        return [attrs[name] or "" for _, attrs in self.tags if name in attrs]


@pytest.fixture(scope="module")
def text(report: Report, artifacts: Artifacts) -> str:
    return render_html(report, artifacts)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_needs_no_network_and_lets_no_script_run_but_its_own(page: Page, text: str) -> None:
    assert {"link", "img", "iframe", "object"}.isdisjoint(tag for tag, _ in page.tags)
    plain, _, script = text.partition("<script>")
    script = script.partition("</script>")[0]
    assert not re.search(r"https?://|@import|url\(", plain)
    assert not re.search(r"fetch|XMLHttp|import\(|WebSocket|eval|innerHTML|localStorage", script)
    assert page.values("src") == []
    assert all(target.startswith("#") for target in page.values("href"))
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    (policy,) = [attrs["content"] or "" for tag, attrs in page.tags if attrs.get("http-equiv")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy


def test_ids_are_unique_and_referred_to_rightly(page: Page) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    referred = [target.removeprefix("#") for target in page.values("href")]
    referred += [name for value in page.values("aria-labelledby") for name in value.split()]
    assert set(referred) <= set(ids)


def test_what_the_target_says_is_text(page: Page, text: str) -> None:
    assert text.count("<script") == 1
    assert "<script>alert('from the target')</script>" in page.text
    assert "<b>one</b> query" in page.text
    assert "\x1b" not in text


def test_landmarks_and_headings(page: Page) -> None:
    names = [tag for tag, _ in page.tags]
    assert [names.count(name) for name in ("main", "header", "footer", "nav", "h1")] == [1] * 5
    assert page.tags[0] == ("html", {"lang": "en"})
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert all(attrs.get("aria-label") for tag, attrs in page.tags if tag == "nav" or attrs.get("role") == "region")


def test_every_picture_has_words(page: Page, text: str) -> None:
    pictures = [attrs for tag, attrs in page.tags if attrs.get("role") == "img"]
    assert len([tag for tag, _ in page.tags if tag == "svg"]) >= 6
    assert all(attrs.get("aria-label") or attrs.get("aria-labelledby") for attrs in pictures)
    assert text.count("<figure") <= text.count("<table")


def test_the_first_screen(page: Page, report: Report) -> None:
    first = page.text.partition("Before and after")[0]
    assert "improved" in first and "goals met" in first
    assert "recording demo, made with example/model-1" in first
    for heading in ("What was wrong", "What was done", "What it gained"):
        assert heading in first
    assert "N+1 queries" in first and "Load items in one query" in first and "dropped: Cache the totals" in first
    assert first.index("N+1 queries") < first.index("memory leak")


def test_holds_what_the_run_found(page: Page) -> None:
    for words in (
        "GET /api/dashboard", "attach_items(session, users)", "load_items", "parallel", "1 min 10 s", "$0.42",
        "predicted", "PostgreSQL was not used here.", "rollback plan tested", "http.bytes_per_response",
        "Memory over time: dashboard", "How response times are spread", "Throughput against concurrency: dashboard",
        "no agent",
    ):  # fmt: skip
        assert words.lower() in page.text.lower(), words


def test_findings_show_their_code(report: Report, artifacts: Artifacts) -> None:
    excerpt = Excerpt(path="app/dashboard.py", first=10, lines=("for user in users:", "    load(<user>)"), marked=11)
    page = Page(render_html(report, artifacts, {N_PLUS_ONE: excerpt}))
    assert "11    load(<user>)" in page.text
    assert "app/dashboard.py from line 10" in page.values("aria-label")


def test_plots_carry_what_the_script_draws(page: Page) -> None:
    plots = [json.loads(value) for value in page.values("data-plot")]
    assert {plot["kind"] for plot in plots} == {"steps", "lines", "dots"}
    for plot in plots:
        assert plot["x"]["low"] < plot["x"]["high"] and plot["title"]
        for series in plot["series"]:
            assert series["arm"] in ("base", "candidate")
            assert all(plot["y"]["low"] <= y <= plot["y"]["high"] * 1.0001 for _, y in series["points"])


def test_a_run_that_kept_nothing(artifacts: Artifacts) -> None:
    report = build_report(finish_run(artifacts, changes=(), final=None, plans=(), findings=(), phases=(), checks=()))
    page = Page(render_html(report, artifacts))
    assert "Nothing was kept" in page.text and "No change was tried." in page.text


def test_without_raw_files_the_page_still_stands(report: Report, artifacts: Artifacts, tmp_path: Path) -> None:
    bare = Page(render_html(report, None))
    assert "6.0" in bare.text and "svg" not in [tag for tag, _ in bare.tags]
    copytree(artifacts.folder, tmp_path / "copy")
    assert report.duel_samples is not None
    (tmp_path / "copy" / report.duel_samples.name).write_bytes(b"broken")
    page = Page(render_html(report, Artifacts(tmp_path / "copy")))
    assert f"{report.duel_samples.name}: the raw file was altered" in page.text
    assert str(tmp_path) not in page.text


def test_a_raw_file_of_another_form_is_named(report: Report, artifacts: Artifacts) -> None:
    odd = artifacts.put_json({"cells": "none"})
    page = Page(render_html(report.model_copy(update={"duel_samples": odd}), artifacts))
    assert f"{odd.name}: not in the form that can be drawn" in page.text


def test_written_and_read_again_it_is_the_same_page(report: Report, artifacts: Artifacts, text: str) -> None:
    again = Report.model_validate(json.loads(report.model_dump_json(by_alias=True)))
    assert render_html(again, artifacts) == text


CODE = "import x\n\n\ndef slow(rows):\n    return sorted(rows)\n\n\nclass Other:\n    pass\n"


@pytest.mark.parametrize(
    ("line", "symbol", "first", "marked"),
    [
        (5, None, 1, 5),
        (None, "app.slow", 4, 4),
        (None, "Other", 8, 8),
        (99, None, None, None),
        (None, "no", None, None),
    ],
)
def test_code_around_a_line_or_a_symbol(
    line: int | None, symbol: str | None, first: int | None, marked: int | None
) -> None:
    found = cut_excerpt("a.py", CODE, line, symbol)
    assert (found.first, found.marked) == (first, marked) if found else first is None
    assert found is None or found.lines[0].strip()
