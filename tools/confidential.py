"""What of a target's description and surroundings is secret: passwords, keys, tokens, the values of `.env` files."""

import base64
import binascii
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values

from perfcrew.records.target import HttpRequest, Target
from perfcrew.settings import PREFIX
from tools.paths import SHOWN, matches

DEPTH = 3
"""Folders below the repository in which `.env` files are looked for."""
_PASSED_OVER = frozenset({".git", "node_modules", "__pycache__", ".venv", "venv", "dist", "build"})
_TELLING = re.compile(
    r"(?i)pass(word|wd|phrase|code)?$|^pass|pwd|secret|token|credential|private|api.?key|access.?key|[_-]key$|^key$|"
    r"authori[sz]ation|cookie|session|salt|dsn|signature|bearer"
)
"""Names whose values are secret, of headers, variables and fields alike."""
_PLAIN = re.compile(
    r"(?i)(name|timeout|age|path|domain|enabled|file|algorithm|type|header|minutes|seconds|hours|days|length|class|"
    r"backend|engine|url|ttl|size|limit)s?$"
)
"""Names that only speak of a secret: `SESSION_COOKIE_NAME`."""
_URL = re.compile(r"[a-z][\w+.-]*://\S+", re.IGNORECASE)


def find_secrets(target: Target, folders: Iterable[Path], variables: Mapping[str, str]) -> set[str]:
    """Every value that must not leave this machine or stay in a run's folder.

    Args:
        target: requests with their headers, parameters and bodies, the database's address, the environment.
        folders: the repository and the description's folder: their `.env` files are read.
        variables: what installers are given of the user's environment: addresses may hold passwords.
    """
    found = set(_of_target(target))
    for name, value in [*_of_dotenv(folders), *target.target.environment.items(), *variables.items()]:
        found |= {value} if _is_telling(name) and _can_be_found(value) else set()
        found |= set(_in_urls(value))
    found |= {value for name, value in _of_dotenv(folders) if _stands_out(value)}
    return found


def _of_dotenv(folders: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for folder in dict.fromkeys(path.resolve() for path in folders):
        for root, names, files in os.walk(folder):
            deep = len(Path(root).relative_to(folder).parts) >= DEPTH
            names[:] = [] if deep else [name for name in names if name not in _PASSED_OVER]
            for name in files:
                if (name == ".env" or name.startswith(".env.")) and not matches(name, SHOWN):
                    values = dotenv_values(Path(root, name), interpolate=False, encoding="utf-8")
                    # Our own settings may stand there too; the keys among them don't begin like this.
                    yield from ((key, value) for key, value in values.items() if value and not key.startswith(PREFIX))


def _of_target(target: Target) -> Iterator[str]:
    if target.database and target.database.url:
        yield from _in_urls(target.database.url)
    for request in _requests(target):
        for name, value in request.headers.items():
            if _is_telling(name):
                yield from _of_header(value)
        yield from _of_fields(request.json_body)
    for workload in target.workload:
        held_out = workload.held_out.params if workload.held_out else {}
        for name, values in [*workload.params.items(), *held_out.items()]:
            if _is_telling(name):
                yield from (str(value) for value in values if _can_be_found(str(value)))


def _requests(target: Target) -> Iterator[HttpRequest]:
    for workload in target.workload:
        yield from workload.request
        yield from workload.held_out.request if workload.held_out else ()
    for probe in target.probe:
        yield from probe.request


def _of_header(value: str) -> Iterator[str]:
    """The parts of a header's value that are secret: without the scheme, each cookie's value, a Basic password."""
    scheme, _, rest = value.partition(" ")
    parts = [rest.strip()] if rest and "=" not in scheme else []
    parts += [part.partition("=")[2].strip() for part in value.split(";") if "=" in part and not parts]
    for part in parts or [value]:
        if _can_be_found(part) and not _is_placeholder(part):
            yield part
        if scheme.lower() == "basic":
            try:
                password = base64.b64decode(part, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                continue
            if _can_be_found(password):
                yield password


def _of_fields(body: Any) -> Iterator[str]:
    if isinstance(body, dict):
        for name, value in body.items():
            if not isinstance(value, str):
                yield from _of_fields(value)
            elif _is_telling(str(name)) and _can_be_found(value) and not _is_placeholder(value):
                yield value
    elif isinstance(body, list):
        for item in body:
            yield from _of_fields(item)


def _in_urls(text: str) -> Iterator[str]:
    """Passwords of the URLs in a text, as they stand there and decoded."""
    for found in _URL.finditer(text):
        try:
            password = urlsplit(found[0]).password
        except ValueError:
            continue
        if password:
            yield from (form for form in {password, unquote(password)} if _can_be_found(form))


def _is_telling(name: str) -> bool:
    return _TELLING.search(name) is not None and _PLAIN.search(name) is None


def _is_placeholder(value: str) -> bool:
    return re.fullmatch(r".*\{[a-z_]+\}.*", value) is not None


def _can_be_found(value: str) -> bool:
    """Whether replacing a value everywhere would tear nothing else: not a plain word or a short number.

    In URLs and headers such passwords are taken out all the same, by the shape of what stands around them.
    """
    return len(value) >= 6 and not value.isdigit() and not (len(value) < 16 and value.isalpha() and value.islower())


def _stands_out(value: str) -> bool:
    """Whether a value without a telling name looks like one that was made up: long, and of letters and digits."""
    plain_url = "://" in value and not any(_in_urls(value))
    path = value.startswith(("/", "./", "../", "~"))
    mixed = any(character.isdigit() for character in value) and any(character.isalpha() for character in value)
    return not plain_url and not path and (len(value) >= 20 or (len(value) >= 10 and mixed))
