"""Two answers to one request: equal, or exactly where not. Pure functions.

JSON is compared by structure: object keys in any order, arrays in theirs, numbers exactly and with their kind (1 is not
1.0), volatile keys left out. HTML is compared as a browser reads it. Everything else is compared byte for byte. Headers
are `tools.answer_headers`'s work.
"""

import itertools
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tools.answer_headers import compare_headers
from tools.markup import compare_pages
from tools.seen import ABSENT, Difference, Seen, media_type, neutral

__all__ = ["ANOTHER_ORDER", "Difference", "Seen", "compare_answers"]

ANOTHER_ORDER = "the same items in another order"
MAX_SHOWN = 80


def compare_answers(
    base: Seen,
    candidate: Seen,
    *,
    volatile: Collection[str] = (),
    own: tuple[str, str] = ("", ""),
    unordered: Collection[str] = (),
) -> list[Difference]:
    """All differences that a client could notice.

    Args:
        base: the base's answer.
        candidate: the candidate's answer.
        volatile: JSON keys whose values may differ, at any depth.
        own: addresses (`127.0.0.1:8001`) of base and candidate, which may stand in headers and bodies.
        unordered: JSON pointers of arrays that the base gives in another order from call to call.
    """
    found = [] if base.status == candidate.status else [Difference("status", str(base.status), str(candidate.status))]
    found += compare_headers(base, candidate, own)
    left, right = neutral(base.body, own[0]), neutral(candidate.body, own[1])
    if left == right:
        return found
    if "json" in media_type(base) and "json" in media_type(candidate):
        try:
            pair = _parse(left), _parse(right)
        except ValueError:
            return [*found, *_compare_text(left, right)]
        return [*found, *_compare_json(*pair, "", _Rules(frozenset(volatile), frozenset(unordered)))]
    if "html" in media_type(base) and "html" in media_type(candidate):
        pages = compare_pages(left, right, volatile)
        return [
            *found,
            *(Difference(where, *(_shown(text) if text else ABSENT for text in pair)) for where, *pair in pages),
        ]
    return [*found, *_compare_text(left, right)]


@dataclass(frozen=True)
class _Rules:
    volatile: frozenset[str]
    unordered: frozenset[str]


def _parse(content: bytes) -> Any:
    return json.loads(content, parse_float=Decimal, parse_constant=str)


def _compare_json(base: Any, candidate: Any, pointer: str, rules: _Rules) -> Iterator[Difference]:
    if type(base) is not type(candidate):
        yield Difference(pointer, _shown(base), _shown(candidate))
    elif isinstance(base, dict):
        yield from _compare_objects(base, candidate, pointer, rules)
    elif isinstance(base, list):
        yield from _compare_arrays(base, candidate, pointer, rules)
    elif base != candidate:
        yield Difference(pointer, _shown(base), _shown(candidate))


def _compare_objects(
    base: dict[str, Any], candidate: dict[str, Any], pointer: str, rules: _Rules
) -> Iterator[Difference]:
    for key in [*base, *(key for key in candidate if key not in base)]:
        if key in rules.volatile:
            continue
        inner = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in candidate:
            yield Difference(inner, _shown(base[key]), ABSENT)
        elif key not in base:
            yield Difference(inner, ABSENT, _shown(candidate[key]))
        else:
            yield from _compare_json(base[key], candidate[key], inner, rules)


def _compare_arrays(base: list[Any], candidate: list[Any], pointer: str, rules: _Rules) -> Iterator[Difference]:
    if pointer in rules.unordered:
        base, candidate = (sorted(items, key=_sorting) for items in (base, candidate))
    if len(base) != len(candidate):
        yield Difference(pointer, f"{len(base)} items", f"{len(candidate)} items")
    elif base != candidate and _same_items(base, candidate):
        yield Difference(pointer, f"{len(base)} items", ANOTHER_ORDER)
    else:
        for index, (left, right) in enumerate(zip(base, candidate, strict=True)):
            yield from _compare_json(left, right, f"{pointer}/{index}", rules)


def _same_items(base: list[Any], candidate: list[Any]) -> bool:
    keys = [sorted(map(_sorting, items)) for items in (base, candidate)]
    return keys[0] == keys[1]


def _sorting(item: Any) -> str:
    return json.dumps(item, sort_keys=True, default=str)


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
