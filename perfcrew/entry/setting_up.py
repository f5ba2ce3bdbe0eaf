"""The commands before a first run: init, doctor."""

from pathlib import Path
from typing import Any

import click


@click.command(epilog="\b\nExample:\n  perfcrew init ../shop")
@click.argument("path", type=click.Path(path_type=Path, file_okay=False), default=".")
def init(path: Path) -> int:
    """Look at the application in PATH and write a first perfcrew.toml. Never overwrites one."""
    from tools.init_template import write_template

    file, project = write_template(path)
    click.echo(f"wrote {file}")
    for line in project.found:
        click.echo(f"  found: {line}")
    click.echo("Complete before the first run:")
    for line in project.open_points:
        click.echo(f"  - {line}")
    return 0


@click.command(epilog="\b\nExample:\n  perfcrew doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(**given: Any) -> int:
    """Try each instrument on this machine, and say what to install for those that don't work.

    Exit codes: 0 all that is needed works, 1 something that is needed does not.
    """
    from perfcrew.entry.doctor import examine

    return examine(given)
