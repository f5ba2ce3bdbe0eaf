"""The server over streamable HTTP: on loopback only, for who has the token, refused to pages of other origins."""

import hmac
import secrets
from contextlib import suppress
from pathlib import Path

import uvicorn
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl
from starlette.applications import Starlette

from perfcrew.entry.mcp.offer import Host
from perfcrew.entry.mcp.server import build_server
from perfcrew.errors import UserError

PATH = "/mcp"
TOKEN_FILE = "mcp-token"
GRACE_S = 2
"""Seconds that open calls get when the server is stopped; then they are cancelled."""


class OneToken:
    """Knows one token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def verify_token(self, token: str) -> AccessToken | None:
        """Who has it, or None."""
        if not hmac.compare_digest(token.encode(), self._token):
            return None
        return AccessToken(token=token, client_id="host", scopes=[])


def read_token(home: Path) -> tuple[str, Path]:
    """The token of this user, made with the first call; its file only the user can read."""
    file = home / TOKEN_FILE
    with suppress(FileNotFoundError):
        if token := file.read_text(encoding="ascii").strip():
            return token, file
    home.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.chmod(0o600)
    token = secrets.token_urlsafe(32)
    file.write_text(token + "\n", encoding="ascii")
    return token, file


def make_app(host: Host, token: str, address: str, port: int) -> Starlette:
    """The application: one path, behind the token."""
    own = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    names = sorted({own, f"localhost:{port}"})
    return build_server(host).streamable_http_app(
        streamable_http_path=PATH,
        host=address,
        transport_security=TransportSecuritySettings(
            allowed_hosts=names, allowed_origins=[f"http://{name}" for name in names]
        ),
        auth=AuthSettings(issuer_url=AnyHttpUrl(f"http://{own}"), resource_server_url=None),
        token_verifier=OneToken(token),
    )


async def serve_http(host: Host, token: str, address: str, port: int) -> None:
    """Serve until stopped.

    Raises:
        UserError: the port is taken.
    """
    config = uvicorn.Config(
        make_app(host, token, address, port), host=address, port=port, log_level="warning", access_log=False,
        timeout_graceful_shutdown=GRACE_S,
    )  # fmt: skip
    try:
        await uvicorn.Server(config).serve()
    except SystemExit:
        raise UserError(f"mcp: port {port} on {address} can't be listened on; name another with --port") from None
    finally:
        await host.aclose()
