"""Runs, their reports and raw files as resources."""

import base64
import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path

from graphs.runs import is_finished, list_runs, read_any, read_manifest, run_folder
from perfcrew.artifacts import Artifacts
from perfcrew.errors import UserError
from perfcrew.records.base import ArtifactRef
from perfcrew.records.report import Report
from perfcrew.records.survey import Comparison, Survey
from perfcrew.report.comparison_text import render_comparison

URI = "perfcrew://runs"
FORMS = {"md": "text/markdown", "json": "application/json", "html": "text/html"}
TEMPLATES = {
    f"{URI}/{{run}}/report.md": "A run's, a measure's or a comparison's report as Markdown",
    f"{URI}/{{run}}/report.json": "The same as JSON, with every figure and its raw file",
    f"{URI}/{{run}}/report.html": "The same as one page",
    f"{URI}/{{run}}/artifacts/{{name}}": "A raw file that a report refers to, checked against its hash",
}
MOST_BYTES = 4_000_000
_RESOURCE = re.compile(
    rf"{URI}/(?P<run>[\w-]+)/(?:report\.(?P<form>md|json|html)|artifacts/(?P<sha>[0-9a-f]{{64}})(?P<suffix>(?:\.[\w-]+)*))"
)


@dataclass(frozen=True)
class Contents:
    """What a resource holds."""

    mime: str
    text: str | None = None
    blob: str | None = None
    """Base64, where it is no text."""


def list_resources(home: Path) -> list[tuple[str, str, str]]:
    """URI, name and type of the list of runs and of the newest finished runs' reports."""
    found = [(URI, "runs", FORMS["json"])]
    for folder in list_runs(home):
        if is_finished(folder):
            kind = read_manifest(folder).kind
            found.append((f"{URI}/{folder.name}/report.md", f"{kind} {folder.name}", FORMS["md"]))
    return found


def read_resource(home: Path, uri: str) -> Contents:
    """A resource's content.

    Raises:
        UserError: there is no such resource, or it is too large.
        VerificationError: a raw file is missing or was altered.
    """
    if uri == URI:
        return Contents(FORMS["json"], json.dumps([_row(folder) for folder in list_runs(home)], indent=1))
    found = _RESOURCE.fullmatch(uri)
    if found is None:
        raise UserError(f"{uri}: no such resource; there is: {', '.join([URI, *TEMPLATES])}")
    folder = run_folder(home, found["run"])
    if found["form"]:
        return Contents(FORMS[found["form"]], render(read_any(folder), found["form"], folder))
    content = Artifacts(folder / "artifacts").get(ArtifactRef(sha256=found["sha"], suffix=found["suffix"], size=0))
    packed = found["suffix"].endswith(".gz")
    content = gzip.decompress(content) if packed else content
    if len(content) > MOST_BYTES:
        raise UserError(f"{uri}: {len(content)} bytes are too many to send; the file is in {folder / 'artifacts'}")
    mime = FORMS["json"] if ".json" in found["suffix"] else "text/plain"
    try:
        return Contents(mime, content.decode())
    except UnicodeDecodeError:
        return Contents("application/octet-stream", blob=base64.b64encode(content).decode())


def render(result: Report | Survey | Comparison, form: str, folder: Path | None = None) -> str:
    """A result in one of its forms.

    Raises:
        UserError: it has no such form.
    """
    if form == "json":
        return result.model_dump_json(by_alias=True, indent=1)
    if isinstance(result, Comparison):
        if form == "html":
            raise UserError("a comparison has no page; its forms are md and json")
        return render_comparison(result)
    if form == "html" and folder is not None:
        return _render_page(result, Artifacts(folder / "artifacts"))
    if isinstance(result, Survey):
        from perfcrew.report.survey_markdown import render_survey

        return render_survey(result)
    from perfcrew.report.markdown import render_markdown

    return render_markdown(result)


def _render_page(result: Report | Survey, artifacts: Artifacts) -> str:
    if isinstance(result, Survey):
        from perfcrew.report.survey_html import render_survey_page

        return render_survey_page(result, artifacts)
    from perfcrew.report.html import render_html

    return render_html(result, artifacts)


def _row(folder: Path) -> dict[str, str]:
    manifest = read_manifest(folder)
    result = read_any(folder) if is_finished(folder) else None
    if result is None:
        outcome = "unfinished"
    else:
        outcome = f"{len(result.findings)} findings" if isinstance(result, Survey) else result.outcome
    return {"run_id": folder.name, "kind": manifest.kind, "repository": manifest.repo.name, "outcome": outcome}
