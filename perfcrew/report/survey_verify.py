"""A survey or a comparison computed again from its raw files, figure by figure."""

from collections.abc import Callable, Iterable

from perfcrew.artifacts import Artifacts
from perfcrew.records.evidence import Evidence
from perfcrew.records.survey import Bout, Comparison, Survey
from perfcrew.records.work import Finding
from perfcrew.report.comparing import conclude
from perfcrew.report.survey_seal import digest
from perfcrew.report.verify import Checker, VerifyResult, verify_files
from perfcrew.verdict import decide

Detect = Callable[[Iterable[Evidence]], tuple[Finding, ...]]
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
    again = detect(survey.evidence)
    checker.compare("findings", [item.model_dump() for item in survey.findings], [item.model_dump() for item in again])
    checker.compare(_SEAL, survey.seal, digest(survey))
    return VerifyResult(run_id=survey.run_id, figures=checker.figures, files=files)


def verify_comparison(comparison: Comparison, artifacts: Artifacts) -> VerifyResult:
    """Compute every effect of a comparison again from its raw duel, and its outcome from the effects.

    Raises:
        VerificationError: the first figure that differs, or a raw file that is missing or altered.
    """
    files = verify_files(comparison, artifacts)
    checker = Checker(artifacts)
    for bout in comparison.bouts:
        _verify_bout(checker, bout)
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
