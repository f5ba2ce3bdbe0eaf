"""The common context template: filled in, half filled in, mistyped."""

from pathlib import Path

import pytest

from perfcrew.entry.context import parse_context, read_context
from perfcrew.errors import UserError
from perfcrew.records.work import RecipeRequest

TEMPLATE = """\
```markdown
## Performance Context
- **Issue Description**: [Specific performance problems]
- **Affected Components**: [Services/endpoints/pages]
- **Current Metrics**: [Baseline measurements]
- **Target Metrics**: [Performance goals]

## Technical Environment
- **Stack**: [Languages, frameworks, databases]
- **Infrastructure**: [Cloud provider, resources]
- **Traffic Pattern**: [Users, requests/sec, peak times]
- **Data Volume**: [Database size, growth rate]

## Constraints
- **Budget**: [Resource limitations]
- **Timeline**: [Deadline for improvements]
- **Compatibility**: [Version requirements]
- **Downtime**: [Maintenance window availability]
```
"""


def test_the_empty_template_asks_for_nothing() -> None:
    assert parse_context(TEMPLATE) == RecipeRequest()


def test_every_field_has_a_place() -> None:
    lines = [
        line.rpartition("[")[0] + f"value {number}" for number, line in enumerate(TEMPLATE.splitlines()) if "[" in line
    ]
    headings = iter([line for line in TEMPLATE.splitlines() if line.startswith("#")])
    text = "\n".join((f"{next(headings)}\n" if index % 4 == 0 else "") + line for index, line in enumerate(lines))
    request = parse_context(text).model_dump()
    found = [value for part in ("context", "environment", "constraints") for value in request[part].values()]
    assert found == [line.rpartition(": ")[2] for line in lines]


def test_values_may_go_on_and_the_issue_may_stand_first() -> None:
    request = parse_context(
        "# Slow dashboard\n\nIt takes *seconds*.\n\n## Performance Context\n- **Affected Components:** /api/dashboard\n"
        "  - widgets\n  and the feed\n\n## Constraints\n- Budget: none\n"
    )
    assert request.context.issue == "It takes *seconds*."
    assert request.context.components == "/api/dashboard\n- widgets\nand the feed"
    assert request.constraints.budget == "none"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("## Performance Contxt\n", "c, line 1: no such section: 'Performance Contxt'; did you mean '"),
        ("## Weather\n", "c, line 1: no such section: 'Weather'; expected one of performance context,"),
        ("## Constraints\n- **Bugdet**: 1\n", "c, line 2: no such field in 'constraints': 'Bugdet'; did you mean 'b"),
        ("## Constraints\nhello\n", "c, line 2: expected a field such as - **Budget**: …, got 'hello'"),
    ],
)  # fmt: skip
def test_mistakes_take_one_line(text: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_context(text, "c")
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "c.md"
    with pytest.raises(UserError, match="can't be read: No such file"):
        read_context(path)
    path.write_bytes(b"\xff")
    with pytest.raises(UserError, match="expected UTF-8 text"):
        read_context(path)
    path.write_text("slow")
    assert read_context(path).context.issue == "slow"
