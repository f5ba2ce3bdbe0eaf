"""The report as Markdown and on a terminal, word for word."""

import io
from pathlib import Path

from rich.console import Console
from small_report import write_report

from perfcrew.records.report import Report
from perfcrew.report.html import render_html
from perfcrew.report.markdown import escape, render_markdown
from perfcrew.report.terminal import print_report

MARKDOWN = r"""# Performance report: shop

**Improved, goals not met.** Response time, P95 of api\|v1 6.16× better: 1,234 ms → 200 ms

Improved: P95.

- Run: `r1`
- Base: `bbbbbbbbbbbb`
- Branch: `perfcrew/r1` at `cccccccccccc`
- Replies from: **a recording**

## What was wrong

> Slow \# really

- **N+1 queries** (high, 62% of end-to-end time): 30 \<b\>queries\</b\>�\[31m. Evidence: `` queries@GET `/`/base ``.

## What was done

Kept:

- **Join the \*items\*** `1234567890ab` (+3 −1): Improved: P95.

Dropped:

- **Cache**: Check behaviour failed

## What it gained

| Metric | Workload | Before | After | Change | Times better | Interval | Outcome |
| --- | --- | --- | --- | --- | --- | --- | --- |
| `http.p95_ms` | api\|v1 | 1,234 ms | 200 ms | −83.8 % | 6.16× | 5.54× to 6.78× | improved |
| `db.queries_per_request` | api\|v1 | 31 | 1 | −96.8 % | 31.0× | exact | improved |
| `memory.peak_mb` | api\|v1 | 60 MB | 72 MB | +20 % | 0.83× | 0.75× to 0.91× | regressed |

## Success criteria

- ✓ response time (met): 6.16× better

## Quality gates

- – alerts (not judged): not yet

## Checks and reviews

- ✓ existing tests: 34 passed
- ✗ answers: /total: 3 became 4
- tester: Fine.
  - One.

## Plan: predicted against measured

| Step | Layer | Metric | Predicted | Measured | Fate |
| --- | --- | --- | --- | --- | --- |
| Join the \*items\* | database | `http.p95_ms` of api\|v1 | 3.00× | 4.00× | kept |

## Phases

| Phase | Started at | Took |
| --- | --- | --- |
| baseline | 0 s | 1 min 00 s |
| memory-sync | 0 s | 45 s |

One after the other 1 min 45 s, wall clock 1 min 01 s; parallel branches saved 45 s.

## Models and cost

0 model calls, 12,000 tokens in (0 cached), 900 out, $0.0050. Models: `example/m`.

## Notes

- No PostgreSQL here.
"""

TERMINAL = """
Improved, goals not met
Response time, P95 of api|v1 6.16× better: 1,234 ms → 200 ms
Improved: P95.
Replies from: a recording

What was wrong
• N+1 queries (high, 62% of the time): 30 <b>queries</b>�[31m.

Before and after
metric                  workload    before   after   change  better        interval  outcome
http.p95_ms             api|v1    1,234 ms  200 ms  −83.8 %   6.16×  5.54× to 6.78×  improved
db.queries_per_request  api|v1          31       1  −96.8 %   31.0×           exact  improved
memory.peak_mb          api|v1       60 MB   72 MB    +20 %   0.83×  0.75× to 0.91×  regressed

Changes
kept    Join the *items* 1234567890ab: Improved: P95.
dropped Cache: Check behaviour failed

Success criteria
✓ response time  6.16× better

Quality gates
– alerts  not yet

Checks: 1 of 2 passed
✗ answers: /total: 3 became 4

1 min 01 s wall clock; parallel branches saved 45 s.
0 model calls, 12,000 tokens in (0 cached), 900 out, $0.0050.
Note: No PostgreSQL here.
Branch: perfcrew/r1
Report: /runs/r1/report.html
"""


def shown(report: Report, *, colour: bool = False) -> str:
    screen = Console(file=io.StringIO(), width=110, force_terminal=colour, color_system="standard" if colour else None)
    print_report(report, screen, Path("/runs/r1/report.html"))
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_markdown_word_for_word() -> None:
    assert render_markdown(write_report()) == MARKDOWN


def test_terminal_word_for_word() -> None:
    lines = [line.rstrip() for line in shown(write_report()).splitlines()]
    assert "\n".join(lines) + "\n" == TERMINAL


def test_markdown_shows_hostile_text_as_text(report: Report) -> None:
    text = render_markdown(report)
    assert "<script" not in text.replace("\\<script", "")
    assert "\x1b" not in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") in (9, 7, 4) for line in tables)


def test_the_terminal_gets_no_control_codes_from_the_target(report: Report) -> None:
    assert "\x1b" not in shown(report)
    coloured = shown(report, colour=True)
    assert "\x1b[31m[bold]" not in coloured
    assert "[bold]" in coloured


def test_escape_keeps_one_line() -> None:
    assert escape("a\n- b | c") == "a - b \\| c"


def test_usage_is_told_by_role_phase_and_model_and_unknown_prices_are_said(report: Report) -> None:
    gap = "price unknown. The price of openai-chat/<local> is unknown; all other calls cost $0.42."
    told = f"31 model calls, 120,000 tokens in (90,000 cached, 75 %), 8,000 out, {gap}"
    markdown = render_markdown(report)
    assert escape(told) in markdown
    row = ("coder", "implementation", "example/model-1", "30", "100,000", "90 %", "7,000", "$0.42")
    assert f"| {' | '.join(escape(cell) for cell in row)} |" in markdown
    screen = io.StringIO()
    print_report(report, Console(file=screen, width=200))
    assert told in screen.getvalue()
    assert "tester, validation: 1 calls of openai-chat/<local>, 20,000 in (0 % cached)" in screen.getvalue()
    page = render_html(report, None)
    assert "openai-chat/&lt;local&gt;" in page
    assert "openai-chat/<local>" not in page
    assert '<td class="num">90 %</td>' in page
