"""Lines of a journal: what stands in one, how it is written and read back."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from perfcrew.errors import PerfcrewError
from perfcrew.records.base import Record

Kind = Literal["run", "reply", "effect"]
TEXT = "text:"
"""Begins the key of an entry that holds a system prompt or a set of tools, once for all requests with it."""


class Asked(Record):
    """What a model was asked, as far as it differs from the lane's request before."""

    system: str
    """Digest of the system prompt: the text stands in the entry `text:DIGEST`; so do the tools."""
    tools: str
    kept: int
    """How many messages of the request before this one begins with."""
    messages: tuple[dict[str, Any], ...]
    """The messages that follow these."""


class Entry(Record):
    """One line of the journal."""

    kind: Kind
    lane: str
    key: str
    digest: str = ""
    """SHA-256 of what was asked: a request's components or an effect's arguments."""
    value: Any = None
    seconds: float | None = None
    """How long it took to get; for audits, never read back."""
    asked: Asked | None = None
    """With a reply: the question. Journals of the first version have only its digest."""

    @property
    def place(self) -> tuple[Kind, str, str]:
        """Where in the run it belongs; there is one entry at a place."""
        return self.kind, self.lane, self.key


def digest(value: Any) -> str:
    """SHA-256 of a JSON value or record, in canonical form; 16 hexadecimal digits are enough inside one run."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def to_plain(value: Any) -> Any:
    """A value as JSON can hold it; infinities stay what they are, where pydantic's own way makes null of them."""
    return to_jsonable_python(value, inf_nan_mode="constants")


def write_line(entry: Entry) -> bytes:
    """An entry as a line of JSON."""
    fields = {name: value for name, value in entry.model_dump().items() if name != "asked" or value is not None}
    # The standard library's JSON also carries torn Unicode, which file contents may hold.
    return json.dumps(to_plain(fields), separators=(",", ":")).encode() + b"\n"


def read_line(line: bytes) -> Entry:
    """The entry of a line.

    Raises:
        PerfcrewError: the line is not one of a journal.
    """
    try:
        return Entry.model_validate(json.loads(line))
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise PerfcrewError(f"not an entry of a journal: {line[:60].decode(errors='replace')!r} ({first})") from None


def whole_part(content: bytes) -> bytes:
    """A journal's content without its torn last line. What a crash left of it is no JSON or has no end."""
    whole = content[: content.rfind(b"\n") + 1]
    last = whole[whole[:-1].rfind(b"\n") + 1 :]
    try:
        json.loads(last or b"{}")
    except ValueError:
        # A file system may have made the file longer before the bytes were there.
        return whole[: len(whole) - len(last)]
    return whole


def read_entries(path: Path) -> Iterator[Entry]:
    """All whole entries of a journal file; a torn last line is dropped.

    Raises:
        PerfcrewError: a line before the last is damaged.
    """
    for number, line in enumerate(whole_part(path.read_bytes()).splitlines(keepends=True), 1):
        try:
            yield read_line(line)
        except PerfcrewError as error:
            raise PerfcrewError(f"{path}, line {number}: {error}") from None
