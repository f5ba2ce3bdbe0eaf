"""The commands for coding assistants and other hosts: mcp, install-commands. They parse and hand over."""

from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    epilog="\b\nExamples:\n  claude mcp add perfcrew -- perfcrew mcp .\n  perfcrew mcp ../shop --http --port 8765"
)
@click.argument("path", type=FOLDER, default=".")
@click.option("--config", type=FILE, metavar="FILE", help="Description of the target; default PATH/perfcrew.toml.")
@click.option("--allow-patches", is_flag=True, help="Also offer what patches a copy or leaves a branch.")
@click.option(
    "--http", is_flag=True, help="Streamable HTTP with a bearer token, in place of standard input and output."
)
@click.option("--host", "address", default="127.0.0.1", metavar="ADDRESS", help="With --http: a loopback address.")
@click.option("--port", type=click.IntRange(1, 65535), default=8765, metavar="N", help="With --http; default 8765.")
def mcp(**given: Any) -> int:
    """Serve the instruments, runs and slash commands to a host that speaks the Model Context Protocol.

    It serves the repository in PATH and nothing else. Without --allow-patches no code is changed and no branch made.
    With --http the token is in the file that is named first, or in PERFCREW_MCP_TOKEN.
    """
    from perfcrew.entry.mcp.command import serve

    return serve(given)


@click.command(
    "install-commands",
    epilog="\b\nExamples:\n  perfcrew install-commands claude\n  perfcrew install-commands gemini --user --uninstall",
)
@click.argument("host", type=click.Choice(["claude", "cursor", "codex", "gemini", "opencode"]))
@click.option("--project", "user", flag_value=False, default=False, help="For this folder's project; the default.")
@click.option("--user", "user", flag_value=True, help="For all projects of yours.")
@click.option("--uninstall", is_flag=True, help="Remove what this command wrote.")
def install_commands(**given: Any) -> int:
    """Write perfcrew's slash commands in the format of a coding assistant.

    They make it call perfcrew, by its shell or over MCP. A file that perfcrew did not write, or that you have changed
    since, is left alone, and the exit code is 2.
    """
    from perfcrew.entry.installing import install

    return install(given)
