"""`measure` and `compare` as commands: what they pass on, write, print and return."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from survey_material import make_survey

from graphs.comparing import CompareOptions
from graphs.measuring import KINDS
from graphs.runs import COMPARISON, SURVEY, Manifest, run_folder, write_manifest, write_result
from graphs.survey import SurveyOptions
from perfcrew.artifacts import Artifacts
from perfcrew.entry import measuring, surveys
from perfcrew.entry.cli import start
from perfcrew.errors import PerfcrewError
from perfcrew.records.events import Event
from perfcrew.records.survey import Comparison, Revision, Survey
from perfcrew.records.work import RecipeRequest
from perfcrew.report.survey_seal import seal
from perfcrew.settings import Settings

Said = pytest.CaptureFixture[str]
Watch = Callable[[Event], None]


def folder_of(settings: Settings, kind: str, repo: Path) -> Path:
    folder = run_folder(settings.home, f"run-{kind}", new=True)
    manifest = Manifest.model_validate(
        {"run_id": folder.name, "repo": repo, "config": None, "base": "c" * 40, "request": RecipeRequest(),
         "replay": None, "frozen": False, "answered_by": "", "quick": False, "kind": kind}
    )  # fmt: skip
    write_manifest(folder, manifest)
    return folder


@pytest.fixture
def asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the commands ask of the engine, which answers at once."""
    seen: list[Any] = []

    async def take(
        options: SurveyOptions, *, settings: Settings, watch: Callable[[Event], None]
    ) -> tuple[Survey, Path]:
        seen.append(options)
        folder = folder_of(settings, "measure", options.repo)
        survey = make_survey(Artifacts(folder / "artifacts"))
        survey = seal(survey.model_copy(update={"run_id": folder.name}))
        write_result(folder, SURVEY, survey)
        watch(Event(kind="measured", text="shop/base: P95 118 ms"))
        watch(Event(kind="warning", text="vitals@page/base: no Chromium\nmore"))
        return survey, folder

    async def compare(options: CompareOptions, *, settings: Settings, watch: Watch) -> tuple[Comparison, Path]:
        seen.append(options)
        folder = folder_of(settings, "compare", options.repo)
        comparison = seal(make_comparison(str(options.base)).model_copy(update={"run_id": folder.name}))
        write_result(folder, COMPARISON, comparison)
        return comparison, folder

    monkeypatch.setattr(surveys, "take_survey", take)
    monkeypatch.setattr(surveys, "compare_revisions", compare)
    return seen


def make_comparison(outcome: str) -> Comparison:
    made = {
        "base": Revision(name="main", commit="a" * 40, subject="First"), "outcome": outcome, "reason": "it was so",
        "candidate": Revision(name="HEAD", commit="b" * 40, subject="Second"), "environment": {"cores": "2"},
        "bouts": (), "target": "shop",
    }  # fmt: skip
    return Comparison.model_validate(made)


def test_measure_passes_on_what_is_asked(asked: list[Any], shop: Path, capsys: Said) -> None:
    words = ["measure", str(shop), "--workload", "w", "--workload", "v", "--only", "load", "--only", "cpu", "--quick"]
    assert start(words) == 0
    assert asked == [SurveyOptions(shop, None, ("w", "v"), ("load", "cpu"), True)]
    said = capsys.readouterr().out
    assert "0:00  shop/base: P95 118 ms" in said
    assert "0:00  not measured: vitals@page/base: no Chromium\n" in said
    assert "verify it: perfcrew verify run-measure" in " ".join(said.split())


def test_measure_writes_each_form(asked: list[Any], shop: Path, tmp_path: Path, capsys: Said) -> None:
    files = {form: tmp_path / f"out.{form}" for form in ("json", "html", "markdown")}
    assert (
        start(["measure", str(shop), *(word for form, file in files.items() for word in (f"--{form}", str(file)))]) == 0
    )
    assert json.loads(files["json"].read_text())["schema"] == 1
    assert files["html"].read_text().startswith("<!doctype html>")
    assert files["markdown"].read_text().startswith("# ")


