"""The headers of two answers to one request: what a client could act on. Pure functions.

A header that the base sends must come from the candidate too, with the same value, unless it tells of the transport, of
a clock or of one request. Of those that only steer caches and cookies, what they protect must stay protected.
"""

import re
from collections.abc import Iterator

from tools.seen import ABSENT, Difference, Seen, media_type, neutral

HEADERS = ("location", "www-authenticate", "content-disposition", "allow")
"""Those that count also where only the candidate sends them."""
_FREE = frozenset(
    {
        "date", "server", "connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "via",
        "age", "expires", "vary", "cache-control", "content-type", "set-cookie", "etag", "last-modified", "traceparent",
        "tracestate", "server-timing", "alt-svc", "accept-ranges", "nel", "report-to", "pragma",
    }
)  # fmt: skip
"""Not compared by value: of the transport, of a moment, or looked at more closely below."""
_PASSING = re.compile(r"(^|-)(id|time|timing|trace|runtime|duration|nonce|age)$")
"""Names of headers that tell of one request."""
_GUARDED = frozenset({"no-store", "no-cache", "private"})
_STATIC = ("text/css", "text/javascript", "application/javascript", "image/", "font/", "video/", "audio/")


def compare_headers(base: Seen, candidate: Seen, own: tuple[str, str] = ("", "")) -> Iterator[Difference]:
    """Differences in the headers of two answers.

    Args:
        base: the base's answer.
        candidate: the candidate's answer.
        own: addresses (`127.0.0.1:8001`) of base and candidate, which may stand in values.
    """
    types = _content_type(base), _content_type(candidate)
    if types[0] != types[1]:
        yield Difference("header content-type", types[0] or ABSENT, types[1] or ABSENT)
    sent = (name for name in base.headers if name not in _FREE and not _PASSING.search(name))
    for name in dict.fromkeys((*HEADERS, *sent)):
        pair = [
            neutral(seen.headers.get(name, ABSENT).encode(), address).decode()
            for seen, address in zip((base, candidate), own, strict=True)
        ]
        if pair[0] != pair[1]:
            yield Difference(f"header {name}", pair[0], pair[1])
    yield from _compare_caching(base, candidate)
    if (cookies := [_cookies(seen) for seen in (base, candidate)])[0] != cookies[1]:
        yield Difference("header set-cookie", *("; ".join(each) or ABSENT for each in cookies))


def _compare_caching(base: Seen, candidate: Seen) -> Iterator[Difference]:
    for name in ("etag", "last-modified"):
        if name in base.headers and name not in candidate.headers:
            yield Difference(f"header {name}", base.headers[name], ABSENT)
    if lost := sorted(_words(base, "vary") - _words(candidate, "vary")):
        yield Difference("header vary", ", ".join(lost), ABSENT)
    if media_type(base).startswith(_STATIC):
        return
    before, after = freshness(base), freshness(candidate)
    if after > before:
        # A browser or proxy that may keep an answer shows old data, however right the server is.
        yield Difference("header cache-control", f"may be kept {before} s", f"may be kept {after} s")
    kept = _words(candidate, "cache-control")
    if "no-store" not in kept and (lost := sorted(_GUARDED & _words(base, "cache-control") - kept)):
        yield Difference("header cache-control", ", ".join(lost), ABSENT)


def freshness(seen: Seen) -> int:
    """Seconds for which a client or proxy may use the answer without asking again."""
    directives = _words(seen, "cache-control")
    if "no-store" in directives or "no-cache" in directives:
        return 0
    ages = [int(match[1]) for part in directives if (match := re.fullmatch(r"(?:s-maxage|max-age)=\"?(\d+)\"?", part))]
    return max(ages, default=0)


def _words(seen: Seen, name: str) -> set[str]:
    return {part.strip().lower() for part in seen.headers.get(name, "").split(",")} - {""}


def _cookies(seen: Seen) -> list[str]:
    """Names of the cookies that are set with their attributes: a session's value differs in each version."""
    found = []
    for cookie in re.split(r",\s*(?=[^;,=\s]+=)", seen.headers.get("set-cookie", "")):
        first, *attributes = (part.strip() for part in cookie.split(";"))
        kept = sorted(text.lower() for text in attributes if not text.lower().startswith(("expires", "max-age")))
        found.append(" ".join([first.partition("=")[0], *kept]).strip())
    return sorted(filter(None, found))


def _content_type(seen: Seen) -> str:
    media, _, rest = seen.headers.get("content-type", "").partition(";")
    media, rest = media.strip().lower(), rest.replace('"', "").strip().lower()
    # JSON is UTF-8 whether its type says so or not (RFC 8259).
    return media if "json" in media or not rest else f"{media}; {rest}"
