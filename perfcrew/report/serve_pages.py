"""The pages that `perfcrew serve` adds to the reports: the list of runs, a run at work, a plain text."""

from collections.abc import Mapping, Sequence
from typing import Any

from perfcrew.report.html import find_template, read_script


def render_index(runs: Sequence[Mapping[str, Any]]) -> str:
    """The list of runs. It is loaded again when one begins, ends or stops."""
    return find_template("index.html").render(runs=runs, **read_script("index.js", "connect-src 'self'"))


def render_live(run_id: str, repo: str) -> str:
    """A run at work: what is asked and done, as it comes; the report once it is there."""
    return find_template("live.html").render(run_id=run_id, repo=repo, **read_script("live.js", "connect-src 'self'"))


def render_text(title: str, text: str) -> str:
    """A plain text as a page."""
    return find_template("text.html").render(title=title, text=text)