@pytest.mark.parametrize("words", [["--json", "-"], ["--json"], ["--json", "--quick"]])
def test_json_on_standard_output_is_alone_there(asked: list[Any], shop: Path, capsys: Said, words: list[str]) -> None:
    assert start(["measure", str(shop), *words]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["target"] == "<shop>"
    assert "P95 118 ms" in said.err


def test_a_page_without_a_name_is_written_here(
    asked: list[Any], shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert start(["measure", str(shop), "--html"]) == 0
    assert (tmp_path / "measure.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--json", "no/such/x.json"], "no/such/x.json: can't be written: there is no folder no/such"),
        (["--json", "-", "--markdown", "-"], "only one of them can go to standard output"),
    ],
)
def test_outputs_are_checked_before_minutes_of_measuring(
    asked: list[Any], shop: Path, capsys: Said, words: list[str], line: str
) -> None:
    assert start(["measure", str(shop), *words]) == 2
    assert line in capsys.readouterr().err
    assert asked == []


def test_what_was_measured_is_listed_shown_and_verified(asked: list[Any], shop: Path, capsys: Said) -> None:
    assert start(["measure", str(shop)]) == 0
    capsys.readouterr()
    assert start(["runs"]) == 0
    assert capsys.readouterr().out.split() == ["run-measure", "measure", "1", "findings", "at", "c" * 12, str(shop)]
    assert start(["verify", "last"]) == 0
    assert "all agree" in capsys.readouterr().out
    assert start(["report", "last", "--md"]) == 0
    assert "## Findings" in capsys.readouterr().out
    assert start(["report", "last", "--html"]) == 0
    assert Path(capsys.readouterr().out.strip()).read_text().startswith("<!doctype html>")
    assert start(["report", "last"]) == 0
    assert "N+1 queries" in capsys.readouterr().out


def test_what_could_not_complete_is_three(
    asked: list[Any], shop: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise PerfcrewError("the application does not start: arm base: it ended with exit code 1")

    monkeypatch.setattr(surveys, "take_survey", fail)
    assert start(["measure", str(shop)]) == 3
    assert capsys.readouterr().err == "perfcrew: the application does not start: arm base: it ended with exit code 1\n"


@pytest.mark.parametrize(
    ("outcome", "plain", "strict"),
    [("improved", 0, 0), ("no_significant_change", 0, 0), ("underpowered", 0, 1), ("regressed", 1, 1)],
)
@pytest.mark.parametrize("words", [[], ["--strict"]])
def test_compare_exits_by_its_outcome(
    asked: list[Any], shop: Path, outcome: str, plain: int, strict: int, words: list[str]
) -> None:
    # The engine that stands in takes the outcome from the base's name.
    assert start(["compare", outcome, "HEAD", str(shop), *words]) == (strict if words else plain)


def test_compare_passes_on_what_is_asked(asked: list[Any], shop: Path, tmp_path: Path, capsys: Said) -> None:
    words = ["compare", "improved", "HEAD~1", str(shop), "--workload", "w", "--within", "60", "--check-behaviour"]
    assert start([*words, "--markdown", str(tmp_path / "c.md"), "--json", "-"]) == 0
    assert asked == [CompareOptions("improved", "HEAD~1", shop, None, ("w",), 60.0, True, False)]
    assert json.loads(capsys.readouterr().out)["outcome"] == "improved"
    assert (tmp_path / "c.md").read_text().startswith("### 🟢 Performance: improved\n")
    assert start(["verify", "last"]) == 1, "its outcome has no bouts to come from"


def test_the_worktree_takes_the_candidates_place(asked: list[Any], shop: Path, capsys: Said) -> None:
    assert start(["compare", "improved", str(shop), "--worktree"]) == 0
    assert (asked[0].candidate, asked[0].repo) == (None, shop)
    assert start(["compare", "main"]) == 2
    assert "expected BASE and CANDIDATE, or BASE and --worktree" in capsys.readouterr().err
    assert start(["compare", "main", "HEAD", str(shop), "--worktree"]) == 2
    assert "expected a CANDIDATE or --worktree, got both" in capsys.readouterr().err


def test_the_kinds_are_those_of_the_plan() -> None:
    assert sorted(measuring.KINDS.choices) == sorted(KINDS)
