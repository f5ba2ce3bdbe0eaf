"""Failures of model services, told apart in one way for every provider: worth another try or not, and when."""

import asyncio
import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from perfcrew.errors import ContextOverflow, LLMError

MAX_DETAIL = 240
"""Characters of a service's own words that go into an error."""
TOO_LONG = frozenset({400, 413, 422, 500})
"""Statuses of requests that a service finds too long. Some compatible servers only have a 500 for it."""
RETRYABLE = frozenset({408, 409, 425, 429})
_SPENT = re.compile(r"spend_limit|insufficient_quota|billing|credit_balance|quota_exceeded")
_BLAMED = re.compile(r"invalid|authentication|permission|not_found|too_large|context_length")
_TOO_LONG = re.compile(
    r"context_length_exceeded|prompt is too long|input is too long|maximum context length"
    r"|exceeds?\b.{0,40}\bcontext\b|context (window|length|size)\b.{0,60}\bexceed|too many (input )?tokens",
    re.IGNORECASE,
)
_KEY = re.compile(r"\b(?:sk|key|pk)-[\w*.-]{6,}")


def one_line(text: str, secret: str | None = None) -> str:
    """A service's words on one line, short, without keys."""
    if secret and len(secret) >= 8:
        text = text.replace(secret, "[key]")
    text = " ".join(_KEY.sub("[key]", text).split())
    return text if len(text) <= MAX_DETAIL else text[: MAX_DETAIL - 1] + "…"


def refused(
    provider: str,
    status: int,
    headers: Mapping[str, str],
    body: object,
    *,
    request_id: str | None = None,
    secret: str | None = None,
) -> LLMError:
    """The error for an HTTP status of 400 or more.

    Retryable are 408, 409, 425, 429 and from 500 on, unless the service says otherwise (`x-should-retry`) or the
    refusal is about money that is used up, which comes as a 429 too.
    """
    words, code = _detail(body)
    retryable = status in RETRYABLE or status >= 500
    if _SPENT.search(code):
        retryable = False
    retryable = {"true": True, "false": False}.get(headers.get("x-should-retry", ""), retryable)
    what = " ".join(part for part in (f"{provider}: HTTP {status}", code, one_line(words, secret)) if part)
    kind = ContextOverflow if status in TOO_LONG and _TOO_LONG.search(f"{code} {words}") else LLMError
    return kind(
        what + (f" (request {request_id})" if request_id else ""),
        retryable=retryable and kind is LLMError,
        retry_after=retry_after(headers),
        request_id=request_id,
    )


def unreachable(
    provider: str,
    error: BaseException,
    *,
    url: str,
    timeout: bool,
    request_id: str | None = None,
    secret: str | None = None,
) -> LLMError:
    """The error for a call without a whole answer: no connection, a broken one, or none in time. Always retryable."""
    cause = error.__cause__ or error
    kind = "timed out" if timeout else "broke off or was never made"
    # A time limit cancels what waits; that is no cause that anybody could do something about.
    named = "no answer" if isinstance(cause, asyncio.CancelledError) else f"{type(cause).__name__} {cause}"
    words = one_line(named, secret)
    told = f"{provider}: the connection to {url} {kind} ({words})" + (f" (request {request_id})" if request_id else "")
    return LLMError(told, retryable=True, request_id=request_id)


def broken_off(provider: str, event: Mapping[str, Any], request_id: str | None, secret: str | None = None) -> LLMError:
    """The error for an error event inside a stream; retryable unless the service blames the request or the account."""
    words, code = _detail(event)
    permanent = bool(_SPENT.search(code) or _BLAMED.search(code))
    what = " ".join(part for part in (f"{provider}: the stream ended with an error:", code, one_line(words, secret)))
    what = what.rstrip() + (f" (request {request_id})" if request_id else "")
    return LLMError(what, retryable=not permanent, request_id=request_id)


def odd_body(provider: str, why: str, request_id: str | None = None) -> LLMError:
    """The error for an answer that came through but is not one: cut off, not JSON, or of another shape. Retryable."""
    told = f"{provider}: unusable answer, {why}" + (f" (request {request_id})" if request_id else "")
    return LLMError(told, retryable=True, request_id=request_id)


def read_body(provider: str, content: bytes, request_id: str | None = None) -> dict[str, Any]:
    """The JSON object in a response.

    Raises:
        LLMError: the body is cut off, is not JSON, or is not an object; retryable.
    """
    try:
        body = json.loads(content)
    except ValueError as error:
        start = one_line(content[:80].decode(errors="replace"))
        raise odd_body(provider, f"not JSON or cut off after {len(content)} bytes: {start}", request_id) from error
    if b"\\ud" in content or b"\\uD" in content:
        # JSON may hold half a surrogate pair, which nothing downstream can encode.
        body = json.loads(json.dumps(body, ensure_ascii=False).encode(errors="replace"))
    if not isinstance(body, dict):
        raise odd_body(provider, f"JSON but not an object: {one_line(str(body)[:80])}", request_id)
    return body


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait before the next try, from `retry-after-ms` or `retry-after` (a number or an HTTP date)."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        seconds = headers.get("retry-after")
        if not seconds:
            return None
        if re.fullmatch(r"[\d.]+", seconds.strip()):
            return float(seconds)
        return max(0.0, parsedate_to_datetime(seconds).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _detail(body: object) -> tuple[str, str]:
    """A service's message and error code, from the shapes in use: both vendors', vLLM's, Ollama's, FastAPI's, HTML."""
    if isinstance(body, str):
        page = re.search(r"<title>(.*?)</title>", body, re.IGNORECASE | re.DOTALL)
        return (f"an HTML page: {page[1]}" if page else body), ""
    if not isinstance(body, dict):
        return "", ""
    inner = body.get("error", body)
    if not isinstance(inner, dict):
        return str(inner), ""
    details = inner.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    code = code or inner.get("code") or inner.get("type") or ""
    return str(inner.get("message") or inner.get("detail") or ""), str(code)
