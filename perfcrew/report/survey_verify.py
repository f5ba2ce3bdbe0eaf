"""A survey or a comparison computed again from its raw files, figure by figure."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from perfcrew.artifacts import Artifacts
from perfcrew.records.evidence import Effect, Evidence
from perfcrew.records.survey import Bout, Comparison, Survey
from perfcrew.records.work import Finding
from perfcrew.report.comparing import conclude, guarded
from perfcrew.report.survey_seal import digest
from perfcrew.report.verify import Checker, VerifyResult, verify_files
from perfcrew.verdict import decide

Detect = Callable[[Iterable[Evidence]], tuple[Finding, ...]]
_FIGURE = re.compile(r"\d[\d,]*(?:\.\d+)?")
_SEAL = "seal (a field that no raw file gives was altered)"


def verify_survey(survey: Survey, artifacts: Artifacts, detect: Detect) -> VerifyResult:
    """Compute every metric of a survey again from its raw file, and its findings from its evidence.

    Args:
        survey: what was measured.
        artifacts: its raw files.
        detect: the detectors, which lie above this layer.

    Raises:
        VerificationError: the first figure or finding that differs, or a raw file that is missing or altered.
    """
    files = verify_files(survey, artifacts)
    checker = Checker(artifacts)
    for measurement in survey.metrics:
        checker.verify_measurement(measurement)
    _verify_findings(checker, survey.findings, detect(restore_evidence(survey)))
    checker.compare(_SEAL, survey.seal, digest(survey))
    return VerifyResult(run_id=survey.run_id, figures=checker.figures, files=files)


def restore_evidence(survey: Survey) -> tuple[Evidence, ...]:
    """A survey's evidence with its measurements, as detectors saw it: those from the same raw file belong to it."""
    return tuple(
        item.model_copy(update={"measurements": tuple(
            metric for metric in survey.metrics if item.artifact and metric.samples.sha256 == item.artifact.sha256
        )})
        for item in survey.evidence
    )  # fmt: skip


def _verify_findings(checker: Checker, told: Sequence[Finding], again: Sequence[Finding]) -> None:
    """What a finding says, not how: other versions give other advice and choose other words, with the same figures."""
    checker.compare("findings", [_plain(item) for item in told], [_plain(item) for item in again])
    for one, other in zip(told, again, strict=True):
        strange = Counter(_FIGURE.findall(one.claim)) - Counter(_FIGURE.findall(other.claim))
        checker.compare(f"findings[{one.id}].claim, figures that its evidence does not give", sorted(strange), [])


def _plain(finding: Finding) -> dict[str, Any]:
    return finding.model_dump(exclude={"claim", "remedy", "prevention", "unshared"})


def _all(effects: Sequence[Effect]) -> list[dict[str, Any]]:
    return [effect.model_dump() for effect in effects]


def verify_comparison(comparison: Comparison, artifacts: Artifacts) -> VerifyResult:
    """Compute every effect of a comparison again from its raw duel, and its outcome from the effects.

    Raises:
        VerificationError: the first figure that differs, or a raw file that is missing or altered.
    """
    files = verify_files(comparison, artifacts)
    checker = Checker(artifacts)
    for bout, again in zip(comparison.bouts, guarded(comparison.bouts, artifacts), strict=True):
        _verify_bout(checker, bout)
        checker.compare(f"{bout.workload}.guards", _all(bout.guards), _all(again.guards))
    outcome, reason = conclude(comparison.bouts, comparison.checks)
    checker.compare("outcome", comparison.outcome, outcome)
    checker.compare("reason", comparison.reason, reason)
    checker.compare(_SEAL, comparison.seal, digest(comparison))
    return VerifyResult(run_id=comparison.run_id, figures=checker.figures, files=files)


def _verify_bout(checker: Checker, bout: Bout) -> None:
    checker.verify_effects(f"{bout.workload}.effects", bout.effects, bout.samples)
    checker.verify_effects(f"{bout.workload}.noise", bout.noise, bout.noise_samples)
    verdict = decide(bout.effects, ())
    checker.compare(f"{bout.workload}.outcome", bout.outcome, verdict.outcome)
    checker.compare(f"{bout.workload}.reason", bout.reason, verdict.reason)
