"""The code that findings are about, read from the run's own copy of the repository at the base."""

import json
from pathlib import Path

from graphs.runs import Manifest, read_manifest
from graphs.workplace import redactor_of
from perfcrew.artifacts import write_whole
from perfcrew.errors import UserError
from perfcrew.records.report import Report
from perfcrew.records.survey import Survey
from perfcrew.report.excerpt import Excerpt, cut_excerpt
from perfcrew.settings import load_settings
from tools.process import probe
from tools.target import load_target

FILE = "excerpts.json"


def find_excerpts(folder: Path, result: Report | Survey) -> dict[str, Excerpt]:
    """Finding id to its code; findings without a place, or whose file is out of reach, are left out.

    They are read once and then kept in the run's folder, because neither the repository nor the copy lasts.
    """
    kept = folder / FILE
    if kept.is_file():
        return kept_excerpts(folder)
    manifest = read_manifest(folder)
    found = {}
    for finding in result.findings:
        place = finding.place
        if place.path and (text := _read(folder, manifest, place.path)):
            excerpt = cut_excerpt(place.path, text, place.line, place.symbol)
            if excerpt is not None:
                found[finding.id] = excerpt
    content = json.dumps({name: excerpt.model_dump() for name, excerpt in found.items()}).encode()
    try:
        target, config = load_target(manifest.repo, manifest.config)
    except UserError:
        # Without the description nothing tells which words in the code are secret.
        return {}
    content = redactor_of(target, manifest.repo, config, load_settings()).content(content)
    write_whole(kept, content)
    return kept_excerpts(folder)


def kept_excerpts(folder: Path) -> dict[str, Excerpt]:
    """What an earlier call kept in a run's folder; nothing is written."""
    kept = folder / FILE
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    return {name: Excerpt.model_validate(value) for name, value in known.items()}


def _read(folder: Path, manifest: Manifest, path: str) -> str | None:
    """A file of the base, from the run's clone or from the repository; None where neither has it."""
    for repo in (folder / "clone", manifest.repo):
        if repo.is_dir() and not path.startswith("/"):
            code, text = probe(["git", "-C", str(repo), "show", f"{manifest.base}:{path}"])
            if code == 0:
                return text
    return None
