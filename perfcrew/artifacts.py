"""The artifact folder: raw files named by the SHA-256 of what they hold."""

import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from perfcrew.errors import VerificationError
from perfcrew.records.base import ArtifactRef
from perfcrew.redaction import OPEN, Redactor


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that whoever finds it finds all of it, also after a crash. Its folder is made where missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(path)


class Artifacts:
    """A folder of immutable raw files. Writing the same content twice gives the same reference.

    Args:
        folder: where they are; made where it is missing.
        redactor: takes secrets out of whatever is stored.
    """

    def __init__(self, folder: Path, redactor: Redactor = OPEN) -> None:
        self.folder = folder
        self.redactor = redactor
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, content: bytes, suffix: str) -> ArtifactRef:
        """Store content and return its reference."""
        return self._store(self.redactor.content(content), suffix)

    def _store(self, content: bytes, suffix: str) -> ArtifactRef:
        ref = ArtifactRef(sha256=hashlib.sha256(content).hexdigest(), suffix=suffix, size=len(content))
        path = self.path(ref)
        if not path.exists():
            write_whole(path, content)
        return ref

    def put_json(self, value: Any) -> ArtifactRef:
        """Store a JSON value, compressed. `mtime=0` keeps equal values equal files."""
        text = json.dumps(value, separators=(",", ":"), sort_keys=True)
        return self._store(gzip.compress(self.redactor.content(text.encode()), mtime=0), ".json.gz")

    def put_text(self, text: str, suffix: str = ".txt") -> ArtifactRef:
        """Store text as it is."""
        return self.put(text.encode(), suffix)

    def path(self, ref: ArtifactRef) -> Path:
        """Where the file of a reference is."""
        return self.folder / ref.name

    def get(self, ref: ArtifactRef) -> bytes:
        """The content of a reference, checked against its hash.

        Raises:
            VerificationError: the file is missing or was altered.
        """
        path = self.path(ref)
        if not path.exists():
            raise VerificationError(f"{path}: the raw file is missing")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != ref.sha256:
            raise VerificationError(f"{path}: the raw file was altered")
        return content

    def get_json(self, ref: ArtifactRef) -> Any:
        """The JSON value of a reference."""
        return json.loads(gzip.decompress(self.get(ref)))
