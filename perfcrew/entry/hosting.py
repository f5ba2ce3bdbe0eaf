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
    from perfcrew.entry.serving import serve

    return serve(given)
