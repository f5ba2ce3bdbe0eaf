"""The recipe's common context template, Markdown, to a typed request.

    ## Performance Context
    - **Issue Description**: the dashboard takes over a second
    - **Target Metrics**: P95 below 300 ms

What is left as a placeholder in brackets counts as empty. Words before the first section count as the issue.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from perfcrew.errors import UserError
from perfcrew.records.work import Constraints, PerformanceContext, RecipeRequest, TechnicalEnvironment

SECTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "performance context": (
        "context",
        {
            "issue description": "issue",
            "affected components": "components",
            "current metrics": "current_metrics",
            "target metrics": "target_metrics",
        },
    ),
    "technical environment": (
        "environment",
        {
            "stack": "stack",
            "infrastructure": "infrastructure",
            "traffic pattern": "traffic",
            "data volume": "data_volume",
        },
    ),
    "constraints": (
        "constraints",
        {"budget": "budget", "timeline": "timeline", "compatibility": "compatibility", "downtime": "downtime"},
    ),
}
_HEADING = re.compile(r"(?P<marks>#{1,6})\s+(?P<title>.+?)\s*#*$")
_FIELD = re.compile(r"[-*+]\s+(?:\*\*(?P<bold>[^*]+?):?\*\*\s*:?|(?P<plain>[A-Za-z ]+):)\s*(?P<value>.*)$")
_PLACEHOLDER = re.compile(r"\[[^\]]*\]$")


def read_context(path: Path) -> RecipeRequest:
    """Read a context file.

    Raises:
        UserError: it can't be read, or a heading or field isn't the template's.
    """
    try:
        return parse_context(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UserError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: expected UTF-8 text") from None


def parse_context(text: str, name: str = "context") -> RecipeRequest:
    """The request in a filled-in template; `name` is what mistakes are reported in."""
    values: dict[tuple[str, str], list[str]] = {("context", "issue"): []}
    section: str | None = None
    place: tuple[str, str] | None = ("context", "issue")
    for number, line in _lines(text):
        heading = _HEADING.match(line)
        if heading and (section is not None or len(heading["marks"]) > 1 or heading["title"].lower() in SECTIONS):
            section, place = _find(heading["title"], SECTIONS, f"{name}, line {number}", "section"), None
            continue
        if heading:  # a title above the template
            continue
        field = _FIELD.match(line) if section is not None else None
        if field and section is not None:
            group, fields = SECTIONS[section]
            label = field["bold"] or field["plain"]
            if field["bold"] or place is None or label.strip().lower() in fields:
                place = group, fields[_find(label, fields, f"{name}, line {number}", f"field in {section!r}")]
                line = field["value"]
        if place is None:
            raise UserError(f"{name}, line {number}: expected a field such as - **Budget**: …, got {line[:60]!r}")
        if line and not _PLACEHOLDER.match(line):
            values.setdefault(place, []).append(line)
    return _request(values)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line and not line.startswith(("```", "~~~")):
            yield number, line


def _find(title: str, known: Iterable[str], where: str, what: str) -> str:
    wanted = " ".join(title.lower().split())
    known = tuple(known)
    if wanted in known:
        return wanted
    near = difflib.get_close_matches(wanted, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
    raise UserError(f"{where}: no such {what}: {title!r}; {hint}")


def _request(values: dict[tuple[str, str], list[str]]) -> RecipeRequest:
    def part(group: str) -> dict[str, str]:
        return {field: "\n".join(lines) for (own, field), lines in values.items() if own == group}

    return RecipeRequest(
        context=PerformanceContext(**part("context")),
        environment=TechnicalEnvironment(**part("environment")),
        constraints=Constraints(**part("constraints")),
    )
