"""The commands before a first run: init, doctor."""

from pathlib import Path

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
def doctor() -> int:
    """Say which instruments are ready on this machine, and what to install for the others."""
    from perfcrew.entry.doctor import examine

    return examine()
