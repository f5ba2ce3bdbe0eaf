"""The command line. Only click is imported here; everything heavy waits for the command that needs it.

Exit codes: 0 goals met; 1 an honest run that did not reach the goals; 2 the user's mistake; 3 could not complete.
"""

import sys
from collections.abc import Sequence

import click

from perfcrew.entry.brief import announced
from perfcrew.entry.hosting import install_commands, mcp
from perfcrew.entry.inspecting import journal, report, runs, serve, verify
from perfcrew.entry.lending import load_worker
from perfcrew.entry.measuring import compare, measure
from perfcrew.entry.running import batch, demo, evaluate, run
from perfcrew.entry.setting_up import doctor, init
from perfcrew.entry.talking import chat, execute
from perfcrew.errors import PerfcrewError, UserError

EPILOG = """\b
Examples:
  perfcrew demo                 watch the crew work on the bundled application
  perfcrew init                 describe your application in perfcrew.toml
  perfcrew measure .            say where time, memory and bytes go, without any model
  perfcrew run . --approve      measure, plan, patch and prove, asking you about the plan
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="perfcrew", message="%(package)s %(version)s")
def cli() -> None:
    """Find and fix performance bottlenecks of an application, and prove it.

    Measures a running application, plans, patches it in a sandbox, and keeps only what a side-by-side duel
    shows to be faster. Your working tree is never touched: what was kept becomes a branch.
    """


COMMANDS = (
    run, demo, chat, execute, batch, measure, compare, evaluate, init, verify, report, journal, runs, serve, doctor,
    load_worker, mcp, install_commands,
)  # fmt: skip
for command in COMMANDS:
    cli.add_command(command if command is chat else announced(command))


def _open_log(_: click.Context, __: click.Parameter, wanted: bool) -> None:
    if wanted:
        from perfcrew.event_log import EVENT_LOG

        EVENT_LOG.open()


for command in (run, demo, execute, batch, measure, compare):
    command.params.append(
        click.Option(
            ["--log-json"], is_flag=True, expose_value=False, callback=_open_log,
            help="Events as JSON lines, on standard error.",
        )
    )  # fmt: skip


def start(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. No traceback ever reaches the screen."""
    try:
        code = cli.main(args=arguments, prog_name="perfcrew", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        return _say("stopped", 3)
    except UserError as error:
        return _tell(error, 2)
    except PerfcrewError as error:
        return _tell(error, 3)
    except BrokenPipeError:
        sys.stderr.close()
        return 3
    except Exception as error:  # noqa: BLE001  the last line of defence: a bug is told in one line, with a file
        return _confess(error)
    return code if isinstance(code, int) else 0


def _say(text: str, code: int) -> int:
    log = sys.modules.get("perfcrew.event_log")
    if log is not None and log.EVENT_LOG.is_open:
        log.EVENT_LOG.write("error", "error", text, exit_code=code)
        return code
    click.echo(f"perfcrew: {text}", err=True)
    return code


def _tell(error: BaseException, code: int) -> int:
    for line in (*str(error).splitlines(), *getattr(error, "__notes__", ())):
        _say(line, code)
    return code


def _confess(error: Exception) -> int:
    from perfcrew.entry.mistakes import confess

    _say(confess(error), 3)
    for note in getattr(error, "__notes__", ()):
        _say(note, 3)
    return 3
