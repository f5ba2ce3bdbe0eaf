"""The commands that take slash commands: exec and chat. They parse and hand over."""

from typing import Any

import click

from perfcrew.entry.brief import Brief
from perfcrew.entry.running import FILE, FOLDER, with_json, with_model, with_recording


@click.command(
    "exec",
    cls=Brief,
    epilog='\b\nExamples:\n  perfcrew exec "/agent:performance Analyze /api/dashboard" --path ../shop\n'
    "  perfcrew exec -f script.md --json -",
)
@click.argument("text", required=False)
@click.option("-f", "--file", "script", type=FILE, metavar="FILE", help="Read the commands from a file.")
@click.option("--path", type=FOLDER, default=".", metavar="PATH", help="The application's repository.")
@click.option("--config", type=FILE, metavar="FILE", help="Its description; default PATH/perfcrew.toml.")
@click.option("--resume", metavar="RUN", help="Go on with the state of an earlier call.")
@click.option("--replay", type=FILE, metavar="RECORDING", help="Take the replies from a recording.")
@click.option("--recorded-tools", is_flag=True, help="With --replay: tools too; seconds.")
@with_json
@with_model
@with_recording
def execute(**given: Any) -> int:
    """Carry out slash commands, one after the other: /agent:ROLE …, /recipe …, /approve, /report; /help lists all."""
    from perfcrew.entry.orders import run_script

    return run_script(given)


@click.command(cls=Brief, epilog="\b\nExample:\n  perfcrew chat ../shop")
@click.argument("path", type=FOLDER, default=".")
@click.option("--config", type=FILE, metavar="FILE", help="Its description; default PATH/perfcrew.toml.")
@click.option("--resume", metavar="RUN", help="Begin at a run: its id, its folder, or last.")
@click.option("--plain", is_flag=True, help="Lines only, as on a dumb terminal.")
@click.option("--replay", type=FILE, metavar="RECORDING", help="Take the crew's replies from a recording.")
@click.option("--recorded-tools", is_flag=True, help="With --replay: tools too; seconds.")
@click.option("--quick", is_flag=True, help="Shorter measurements with wider intervals.")
@with_model
def chat(**given: Any) -> int:
    """Talk with the crew about the application in PATH: slash commands, and questions in plain words.

    Tab completes commands, paths and runs. Ctrl-C stops the work under way and keeps the run; /quit leaves.
    """
    click.echo(f"perfcrew chat on {given['path']}. /help lists the commands; anything else is a question.")
    from perfcrew.entry.chat import run_chat

    return run_chat(given)
