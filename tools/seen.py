"""What a client sees of an answer, and one place where two of them differ."""

from collections.abc import Mapping
from dataclasses import dataclass

ABSENT = "(absent)"


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


def media_type(seen: Seen) -> str:
    """The content type without its parameters."""
    return seen.headers.get("content-type", "").partition(";")[0].strip().lower()


def neutral(content: bytes, address: str) -> bytes:
    """A text without the address of the arm that gave it."""
    return content.replace(address.encode(), b"ARM") if address else content
