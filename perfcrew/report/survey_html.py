"""A survey as one self-contained HTML page: no network; whatever comes from the target is escaped."""

from collections.abc import Mapping

from perfcrew.artifacts import Artifacts
from perfcrew.records.survey import Survey
from perfcrew.report.excerpt import Excerpt
from perfcrew.report.figures import show_figure
from perfcrew.report.html import find_template
from perfcrew.report.page_views import resource_table, vital_table
from perfcrew.report.survey_views import doubts, headlines, metric_of, metric_rows, nothing_found, of_kind, tables
from perfcrew.report.views import Views

_LARGE = (
    ("P95", "http.p95_ms"), ("throughput", "http.rps"), ("wall time", "command.seconds"),
    ("queries a request", "db.queries_per_request"), ("CPU a request", "cpu.ms_per_request"),
    ("peak memory", "memory.peak_mb"),
)  # fmt: skip


def render_survey_page(
    survey: Survey, artifacts: Artifacts | None, excerpts: Mapping[str, Excerpt] | None = None
) -> str:
    """The page. Where a raw file is missing or altered its plot is left out, and the page says so."""
    views = Views(artifacts)
    primary = survey.workloads[0].name if survey.workloads else ""
    pages = (vital_table(of_kind(survey, "vitals")), resource_table(of_kind(survey, "page")))
    found = [(title, metric_of(survey, metric, primary)) for title, metric in _LARGE]
    return find_template("survey.html").render(
        survey=survey,
        large=[(title, show_figure(one.metric, one.value)) for title, one in found if one],
        headlines=headlines(survey),
        doubts=doubts(survey),
        findings=survey.findings,
        excerpts=excerpts or {},
        nothing=nothing_found(survey),
        tables=[table for table in (*pages, *tables(survey)) if table.rows],
        figures=list(metric_rows(survey)),
        plots=(*views.loads(survey), *views.throughput(survey), *views.memory(survey)),
        waterfalls=views.waterfalls(survey),
        profiles=views.profiles(survey),
        missing=views.missing,
    )
