"""One finished run for all tests of its renderings; it is never changed in place."""

from pathlib import Path

import pytest
from report_material import finish_run

from perfcrew.artifacts import Artifacts
from perfcrew.records.report import Report
from perfcrew.report.build import build_report


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    folder: Path = tmp_path_factory.mktemp("run") / "artifacts"
    return Artifacts(folder)


@pytest.fixture(scope="session")
def report(artifacts: Artifacts) -> Report:
    return build_report(finish_run(artifacts))
