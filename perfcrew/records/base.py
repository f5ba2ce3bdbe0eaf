"""What every record is: frozen, closed, versioned."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Better = Literal["lower", "higher"]
Outcome = Literal["improved", "regressed", "no_significant_change", "underpowered"]
RunOutcome = Literal["improved", "regressed", "no_significant_change", "underpowered", "incomplete"]
Role = Literal["performance", "memory-sync", "architect", "coder", "tester", "security", "guide"]


class Record(BaseModel):
    """A frozen, closed value. Unknown fields are an error, so that a typing slip never passes silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ArtifactRef(Record):
    """A raw file in the run's artifact folder, named by the SHA-256 of its content."""

    sha256: str
    suffix: str
    """File name ending with its dot, such as `.json.gz`."""
    size: int
    """Bytes on disk."""

    @property
    def name(self) -> str:
        """The file's name inside the artifact folder."""
        return f"{self.sha256}{self.suffix}"
