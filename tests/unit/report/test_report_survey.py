"""A survey as terminal text, Markdown, JSON and a page, and its verification."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from survey_material import make_survey

from perfcrew.artifacts import Artifacts
from perfcrew.errors import VerificationError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, pack_rows
from perfcrew.records.survey import Survey
from perfcrew.report.survey_html import render_survey_page
from perfcrew.report.survey_markdown import render_survey
from perfcrew.report.survey_seal import seal
from perfcrew.report.survey_terminal import cut, fit_texts, print_survey, split_table
from perfcrew.report.survey_verify import verify_survey
from perfcrew.report.survey_views import Table, headlines, nothing_found, shorten_sql, tables
from tools.detectors import detect


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


def printed(survey: Survey, width: int = 80) -> str:
    out = io.StringIO()
    print_survey(survey, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_the_terminal_says_where_the_time_goes(artifacts: Artifacts) -> None:
    said = printed(make_survey(artifacts))
    assert "latency  shop: P95 118 ms" in said
    assert "66% in database drivers (51 queries a request)" in said
    assert "can't tell whether it leaks" in said
    assert re.search(r"70% ███████░░░ N\+1 queries  GET /a\|b, app/a\.py:12", said)
    assert "note: chromium is missing" in said
    assert said.index("latency") < said.index("N+1 queries") < said.index("Workloads")


@pytest.mark.parametrize("width", [60, 80, 140])
def test_no_line_is_wider_than_the_terminal_and_no_figure_is_cut(artifacts: Artifacts, width: int) -> None:
    said = printed(make_survey(artifacts), width)
    assert max(len(line) for line in said.splitlines()) <= width
    assert "118 ms" in said and "66 %" in said and "70 %" in said


def test_what_comes_from_the_target_is_plain_text_everywhere(artifacts: Artifacts) -> None:
    survey = make_survey(artifacts)
    assert "Sell [red]books" in printed(survey) and "\x1b" not in printed(survey)
    page = render_survey_page(survey, artifacts)
    assert "<b>name" not in page and "&lt;shop&gt;" in page and "\x1b" not in page and page.count("<script") == 1
    text = render_survey(survey)
    assert "<b>" not in text and r"GET /a\|b" in text


def test_nothing_wrong_is_said_so(artifacts: Artifacts) -> None:
    survey = make_survey(artifacts, healthy=True)
    assert survey.findings == ()
    for said in (printed(survey), render_survey(survey), render_survey_page(survey, artifacts)):
        assert "Nothing found that is worth mending" in said
        assert "could not be" not in said
    note = "vitals@shop/base: no Chromium on PATH: install it"
    partly = survey.model_copy(update={"notes": (note, "sandbox: whatever")})
    for said in (printed(partly, 200), render_survey(partly), render_survey_page(partly, artifacts)):
        assert "worth mending in what was measured; 1 could not be, see the notes" in said


def test_a_figure_that_does_not_count_is_marked(artifacts: Artifacts) -> None:
    survey = make_survey(artifacts, doubt="the load generator was the bottleneck")
    assert "118 ms?" in printed(survey)
    assert "does not count: http.p95_ms@shop/base: the load generator was the bottleneck" in printed(survey, 200)
    assert "the load generator was the bottleneck" in render_survey(survey)
    assert "the load generator was the bottleneck" in render_survey_page(survey, artifacts)


def test_the_json_form_is_stable(artifacts: Artifacts) -> None:
    made = json.loads(make_survey(artifacts).model_dump_json(by_alias=True))
    promised = ["schema", "commit", "environment", "workloads", "metrics", "findings", "notes"]
    assert list(made)[:7] == promised
    assert made["schema"] == 1
    assert {"id", "metric", "unit", "better", "workload", "value", "method", "samples"} <= set(made["metrics"][0])
    assert {"id", "kind", "place", "claim", "evidence", "share", "severity", "remedy", "prevention"} <= set(
        made["findings"][0]
    )
    assert Survey.model_validate(made) == make_survey(artifacts)


def test_what_could_not_be_measured_is_counted(artifacts: Artifacts) -> None:
    notes = ("vitals@front/base, page@front/base: no Chromium: install it", "cpu@shop/base: no py-spy", "chromium@home")
    survey = make_survey(artifacts, healthy=True).model_copy(update={"notes": notes})
    assert "3 could not be, see the notes" in nothing_found(survey)


@pytest.mark.parametrize(
    ("runtime", "share", "said"),
    [
        ("python", 0.004, "Python busy 51% of a core"),
        ("node", 0.25, "Node busy 51% of a core, most in a.py:3 show (25% of it)"),
    ],
)
def test_the_headline_names_the_runtime_and_what_is_worth_naming(
    artifacts: Artifacts, runtime: str, share: float, said: str
) -> None:
    row: Row = {
        "name": "show",
        "path": "a.py",
        "line": 3,
        "cpu_share": share,
        "cpu_total": share,
        "ms": 1.0,
        "time_share": share,
    }
    facts = {"busy": 0.51, "runtime": runtime, **pack_rows("hot", [row])}
    profile = Evidence(id="cpu@shop/base", kind="cpu", title="", digest="", facts=facts)
    survey = make_survey(artifacts).model_copy(update={"evidence": (profile,)})
    (time,) = [line.answer for line in headlines(survey) if line.subject == "time"]
    assert time == said
    assert [table.title for table in tables(survey) if "Functions" in table.title] == (
        [] if share < 0.01 else ["Functions, by the CPU time that they take themselves"]
    )


def test_headlines_of_nothing_are_none(artifacts: Artifacts) -> None:
    survey = make_survey(artifacts).model_copy(update={"metrics": (), "evidence": ()})
    assert headlines(survey) == []


def test_a_survey_verifies(artifacts: Artifacts) -> None:
    result = verify_survey(make_survey(artifacts), artifacts, detect)
    assert (result.run_id, result.files) == ("run-1", 2)


def change_metric(survey: Survey) -> Survey:
    first, *others = survey.metrics
    return survey.model_copy(update={"metrics": (first.model_copy(update={"value": 99.0}), *others)})


def change_finding(survey: Survey) -> Survey:
    finding = survey.findings[0].model_copy(update={"share": 0.1})
    return survey.model_copy(update={"findings": (finding,)})


def reword(survey: Survey) -> Survey:
    """As another version would have put it: other advice, other words, fewer figures."""
    first = survey.findings[0]
    said = {"remedy": "think", "prevention": "look", "unshared": "so", "claim": f"Seen {first.claim.split()[3]} times"}
    return survey.model_copy(update={"findings": (first.model_copy(update=said), *survey.findings[1:])})


def change_claim(survey: Survey) -> Survey:
    finding = survey.findings[0].model_copy(update={"claim": "GET /a|b sends it 51 times and takes 4,711 ms"})
    return survey.model_copy(update={"findings": (finding, *survey.findings[1:])})


def hide_finding(survey: Survey) -> Survey:
    return survey.model_copy(update={"findings": ()})


def test_findings_verify_whatever_the_wording_of_the_day(artifacts: Artifacts) -> None:
    survey = reword(make_survey(artifacts))
    assert "4711" not in survey.findings[0].claim and survey.findings[0].remedy == "think"
    assert verify_survey(seal(survey), artifacts, detect).files == 2


def test_findings_may_not_rest_on_doubtful_figures(artifacts: Artifacts) -> None:
    survey = make_survey(artifacts, doubt="the load generator was the bottleneck")
    assert survey.findings == ()
    assert verify_survey(survey, artifacts, detect).files == 2
    with pytest.raises(VerificationError, match="findings"):
        verify_survey(seal(survey.model_copy(update={"findings": make_survey(artifacts).findings})), artifacts, detect)


@pytest.mark.parametrize("change", [change_claim, hide_finding])
def test_a_figure_in_a_claim_and_a_hidden_finding_are_found_under_a_new_seal(
    artifacts: Artifacts, change: Callable[[Survey], Survey]
) -> None:
    with pytest.raises(VerificationError, match="findings"):
        verify_survey(seal(change(make_survey(artifacts))), artifacts, detect)


@pytest.mark.parametrize(("change", "said"), [(change_metric, "http.p95_ms@shop/base"), (change_finding, "findings")])
def test_a_changed_figure_is_found_even_under_a_new_seal(
    artifacts: Artifacts, change: Callable[[Survey], Survey], said: str
) -> None:
    with pytest.raises(VerificationError, match=said):
        verify_survey(seal(change(make_survey(artifacts))), artifacts, detect)


def test_a_changed_note_breaks_the_seal_and_a_lost_file_is_missed(artifacts: Artifacts) -> None:
    survey = make_survey(artifacts)
    with pytest.raises(VerificationError, match="seal"):
        verify_survey(survey.model_copy(update={"notes": ()}), artifacts, detect)
    artifacts.path(survey.metrics[0].samples).unlink()
    with pytest.raises(VerificationError, match="missing"):
        verify_survey(survey, artifacts, detect)


def test_tables_share_their_width() -> None:
    table = Table("t", ("name", "text", "a", "b"), (("x", "y" * 50, "1,000 ms", "2,000 ms"),), 2)
    assert fit_texts(table, 50) == [4, 24]
    parts = split_table(table, 30)
    assert [part.header for part in parts] == [("name", "text", "a"), ("name", "text", "b")]
    assert cut("abcdef", 4) == "abc…" and cut("abc", 4) == "abc"


@pytest.mark.parametrize(
    ("sql", "short"),
    [
        ("SELECT a.id, a.name, a.title, a.place\n FROM a WHERE a.id = ?", "SELECT … FROM a WHERE a.id = ?"),
        ("SELECT count(*) AS count FROM a", "SELECT count(*) AS count FROM a"),
        ("SELECT id FROM a", "SELECT id FROM a"),
        ("UPDATE a SET b = ?", "UPDATE a SET b = ?"),
        ("DELETE FROM " + "x" * 200, "DELETE FROM " + "x" * 87 + "…"),
    ],
)
def test_a_statement_is_shown_by_what_it_reads(sql: str, short: str) -> None:
    assert shorten_sql(sql) == short
