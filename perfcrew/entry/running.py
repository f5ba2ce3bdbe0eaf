"""The commands that run the recipe: run, demo, batch, eval. They parse and hand over."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from perfcrew.entry.brief import Brief

_Command = Callable[..., Any]
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
VARIATIONS = click.Choice(["full", "api", "frontend", "database", "microservices"])
"""As `perfcrew.records.work.Variation`, by test; importing that would cost the help its speed."""


def with_json(command: _Command) -> _Command:
    """Add `--json`."""
    return click.option("--json", "json_file", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE",
                        help="Write the report as JSON; - for stdout.")(command)  # fmt: skip


def with_model(command: _Command) -> _Command:
    """Add the options about models and budgets."""
    options = [
        click.option("--model", metavar="M", help="anthropic/, openai/ or openai-chat/NAME."),
        click.option("--budget-usd", type=float, metavar="N", help="Most money, in US dollars."),
        click.option("--budget-minutes", hidden=True, type=float, metavar="N", help="Longest time, in minutes."),
        click.option("--budget-tokens", hidden=True, type=int, metavar="N", help="Most tokens, in and out."),
        click.option("--budget-turns", hidden=True, type=int, metavar="N", help="Most model calls."),
        click.option("--role-budget", "role_budgets", hidden=True, multiple=True, metavar="ROLE:LIMIT=N,…",
                     help="Limits of one role, such as coder:usd=5,turns=60; may be repeated."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def with_recording(command: _Command) -> _Command:
    """Add the options about recordings."""
    options = [
        click.option("--record", hidden=True, type=FILE, metavar="FILE", help="Save the run's journal as a recording."),
        click.option(
            "--answered-by", hidden=True, default="", metavar="TEXT", help="Who answers, for the recording's label."
        ),
        click.option("--quick", is_flag=True, help="Shorter measurements with wider intervals."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command(
    cls=Brief, epilog="\b\nExamples:\n  perfcrew run ../shop --context slow.md --approve\n  perfcrew run --resume RUN"
)
@click.argument("path", type=FOLDER, default=".")
@click.option("--config", type=FILE, metavar="FILE", help="Its description; default PATH/perfcrew.toml.")
@click.option("--context", type=FILE, metavar="FILE.md", help="Your issue in the recipe's template.")
@click.option(
    "--variation", type=VARIATIONS, default="full", metavar="V", help="full, api, frontend, database, microservices."
)
@click.option("--security", is_flag=True, help="Add a security review to the validation.")
@click.option("--approve", is_flag=True, help="Ask before anything is implemented.")
@click.option("--resume", metavar="RUN", help="Go on with a run; nothing is done twice.")
@click.option("--replay", type=FILE, metavar="RECORDING", help="Take the replies from a recording.")
@click.option("--recorded-tools", is_flag=True, help="With --replay: tools too; seconds.")
@click.option("--strict", hidden=True, is_flag=True, help="With --replay: stop where anything else would be asked.")
@with_json
@with_model
@with_recording
def run(**given: Any) -> int:
    """Measure, plan, patch and prove, on the application in PATH."""
    from perfcrew.entry.recipes import run_recipe

    return run_recipe(given)


@click.command(cls=Brief, epilog="\b\nExample:\n  perfcrew demo --json report.json --keep ./scratch")
@with_json
@click.option("--keep", type=FOLDER, metavar="DIR", help="Make the repository here and leave it.")
@click.option("--case", "name", default="dashboard", metavar="CASE", help="Another bundled application.")
@click.option("--live", is_flag=True, help="Ask your model instead of the recording.")
@with_model
@with_recording
def demo(**given: Any) -> int:
    """Run the whole recipe on the bundled application.

    The replies come from a recording, so no key is needed; load, profiles, patches, duels and tests are live.
    """
    from perfcrew.entry.recipes import run_demo

    return run_demo(given)


@click.command(
    cls=Brief,
    epilog="\b\nExamples, with targets.yaml holding `- path: ../shop` and so on:\n"
    "  perfcrew batch targets.yaml --out night --jobs 3 --budget-usd 40\n"
    "  perfcrew batch targets.yaml --out night --resume",
)
@click.argument("file", type=FILE)
@click.option("--out", type=FOLDER, metavar="DIR", help="For results, reports and summary; else in perfcrew's home.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, metavar="N", help="So many at a time.")
@click.option("--resume", is_flag=True, help="Go on with the batch in DIR; nothing is done twice.")
@click.option("--retry-failed", is_flag=True, help="The same, and what ended with 2 or 3 gets another try.")
@with_model
def batch(**given: Any) -> int:
    """Run the recipe on many targets, variations and models.

    FILE is YAML, JSON Lines, a JSON list, or TOML with [[target]] tables; keys: path, name, config, context,
    variation and model (one or a list), security, replay, recorded_tools, quick. Each result is a JSON line on standard
    output. A failed target never stops the others; --budget-usd is for all of them together.
    """
    from perfcrew.entry.batches import run_batch

    return run_batch(given)


@click.command("eval", epilog="\b\nExamples:\n  perfcrew eval --replay dashboard\n  perfcrew eval --replay --strict")
@click.option("--replay", is_flag=True, required=True, help="Replies and tool results from the recording.")
@click.option("--strict", is_flag=True, help="Fail, with a diff, where a model would be asked anything else.")
@click.option("--live-tools", is_flag=True, help="Measure, patch and test for real; minutes.")
@click.option("--record", is_flag=True, help="Let a replay that passed take the recording's place.")
@click.argument("cases", nargs=-1, metavar="[CASE]...")
@with_json
def evaluate(**given: Any) -> int:
    """Replay recorded sessions through today's graph and gates, and grade them. Deterministic, in seconds.

    Where a model would be asked something else today, the drift is listed; --strict shows and refuses it.
    """
    from perfcrew.entry.grading import run_eval

    return run_eval(given)
