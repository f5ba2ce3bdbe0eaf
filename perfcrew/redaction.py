"""What must stay secret is taken out of everything that a run keeps or sends: by value, and by the shape it has.

By value: what the caller knows to be secret, also as JSON writes it and as a URL does. By shape: passwords in URLs,
Authorization headers, private keys, and the keys of services whose form can't be mistaken.
"""

import base64
import gzip
import json
import re
from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import quote

from pydantic import BaseModel

MASK = "[redacted]"
LEAST = 6
"""Characters below which a value is not looked for: replacing it would tear texts that have nothing to do with it."""
R = TypeVar("R", bound=BaseModel)

_SHAPES: tuple[tuple[bytes, re.Pattern[bytes], bytes], ...] = (
    # Text that a shape needs, which is quick to look for; the shape; what stays of it. Placeholders are no secrets.
    (
        b"://",
        re.compile(rb"(://[^\s/:@\"'\\{}$<>]{0,80}:)(?!\[redacted\])[^\s/@\"'\\{}$<>()]{1,300}(?=@)"),
        rb"\1[redacted]",
    ),
    (
        b"uthorization",
        re.compile(
            rb"(?i)(authorization\\?[\"']?\s*[:=,]\s*\\?[\"']?(?:bearer|basic|token|digest|apikey)\s+)"
            rb"(?!\[redacted\])[\w.~+/=-]{8,}"
        ),
        rb"\1[redacted]",
    ),
    (b"PRIVATE KEY", re.compile(rb"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END )", re.DOTALL), rb"\1[redacted]"),
    (b"sk-", re.compile(rb"\bsk-(?=[\w-]*\d)(?:ant-|proj-)?[A-Za-z0-9_-]{24,}"), b"[redacted]"),
    (b"AKIA", re.compile(rb"\bAKIA[0-9A-Z]{16}\b"), b"[redacted]"),
    (b"gh", re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,})"), b"[redacted]"),
)  # fmt: skip


class Redactor:
    """Replaces secrets by `[redacted]`.

    Args:
        values: what is secret. Too short ones are left out, see `LEAST`.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        known = {value for value in values if len(value) >= LEAST}
        spelt = {form for value in known for form in _spell(value)}
        # The longest first, so that a secret inside another does not leave its ends behind.
        self._needles = sorted(spelt, key=lambda needle: (-len(needle), needle))

    def content(self, content: bytes) -> bytes:
        """Bytes without secrets; the same object where there are none. What is compressed with gzip is looked into."""
        if content.startswith(b"\x1f\x8b"):
            plain = _unpack(content)
            redacted = plain if plain is None else self.content(plain)
            return content if redacted is None or redacted is plain else gzip.compress(redacted, mtime=0)
        for needle in self._needles:
            if needle in content:
                content = content.replace(needle, MASK.encode())
        for mark, shape, kept in _SHAPES:
            if mark in content or (mark == b"uthorization" and mark.upper() in content):
                replaced = shape.sub(kept, content)
                content = content if replaced == content else replaced
        return content

    def text(self, text: str) -> str:
        """Text without secrets."""
        content = text.encode("utf-8", "surrogatepass")
        redacted = self.content(content) if not content.startswith(b"\x1f\x8b") else content
        return text if redacted is content else redacted.decode("utf-8", "surrogatepass")

    def record(self, record: R) -> R:
        """A record without secrets in any of its texts."""
        plain = record.model_dump_json(by_alias=True)
        redacted = self.text(plain)
        return record if redacted is plain else type(record).model_validate_json(redacted)


OPEN = Redactor()
"""Knows no values; shapes are taken out all the same."""


def _spell(value: str) -> set[bytes]:
    """A secret as it is, in JSON in both its spellings, in a URL, and in Base64."""
    spelt = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], quote(value, safe="")}
    raw = value.encode("utf-8", "surrogatepass")
    return {form.encode("utf-8", "surrogatepass") for form in spelt} | {base64.b64encode(raw)}


def _unpack(content: bytes) -> bytes | None:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError):
        return None
