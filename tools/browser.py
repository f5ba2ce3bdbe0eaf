"""A real Chromium for one instrument at a time, started as any other process and driven by playwright.

The browser runs in the sandbox where there is one, since the page's scripts are the target's: it sees its own profile
and nothing else of the disk. It resolves no name but loopback's, so a page's calls to other hosts fail, and are listed.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from perfcrew.errors import InstrumentError
from tools.process import Process, start
from tools.run_network import close_door_of, from_here
from tools.sandbox import Sandbox
from tools.workspace import Workspace

if TYPE_CHECKING:
    from playwright.async_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
READY_S = 30.0
FLAGS = (
    "--headless=new", "--remote-debugging-port=0", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
    "--disable-sync", "--disable-gpu", "--metrics-recording-only", "--mute-audio", "--no-proxy-server",
    "--password-store=basic", "--use-mock-keychain", "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)  # fmt: skip


def find_chromium(programs: Mapping[str, Path]) -> str:
    """The browser's program: the one that the user named, else the first of the usual names on PATH.

    Raises:
        InstrumentError: there is none; the line says what to install.
    """
    named = programs.get("chromium")
    if named is not None:
        found = shutil.which(str(named))
        if found is None:
            raise InstrumentError(f"no browser at {named}, which PERFCREW_CHROMIUM names: correct or unset it")
        return found
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise InstrumentError(
            "no Chromium on PATH: install it (Debian: apt install chromium) or set PERFCREW_CHROMIUM to one"
        )
    return found


@asynccontextmanager
async def open_browser(workspace: Workspace) -> AsyncIterator["Browser"]:
    """A fresh Chromium, as playwright holds it; it and its profile are gone when the block ends.

    Raises:
        InstrumentError: there is none, or it does not start.
    """
    from playwright.async_api import Error, async_playwright

    async with open_chromium(workspace) as (_, url):
        try:
            async with async_playwright() as driver:
                # Playwright's own process is outside.
                yield await driver.chromium.connect_over_cdp(from_here(url))
        except Error as error:
            raise InstrumentError(f"Chromium: {error.message.splitlines()[0]}") from error
        finally:
            close_door_of(url)


@asynccontextmanager
async def open_chromium(workspace: Workspace) -> AsyncIterator[tuple[int, str]]:
    """A fresh Chromium: its debugging port, and the address for whoever drives it.

    Raises:
        InstrumentError: there is none, or it does not start.
    """
    program = find_chromium(workspace.programs)
    profile = workspace.folder / "browser" / secrets.token_hex(4)
    profile.mkdir(parents=True)
    confinement = Sandbox(
        writable=(profile,),
        readable=tuple(path for path in (Path("/etc/chromium.d"), Path(program).resolve().parent) if path.exists()),
        network=workspace.reach,
        confined=workspace.sandbox,
    )
    # Chromium's own sandbox refuses root; inside ours it is another user and keeps its own as well.
    bare = ["--no-sandbox"] if os.getuid() == 0 and not confinement.contained else []
    log = workspace.logs / f"{profile.name}-chromium.log"
    browser = await start(
        [program, *FLAGS, *bare, f"--user-data-dir={profile}", "about:blank"],
        cwd=profile,
        # No TMPDIR below the run: its sockets there would have names too long for the kernel.
        environment={"PATH": os.defpath, "HOME": str(profile), "LANG": "C.UTF-8"},
        log=log,
        sandbox=confinement,
        register=workspace.processes,
    )
    try:
        port, path = await _wait_ready(browser, profile / "DevToolsActivePort", program)
        if workspace.network is not None:
            workspace.network.adopt(port)
        yield port, f"ws://127.0.0.1:{port}{path}"
    finally:
        await browser.stop(grace_s=1.0)
        shutil.rmtree(profile, ignore_errors=True)


async def _wait_ready(browser: Process, told: Path, program: str) -> tuple[int, str]:
    """The port and path that the browser writes into its profile once it listens."""
    began = time.monotonic()
    while browser.alive and time.monotonic() - began < READY_S:
        with contextlib.suppress(OSError, ValueError):
            port, path = told.read_text().split()
            return int(port), path
        await asyncio.sleep(0.02)
    problem = f"not ready after {READY_S:g} s" if browser.alive else f"it ended with exit code {browser.code}"
    lines = [line.strip() for line in browser.log.read_text(errors="replace").splitlines() if line.strip()]
    raise InstrumentError(f"{program} does not start: {problem}{f' ({lines[-1][:160]})' if lines else ''}")
