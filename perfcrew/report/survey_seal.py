"""The seal of a survey or a comparison: what catches a slip in those fields that no raw file gives."""

import hashlib
import json
from typing import TypeVar

from perfcrew.records.survey import Comparison, Survey

S = TypeVar("S", Survey, Comparison)


def seal(result: S) -> S:
    """The same result with its seal."""
    return result.model_copy(update={"seal": digest(result)})


def digest(result: Survey | Comparison) -> str:
    """SHA-256 of the canonical JSON without the seal."""
    plain = result.model_dump(mode="json", by_alias=True, exclude={"seal"})
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
