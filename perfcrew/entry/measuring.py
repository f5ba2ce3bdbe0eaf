"""The commands that need no model: measure, compare. They parse and hand over."""

from pathlib import Path
from typing import Any

import click

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


@click.command(
    epilog="\b\nExamples:\n  perfcrew measure ../shop\n  perfcrew measure --only load --only cpu --json - | jq .metrics"
)
@click.argument("path", type=FOLDER, default=".")
@click.option("--config", type=FILE, metavar="FILE", help="Description of the target; default PATH/perfcrew.toml.")
@click.option("--workload", "workloads", multiple=True, metavar="NAME", help="Only this workload; may be repeated.")
@click.option("--only", multiple=True, type=KINDS, metavar="KIND",
              help=f"Only this kind of measurement; may be repeated: {', '.join(KINDS.choices)}. "
              "Without it all that fit, but for capacity, which takes minutes.")  # fmt: skip
@click.option("--json", "json_file", type=OUT, metavar="FILE", help="Write it as JSON; - for standard output.")
@click.option("--html", "html_file", type=FILE, metavar="FILE", help="Write one self-contained page.")
@click.option("--markdown", "markdown_file", type=OUT, metavar="FILE", help="Write Markdown; - for standard output.")
@click.option("--quick", is_flag=True, help="Shorter measurements with wider intervals.")
def measure(**given: Any) -> int:
    """Say where the time, the memory and the bytes of the application in PATH go.

    Needs no model and no key. Measures HEAD in a copy: load, queries and their plans, CPU, memory, responses and what
    else fits; rules turn what was seen into findings, by share of end-to-end time. Your worktree and your data are not
    touched. `perfcrew verify` computes every figure again.

    Exit codes: 0 measured, 2 your mistake, 3 could not complete.
    """
    from perfcrew.entry.surveys import run_measure

    return run_measure(given)


@click.command(
    epilog="\b\nExamples:\n  perfcrew compare main HEAD ../shop\n"
    "  perfcrew compare main --worktree --check-behaviour\n"
    "  perfcrew compare origin/main HEAD --markdown comment.md --within 300"
)
@click.argument("base")
@click.argument("candidate", required=False)
@click.argument("path", type=FOLDER, default=".")
@click.option("--worktree", is_flag=True, help="Compare the worktree as it stands, in place of a CANDIDATE.")
@click.option("--config", type=FILE, metavar="FILE", help="Description of the target; default PATH/perfcrew.toml.")
@click.option("--workload", "workloads", multiple=True, metavar="NAME", help="Only this workload; may be repeated.")
@click.option("--within", "within_s", type=click.FloatRange(min=1), metavar="SECONDS",
              help="Time for all duels together; what is open then is underpowered.")  # fmt: skip
@click.option("--check-behaviour", is_flag=True, help="Also compare answers; a difference is a regression.")
@click.option("--goals", is_flag=True, help="Hold the candidate to the limits among the description's goals as well.")
@click.option("--strict", is_flag=True, help="Exit with 1 for an underpowered comparison too.")
@click.option("--json", "json_file", type=OUT, metavar="FILE", help="Write it as JSON; - for standard output.")
@click.option("--markdown", "markdown_file", type=OUT, metavar="FILE",
              help="Write a comment for a pull request; - for standard output.")  # fmt: skip
@click.option("--quick", is_flag=True, help="Shorter measurements with wider intervals.")
def compare(**given: Any) -> int:
    """Say whether CANDIDATE is faster or slower than BASE: a duel between two commits of the repository in PATH.

    Both run side by side, each with the environment that its own setup inputs ask for and its own copy of the data,
    loaded by turns over several fresh starts, after the base was compared with itself for the noise of the machine.
    All http and command workloads take part; the risk of a false alarm is shared among them. With --worktree the
    second argument is the PATH.

    Exit codes: 0 improved, or no significant change; 1 regressed, with --strict also underpowered; 2 your mistake;
    3 could not complete.
    """
    from perfcrew.entry.surveys import run_compare

    return run_compare(given)
