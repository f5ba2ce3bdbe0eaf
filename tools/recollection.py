"""What a run has found out about a commit already, for instruments that build on it: evidence by kind and workload."""

from pathlib import Path

from pydantic import ValidationError

from perfcrew.errors import VerificationError
from perfcrew.records.evidence import Evidence
from tools.workspace import Workspace


def remember(workspace: Workspace, evidence: Evidence, commit: str, workload: str) -> None:
    """Keep evidence for `recall`; a later one of that kind, commit and workload takes its place."""
    path = _path(workspace, evidence.kind, commit, workload)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(workspace.artifacts.redactor.text(evidence.model_dump_json()))
    fresh.replace(path)


def recall(workspace: Workspace, kind: str, commit: str, workload: str) -> Evidence | None:
    """What was found about a commit in this run; None if nothing was, or its raw file is gone."""
    try:
        found = Evidence.model_validate_json(_path(workspace, kind, commit, workload).read_text())
        if found.artifact is not None:
            workspace.artifacts.get_json(found.artifact)
    except (OSError, ValidationError, VerificationError):
        return None
    return found


def _path(workspace: Workspace, kind: str, commit: str, workload: str) -> Path:
    return workspace.folder / "found" / f"{kind}-{workload}-{commit}.json"
