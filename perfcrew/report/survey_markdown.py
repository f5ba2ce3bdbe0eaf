"""A survey in Markdown."""

from perfcrew.records.survey import Survey
from perfcrew.report.figures import name_kind, show_seconds
from perfcrew.report.markdown import escape
from perfcrew.report.survey_terminal import describe_place
from perfcrew.report.survey_views import Table, doubts, headlines, metric_rows, nothing_found, tables


def render_survey(survey: Survey) -> str:
    """The survey as Markdown, figures in tables."""
    lines = [f"# {escape(survey.target)} measured at `{survey.commit[:12]}`", ""]
    lines += [f"- **{subject}**: {escape(answer)}" for subject, answer in headlines(survey)]
    lines += ["", "## Findings", ""]
    if not survey.findings:
        lines.append(f"{nothing_found(survey)}.")
    for finding in survey.findings:
        share = "no share of time" if finding.share is None else f"{finding.share:.0%} of end-to-end time"
        why = [f"- no share of time: {escape(finding.unshared)}"] if finding.unshared else []
        where = describe_place(finding.place)
        place = f" at {escape(where)}" if where else ""
        lines += [
            f"### {name_kind(finding.kind)}{place} ({finding.severity}, {share})", "",
            escape(finding.claim), "",
            f"- remedy: {escape(finding.remedy)}",
            f"- prevention: {escape(finding.prevention)}",
            *why,
            f"- evidence: {', '.join(f'`{name}`' for name in finding.evidence)}", "",
        ]  # fmt: skip
    for table in tables(survey):
        lines += ["", *render_table(table)]
    header = ("metric", "id", "value", "spread", "samples", "computed by")
    lines += ["", *render_table(Table("Every figure", header, tuple(metric_rows(survey)), 2))]
    notes = (*doubts(survey), *survey.notes)
    if notes:
        lines += ["", "## Notes", "", *(f"- {escape(note.splitlines()[0])}" for note in notes)]
    machine = ", ".join(f"{name} {value}" for name, value in survey.environment.items())
    lines += ["", f"Measured in {show_seconds(survey.seconds)} on {escape(machine)}."]
    return "\n".join(lines) + "\n"


def render_table(table: Table) -> list[str]:
    """A table's lines, its heading first."""
    rule = [" --- " if number < table.figures else " ---: " for number in range(len(table.header))]
    lines = [
        f"## {escape(table.title)}",
        "",
        f"| {' | '.join(escape(name) for name in table.header)} |",
        f"|{'|'.join(rule)}|",
    ]
    lines += [f"| {' | '.join(escape(cell) for cell in row)} |" for row in table.rows]
    return [*lines, *(["", escape(table.note)] if table.note else [])]
