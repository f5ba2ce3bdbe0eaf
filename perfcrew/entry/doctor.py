"""`perfcrew doctor`: which instruments are ready on this machine, and what to install for the others."""

import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import click

from perfcrew.settings import Settings, load_settings
from tools.process import probe
from tools.sandbox import available, describe


class Finding(NamedTuple):
    """What was found about one instrument."""

    name: str
    ready: bool
    detail: str
    needed: bool = False
    """Nothing works without it."""


def examine() -> int:
    """Print one line for each instrument; exit code 1 where a needed one is missing."""
    settings = load_settings()
    findings = [
        Finding("python", True, f"{sys.version.split()[0]}, {sys.executable}"),
        _program("git", "source and branches", "apt install git", needed=True),
        _program("uv", "environments of Python targets", "pip install uv", needed=True),
        _program("py-spy", "CPU profiles", "pip install py-spy", needed=True),
        Finding("bubblewrap", available(), describe() if available() else f"{describe()}; apt install bubblewrap"),
        _find_postgres(),
        _program("node", "Node targets", "apt install nodejs npm"),
        _program("chromium", "web vitals", "apt install chromium", other=("chromium-browser", "google-chrome")),
        _find_home(settings.home),
        *_find_models(settings),
    ]
    for finding in findings:
        mark = "✓" if finding.ready else "✗" if finding.needed else "–"
        click.echo(f"{mark} {finding.name:<11} {finding.detail}")
    return 0 if all(finding.ready for finding in findings if finding.needed) else 1


def _program(name: str, purpose: str, remedy: str, *, needed: bool = False, other: tuple[str, ...] = ()) -> Finding:
    beside = Path(sys.executable).parent / name
    found = next((path for each in (name, *other) if (path := shutil.which(each))), None)
    found = found or (str(beside) if beside.exists() else None)
    if found is None:
        return Finding(name, False, f"missing ({purpose}): {remedy}", needed)
    code, output = probe([found, "--version"])
    first = (output.splitlines() or [""])[0]
    if code != 0:
        return Finding(name, False, f"{found} does not run ({first[:80]}): {remedy}", needed)
    return Finding(name, True, f"{first[:60]} ({purpose})", needed)


def _find_postgres() -> Finding:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    found = shutil.which("initdb") or (str(folders[0]) if folders else None)
    remedy = "missing (PostgreSQL targets, without a server of yours): apt install postgresql"
    return Finding("postgresql", found is not None, f"{found} (PostgreSQL targets)" if found else remedy)


def _find_home(home: Path) -> Finding:
    above = next(path for path in (home, *home.parents) if path.exists())
    writable = os.access(above, os.W_OK)
    return Finding(
        "home", writable, str(home) if writable else f"{home} can't be written: set PERFCREW_HOME", needed=True
    )


def _find_models(settings: Settings) -> list[Finding]:
    given = {
        "anthropic": (settings.anthropic_api_key, settings.anthropic_base_url),
        "openai": (settings.openai_api_key, settings.openai_base_url),
    }
    findings = []
    for provider, (key, url) in given.items():
        ready = bool(key or url)
        detail = " and ".join(text for text, there in (("key", key), (f"base URL {url}", url)) if there) + " set"
        findings.append(
            Finding(
                provider, ready, detail if ready else f"no key: set {provider.upper()}_API_KEY (the demo needs none)"
            )
        )
    return findings
