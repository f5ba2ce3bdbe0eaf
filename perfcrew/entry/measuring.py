"""The commands that need no model: measure, compare. They parse and hand over."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from perfcrew.entry.brief import Brief

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
OUT = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
KINDS = click.Choice(
    [
        "start", "load", "queries", "cpu", "memory", "payload", "loop", "pool", "round_trips", "index_trial", "schema",
        "allocations", "heap", "capacity", "vitals", "page", "bundle", "lighthouse", "explain",
    ]
)  # fmt: skip
"""As `graphs.measuring.KINDS`, by test; importing that would cost the help its speed."""


def _with_json(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "json_file", type=OUT, metavar="[FILE]", is_flag=False, flag_value="-",
                        help="Write JSON; to standard output without a FILE.")(command)  # fmt: skip


@click.command(
    cls=Brief,
    epilog="\b\nExample:\n  perfcrew measure ../shop --only load --only cpu --json - | jq .metrics",
)
@click.argument("path", type=FOLDER, default=".")
@click.option("--config", type=FILE, metavar="FILE", help="Its description; default PATH/perfcrew.toml.")
@click.option("--workload", "workloads", multiple=True, metavar="NAME", help="Only this workload; may be repeated.")
@click.option("--only", multiple=True, type=KINDS, metavar="KIND",
              help=f"Only this; may be repeated: {', '.join(KINDS.choices)}. "
              "Otherwise all that fit but capacity.")  # fmt: skip
@_with_json
@click.option("--html", "html_file", type=FILE, metavar="[FILE]", is_flag=False, flag_value="measure.html",
              help="Write one page; measure.html without a FILE.")  # fmt: skip
@click.option("--markdown", "markdown_file", type=OUT, metavar="FILE", help="Write Markdown; - for standard output.")
@click.option("--quick", is_flag=True, help="Shorter measurements with wider intervals.")
def measure(**given: Any) -> int:
    """Say where the time, the memory and the bytes of the application in PATH go.

    Needs no model. Measures HEAD in a copy; rules turn what was seen into findings, by share of end-to-end time.
    `perfcrew verify` computes every figure again. Exit codes: 0 measured, 2 your mistake, 3 could not complete.
    """
    from perfcrew.entry.surveys import run_measure

    return run_measure(given)


@click.command(
    cls=Brief,
    epilog="\b\nExample:\n  perfcrew compare origin/main HEAD --markdown comment.md --within 300",
)
@click.argument("base")
@click.argument("candidate", required=False)
@click.argument("path", type=FOLDER, default=".")
@click.option("--worktree", is_flag=True, help="Compare the worktree in place of a CANDIDATE.")
@click.option("--config", type=FILE, metavar="FILE", help="Its description; default PATH/perfcrew.toml.")
@click.option("--workload", "workloads", multiple=True, metavar="NAME", help="Only this workload; may be repeated.")
@click.option("--within", "within_s", type=click.FloatRange(min=1), hidden=True, metavar="SECONDS",
              help="Time for all duels; what is open then is underpowered.")  # fmt: skip
@click.option("--check-behaviour", is_flag=True, help="Also compare answers; a difference is a regression.")
@click.option("--goals", is_flag=True, help="Hold the candidate to the limits among the goals.")
@click.option("--strict", is_flag=True, help="Exit with 1 for an underpowered comparison too.")
@_with_json
@click.option("--markdown", "markdown_file", type=OUT, metavar="FILE",
              help="Write a comment for a pull request; - for stdout.")  # fmt: skip
@click.option("--quick", is_flag=True, help="Shorter measurements with wider intervals.")
def compare(**given: Any) -> int:
    """Say whether CANDIDATE is faster or slower than BASE: a duel between two commits of the repository in PATH.

    With --worktree the second argument is the PATH. Exit codes: 0 improved or no change, 1 regressed, 2 your mistake.
    """
    from perfcrew.entry.surveys import run_compare

    return run_compare(given)
