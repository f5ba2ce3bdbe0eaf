"""`perfcrew doctor`: which instruments are ready on this machine, and what to install for the others."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import click

from perfcrew.settings import Settings, load_settings
from tools.readiness import SANDBOX, Readiness, try_all
from tools.sandbox import describe


def examine(given: Mapping[str, Any]) -> int:
    """Print one line for each instrument; exit code 1 where a needed one is missing."""
    settings = load_settings()
    tried = asyncio.run(try_all(settings.home, dict(settings.programs)))
    found = [*(_as_set(one, settings) for one in tried), *_find_models(settings)]
    if given["as_json"]:
        click.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=1))
    else:
        for one in found:
            click.echo(_line(one))
    return 0 if all(one.ready for one in found if one.needed) else 1


def _as_set(one: Readiness, settings: Settings) -> Readiness:
    """A sandbox that works protects nothing where it is switched off."""
    if one.name != SANDBOX or settings.sandbox == "auto":
        return one
    return one.model_copy(update={"ready": False, "detail": describe(confined=False)})


def _line(one: Readiness) -> str:
    mark = "✓" if one.ready else "✗" if one.needed else "–"
    return f"{mark} {one.name:<19} {one.detail} ({one.purpose})"


def _find_models(settings: Settings) -> list[Readiness]:
    """Whether a model can be asked; nothing is sent."""
    given = {
        "anthropic": (settings.anthropic_api_key, settings.anthropic_base_url),
        "openai": (settings.openai_api_key, settings.openai_base_url),
    }
    found = []
    for provider, (key, url) in given.items():
        ready = bool(key or url)
        told = " and ".join(text for text, there in (("key", key), (f"base URL {url}", url)) if there) + " set"
        missing = f"no key: set {provider.upper()}_API_KEY; measure, compare and the demo need none"
        found.append(Readiness(name=provider, ready=ready, purpose="agents", detail=told if ready else missing))
    return found
