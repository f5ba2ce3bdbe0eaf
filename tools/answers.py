"""Two answers to one request: equal, or exactly where not. Pure functions.

JSON is compared by structure: object keys in any order, arrays in theirs, numbers exactly and with their kind (1 is not
1.0), volatile keys left out. Everything else is compared byte for byte. Of the headers those
count that a client acts on.
"""

import itertools
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

ABSENT = "(absent)"
MAX_SHOWN = 80
HEADERS = ("location", "www-authenticate", "content-disposition", "allow")
"""Compared as they are; the arm's own address is taken out first."""
_STATIC = ("text/css", "text/javascript", "application/javascript", "image/", "font/", "video/", "audio/")


@dataclass(frozen=True)
class Seen:
    """What a client sees of an answer: the body without its content encoding."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Difference:
    """One place where two answers differ."""

    where: str
    """`status`, `header NAME`, `body`, or a JSON pointer such as `/items/3/total`."""
    base: str
    candidate: str

    def __str__(self) -> str:
        return f"{self.where or '(whole body)'}: {self.base} became {self.candidate}"


def compare_answers(
    base: Seen, candidate: Seen, *, volatile: Collection[str] = (), own: tuple[str, str] = ("", "")
) -> list[Difference]:
    """All differences that a client could notice.

    Args:
        base: the base's answer.
        candidate: the candidate's answer.
        volatile: JSON keys whose values may differ, at any depth.
        own: addresses (`127.0.0.1:8001`) of base and candidate, which may stand in headers and bodies.
    """
    found = list(_compare_heads(base, candidate, own))
    left, right = _neutral(base.body, own[0]), _neutral(candidate.body, own[1])
    if left == right:
        return found
    if "json" in _media(base) and "json" in _media(candidate):
        try:
            pair = _parse(left), _parse(right)
        except ValueError:
            return [*found, *_compare_text(left, right)]
        return [*found, *_compare_json(*pair, "", frozenset(volatile))]
    return [*found, *_compare_text(left, right)]


def _compare_heads(base: Seen, candidate: Seen, own: tuple[str, str]) -> Iterator[Difference]:
    if base.status != candidate.status:
        yield Difference("status", str(base.status), str(candidate.status))
    if _content_type(base) != _content_type(candidate):
        yield Difference("header content-type", _content_type(base) or ABSENT, _content_type(candidate) or ABSENT)
    for name in HEADERS:
        pair = [
            _neutral(seen.headers.get(name, ABSENT).encode(), address).decode()
            for seen, address in zip((base, candidate), own, strict=True)
        ]
        if pair[0] != pair[1]:
            yield Difference(f"header {name}", pair[0], pair[1])
    before, after = freshness(base), freshness(candidate)
    if after > before and not _media(base).startswith(_STATIC):
        # A browser or proxy that may keep an answer shows old data, however right the server is.
        yield Difference("header cache-control", f"may be kept {before} s", f"may be kept {after} s")


def freshness(seen: Seen) -> int:
    """Seconds for which a client or proxy may use the answer without asking again."""
    directives = [part.strip().lower() for part in seen.headers.get("cache-control", "").split(",")]
    if "no-store" in directives or "no-cache" in directives:
        return 0
    ages = [int(match[1]) for part in directives if (match := re.fullmatch(r"(?:s-maxage|max-age)=\"?(\d+)\"?", part))]
    return max(ages, default=0)


def _media(seen: Seen) -> str:
    return seen.headers.get("content-type", "").partition(";")[0].strip().lower()


def _content_type(seen: Seen) -> str:
    media, _, rest = seen.headers.get("content-type", "").partition(";")
    media, rest = media.strip().lower(), rest.replace('"', "").strip().lower()
    # JSON is UTF-8 whether its type says so or not (RFC 8259).
    return media if "json" in media or not rest else f"{media}; {rest}"


def _neutral(content: bytes, address: str) -> bytes:
    return content.replace(address.encode(), b"ARM") if address else content


def _parse(content: bytes) -> Any:
    return json.loads(content, parse_float=Decimal, parse_constant=str)


def _compare_json(base: Any, candidate: Any, pointer: str, volatile: frozenset[str]) -> Iterator[Difference]:
    if type(base) is not type(candidate):
        yield Difference(pointer, _shown(base), _shown(candidate))
    elif isinstance(base, dict):
        yield from _compare_objects(base, candidate, pointer, volatile)
    elif isinstance(base, list):
        yield from _compare_arrays(base, candidate, pointer, volatile)
    elif base != candidate:
        yield Difference(pointer, _shown(base), _shown(candidate))


def _compare_objects(
    base: dict[str, Any], candidate: dict[str, Any], pointer: str, volatile: frozenset[str]
) -> Iterator[Difference]:
    for key in [*base, *(key for key in candidate if key not in base)]:
        if key in volatile:
            continue
        inner = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in candidate:
            yield Difference(inner, _shown(base[key]), ABSENT)
        elif key not in base:
            yield Difference(inner, ABSENT, _shown(candidate[key]))
        else:
            yield from _compare_json(base[key], candidate[key], inner, volatile)


def _compare_arrays(
    base: list[Any], candidate: list[Any], pointer: str, volatile: frozenset[str]
) -> Iterator[Difference]:
    if len(base) != len(candidate):
        yield Difference(pointer, f"{len(base)} items", f"{len(candidate)} items")
    elif base != candidate and _same_items(base, candidate):
        yield Difference(pointer, f"{len(base)} items", "the same items in another order")
    else:
        for index, (left, right) in enumerate(zip(base, candidate, strict=True)):
            yield from _compare_json(left, right, f"{pointer}/{index}", volatile)


def _same_items(base: list[Any], candidate: list[Any]) -> bool:
    keys = [sorted(json.dumps(item, sort_keys=True, default=str) for item in items) for items in (base, candidate)]
    return keys[0] == keys[1]


def _shown(value: Any) -> str:
    text = str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _compare_text(base: bytes, candidate: bytes) -> Iterator[Difference]:
    """Differing lines of two texts, the first only where their numbers of lines differ; else the first byte."""
    if b"\0" in base[:1000] or b"\0" in candidate[:1000]:
        at = _first_difference(base, candidate)
        yield Difference(f"body, byte {at}", f"{len(base)} bytes", f"{len(candidate)} bytes")
        return
    left, right = base.decode(errors="replace").splitlines(), candidate.decode(errors="replace").splitlines()
    if left == right:
        yield Difference("body, line ends", f"{len(base)} bytes", f"{len(candidate)} bytes")
        return
    for line, (before, after) in enumerate(itertools.zip_longest(left, right), 1):
        if before != after:
            start = max(0, _first_difference(before or "", after or "") - 20)
            texts = [ABSENT if text is None else _shown(text[start:]) for text in (before, after)]
            yield Difference(f"body, line {line}", texts[0], texts[1])
            if len(left) != len(right):
                return


def _first_difference(base: Sequence[Any], candidate: Sequence[Any]) -> int:
    pairs = enumerate(zip(base, candidate, strict=False))
    return next((at for at, pair in pairs if pair[0] != pair[1]), min(len(base), len(candidate)))
