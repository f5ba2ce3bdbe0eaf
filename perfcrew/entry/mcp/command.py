"""`perfcrew mcp`: from options to a server. What weighs is imported after the first line is out."""

import ipaddress
import sys
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perfcrew.errors import UserError

if TYPE_CHECKING:
    from perfcrew.entry.mcp.offer import Host


def serve(given: Mapping[str, Any]) -> int:
    """Serve until the host ends or Ctrl-C; the exit code."""
    path: Path = given["path"].resolve()
    config: Path | None = given["config"].resolve() if given["config"] else None
    if given["http"]:
        check_loopback(given["address"])
        click.echo(f"mcp: starting for {path}", err=True)
    elif sys.stdin.isatty():
        click.echo("mcp: a host starts this and talks to it over standard input and output; stop with Ctrl-C", err=True)
    from perfcrew.settings import load_settings

    settings = load_settings()
    from perfcrew.entry.drive import Stopped, run_to_end
    from perfcrew.entry.mcp.offer import Host
    from perfcrew.entry.mcp.server import serve_stdio

    host = Host(settings, path, config, given["allow_patches"])
    with suppress(Stopped):
        run_to_end(_serve_http(host, given["address"], given["port"]) if given["http"] else serve_stdio(host))
    return 0


def _serve_http(host: "Host", address: str, port: int) -> Coroutine[Any, Any, None]:
    from perfcrew.entry.mcp.http import PATH, read_token, serve_http

    if host.settings.mcp_token is not None:
        token, where = host.settings.mcp_token.get_secret_value(), "PERFCREW_MCP_TOKEN"
    else:
        token, file = read_token(host.settings.home)
        where = str(file)
    shown = f"[{address}]" if ":" in address else address
    click.echo(f"mcp: http://{shown}:{port}{PATH}  (bearer token: {where}; stop with Ctrl-C)", err=True)
    return serve_http(host, token, address, port)


def check_loopback(address: str) -> None:
    """Refuse to be reached from elsewhere.

    Raises:
        UserError: the address is not a loopback one.
    """
    with suppress(ValueError):
        if address == "localhost" or ipaddress.ip_address(address).is_loopback:
            return
    raise UserError(f"mcp: --host {address}: only loopback is served (127.0.0.1, ::1); reach it through an SSH tunnel")
