"""A whole measure of the bundled application: its planted faults are found, its digests are short, nothing is left."""

import asyncio
from pathlib import Path

import pytest

from evals.case import find_case, make_repository
from graphs.survey import SurveyOptions, take_survey
from perfcrew.artifacts import Artifacts
from perfcrew.llm.tokens import count_bytes
from perfcrew.records.survey import Survey
from perfcrew.report.survey_verify import verify_survey
from perfcrew.settings import Settings
from tools.detectors import detect

pytestmark = [pytest.mark.app, pytest.mark.demo]
DIGEST_TOKENS = 2_000
PLANTED = {
    "missing_index@activities(user_id)", "large_payload@GET /api/dashboard", "no_compression@GET /api/dashboard",
    "repeated_computation@q:c23515", "blocking_call@GET /api/dashboard",
}  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Survey, Path]:
    case = find_case("dashboard")
    scratch = tmp_path_factory.mktemp("dashboard")
    settings = Settings(home=scratch / "home", _env_file=None)

    async def work() -> tuple[Survey, Path]:
        repo = await make_repository(case, scratch / "app")
        options = SurveyOptions(repo, case.config, quick=True)
        return await take_survey(options, settings=settings, watch=lambda _: None)

    return asyncio.run(work())


def test_what_is_planted_is_found(measured: tuple[Survey, Path]) -> None:
    found = {finding.id: finding for finding in measured[0].findings}
    assert found.keys() >= PLANTED
    shares = [finding.share for finding in measured[0].findings if finding.share is not None]
    assert shares == sorted(shares, reverse=True)
    known = {item.id for item in measured[0].evidence}
    assert all(set(finding.evidence) <= known for finding in found.values())


def test_every_digest_is_short(measured: tuple[Survey, Path]) -> None:
    long = {
        item.id: count_bytes(item.digest) for item in measured[0].evidence if count_bytes(item.digest) > DIGEST_TOKENS
    }
    assert long == {}
    assert all(item.artifact for item in measured[0].evidence)


def test_every_figure_comes_from_its_raw_file(measured: tuple[Survey, Path]) -> None:
    survey, folder = measured
    result = verify_survey(survey, Artifacts(folder / "artifacts"), detect)
    assert result.figures > 100
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["artifacts", "logs"]
