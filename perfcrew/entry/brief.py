"""How commands behave at a terminal: help that fits a screen, and a sign of life at once."""

import functools
import sys
from typing import Any

import click

HEAVY = "pydantic"
"""Where this is loaded, so is most of what takes time: the command answers at once."""


class Brief(click.Command):
    """A command whose `--help` fits a screen: hidden options are seldom wanted, and `--help-all` lists them too."""

    def __init__(self, *arguments: Any, **given: Any) -> None:
        super().__init__(*arguments, **given)
        if any(getattr(option, "hidden", False) for option in self.params):
            whole = click.Option(
                ["--help-all"], is_flag=True, expose_value=False, is_eager=True, callback=_show_all,
                help="Show all options and exit.",
            )  # fmt: skip
            self.params.append(whole)


def _show_all(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    for option in context.command.params:
        if isinstance(option, click.Option):
            option.hidden = False
    click.echo(context.get_help())
    context.exit()


def announced(command: click.Command) -> click.Command:
    """The command, saying on a terminal that it starts before it loads what takes seconds.

    What it says next takes that line's place. Where nobody watches, a mistake is to be one line, and this would be two.
    """
    work = command.callback
    if work is None:
        return command

    @functools.wraps(work)
    def start(*arguments: Any, **given: Any) -> Any:
        if HEAVY not in sys.modules and sys.stderr.isatty():
            click.echo("perfcrew …\r", err=True, nl=False)
        return work(*arguments, **given)

    command.callback = start
    return command
