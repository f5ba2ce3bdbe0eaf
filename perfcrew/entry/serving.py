"""`perfcrew mcp`: from options to a server. What weighs is imported after the first line is out."""

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from perfcrew.errors import UserError
from perfcrew.settings import Settings, load_settings


def serve(given: Mapping[str, Any]) -> int:
    """Serve until the host ends or Ctrl-C; the exit code."""
    settings = load_settings()
    path: Path = given["path"].resolve()
    config: Path | None = given["config"].resolve() if given["config"] else None
    if given["http"]:
        return _serve_http(settings, path, config, given)
    from perfcrew.entry.drive import run_to_end
    from perfcrew.entry.mcp.offer import Host
    from perfcrew.entry.mcp.server import serve_stdio

    run_to_end(serve_stdio(Host(settings, path, config, given["allow_patches"])))
    return 0


def _serve_http(settings: Settings, path: Path, config: Path | None, given: Mapping[str, Any]) -> int:
    address, port = given["address"], given["port"]
    check_loopback(address)
    click.echo(f"mcp: starting for {path}", err=True)
    from perfcrew.entry.drive import run_to_end
    from perfcrew.entry.mcp.http import PATH, read_token, serve_http
    from perfcrew.entry.mcp.offer import Host

    if settings.mcp_token is not None:
        token, where = settings.mcp_token.get_secret_value(), "PERFCREW_MCP_TOKEN"
    else:
        token, file = read_token(settings.home)
        where = str(file)
    shown = f"[{address}]" if ":" in address else address
    click.echo(f"mcp: http://{shown}:{port}{PATH}  (bearer token: {where}; stop with Ctrl-C)", err=True)
    run_to_end(serve_http(Host(settings, path, config, given["allow_patches"]), token, address, port))
    return 0


def check_loopback(address: str) -> None:
    """Refuse to be reached from elsewhere.

    Raises:
        UserError: the address is not a loopback one.
    """
    with suppress(ValueError):
        if address == "localhost" or ipaddress.ip_address(address).is_loopback:
            return
    raise UserError(f"mcp: --host {address}: only loopback is served (127.0.0.1, ::1); reach it through an SSH tunnel")
