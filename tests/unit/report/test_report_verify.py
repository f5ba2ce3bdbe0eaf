"""Every figure is computed again, and whatever was altered is found."""

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from pydantic import ValidationError
from report_material import finish_run, simulate_duel

from perfcrew.artifacts import Artifacts
from perfcrew.duel_stats import duel_effects
from perfcrew.errors import VerificationError
from perfcrew.records.report import Report
from perfcrew.report.build import Comparison, build_report, seal_report
from perfcrew.report.verify import verify_report

Path_ = tuple[str | int, ...]


def numbers(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Where a JSON value holds numbers."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from numbers(item, (*path, index))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def altered(plain: Any, path: Path_, value: Any) -> Any:
    """A copy of a JSON value with another value at a path."""
    copy = json.loads(json.dumps(plain))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


def slip(number: float) -> float:
    """Another number: one digit of its text is changed, the last one that makes a difference."""
    text = str(number)
    for index in reversed(range(len(text.partition("e")[0]))):
        if text[index].isdigit():
            digit = (int(text[index]) + 1) % 10
            changed: float = json.loads(f"{text[:index]}{digit}{text[index + 1 :]}")
            if changed != number:
                return changed
    raise AssertionError(text)


def reseal(report: Report) -> Report:
    return report.model_copy(update={"seal": seal_report(report)})


def test_an_honest_report_verifies(report: Report, artifacts: Artifacts) -> None:
    result = verify_report(report, artifacts)
    assert result.run_id == "r-0001"
    assert result.figures > 500
    assert result.files >= 11
    written = Report.model_validate_json(report.model_dump_json(by_alias=True))
    assert verify_report(written, artifacts) == result


def test_nothing_kept_verifies(artifacts: Artifacts) -> None:
    dropped = finish_run(artifacts).changes[1:]
    assert verify_report(build_report(finish_run(artifacts, changes=dropped, final=None)), artifacts).figures


def test_one_digit_of_any_number_is_found(report: Report, artifacts: Artifacts) -> None:
    plain = json.loads(report.model_dump_json(by_alias=True))
    places = list(numbers(plain))
    assert len(places) > 600
    # Every kind of place once, and every 80th of the rest: each verification reads all raw files.
    kinds = {tuple(key for key in path if isinstance(key, str)): path for path in places}
    for path in {*kinds.values(), *places[::80]}:
        value = plain
        for key in path:
            value = value[key]
        with pytest.raises((VerificationError, ValidationError)):
            verify_report(Report.model_validate(altered(plain, path, slip(value))), artifacts)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("metrics", 1, "candidate"), 12.5, "metrics[http.p95_ms@dashboard].candidate"),
        (("effects", 1, "ratio_low"), 9.9, "effects[http.p95_ms@dashboard].ratio_low"),
        (("noise", 0, "base"), 1.0, "noise[http.p50_ms@dashboard].base"),
        (("changes", 0, "metrics", 2, "ratio"), 44.0, "changes[fix:1].metrics"),
        (("changes", 0, "lines_added"), 3, "changes[fix:1].lines_added"),
        (("changes", 1, "kept"), True, "changes[fix:2].kept"),
        (("changes", 1, "attempts", 0, "verdict", "accepted"), True, "changes[fix:2].attempts[1].accepted"),
        (("evidence", 0, "measurements", 0, "value"), 1.0, "measurement p95_ms@dashboard/base"),
        (("evidence", 0, "measurements", 0, "method"), "percentile:50", "measurement p95_ms@dashboard/base"),
        (("outcome",), "regressed", "outcome"),
        (("goals_met",), False, "goals_met"),
        (("reason",), "it is wonderful", "reason"),
        (("criteria", 2, "met"), True, "criteria[memory usage reduced by more than 30 %].met"),
        (("gates", 1, "met"), True, "gates[performance tests automated].met"),
        (("checks", 0, "passed"), False, "outcome"),
        (("sequential_seconds",), 300.0, "sequential_seconds"),
        (("wall_seconds",), 100.0, "wall_seconds"),
        (("duel_samples", "size"), 1, "bytes"),
    ],
)
def test_a_forgery_is_found_even_under_a_new_seal(
    report: Report, artifacts: Artifacts, path: Path_, value: Any, named: str
) -> None:
    plain = json.loads(report.model_dump_json(by_alias=True))
    forged = reseal(Report.model_validate(altered(plain, path, value)))
    with pytest.raises(VerificationError) as caught:
        verify_report(forged, artifacts)
    assert named in str(caught.value)


def test_the_message_has_both_values(report: Report, artifacts: Artifacts) -> None:
    honest = report.metrics[1].ratio
    rows = (report.metrics[0], report.metrics[1].model_copy(update={"ratio": 99.0}), *report.metrics[2:])
    with pytest.raises(VerificationError) as caught:
        verify_report(report.model_copy(update={"metrics": rows}), artifacts)
    assert str(caught.value).startswith(
        "metrics[http.p95_ms@dashboard].ratio: the report says 99.0, its raw samples give"
    )
    assert str(honest)[:12] in str(caught.value)


@pytest.mark.parametrize(("field", "value"), [("usage", {"usd": 0.01}), ("answered_by", "someone else"), ("notes", ())])
def test_what_no_raw_file_gives_is_sealed(report: Report, artifacts: Artifacts, field: str, value: Any) -> None:
    if field == "usage":
        value = report.usage.model_copy(update=value)
    with pytest.raises(VerificationError, match="seal"):
        verify_report(report.model_copy(update={field: value}), artifacts)


def test_one_byte_of_any_raw_file_is_found(report: Report, artifacts: Artifacts, tmp_path: Path) -> None:
    for number, path in enumerate(sorted(artifacts.folder.iterdir())):
        if path.stat().st_size == 0 or path.name.partition(".")[0] not in report.model_dump_json():
            continue
        copy = tmp_path / str(number)
        copytree(artifacts.folder, copy)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        (copy / path.name).write_bytes(content)
        with pytest.raises(VerificationError, match=path.name):
            verify_report(report, Artifacts(copy))


def test_a_missing_raw_file_is_found(report: Report, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="missing"):
        verify_report(report, Artifacts(tmp_path / "empty"))


def test_a_floor_below_the_noise_is_found(artifacts: Artifacts) -> None:
    shaky = simulate_duel(1.4, seed=11)
    calm = simulate_duel(6.0, queries=(31, 1), seed=12)
    noise = Comparison(effects=duel_effects(shaky), samples=artifacts.put_json(shaky))
    final = Comparison(effects=duel_effects(calm), samples=artifacts.put_json(calm))
    with pytest.raises(VerificationError, match="floor of http"):
        verify_report(build_report(finish_run(artifacts, noise=noise, final=final)), artifacts)


def test_a_measurement_whose_file_is_no_json(report: Report, artifacts: Artifacts) -> None:
    text = artifacts.put_text("nothing to see", ".json")
    first = report.evidence[0]
    measurement = first.measurements[0].model_copy(update={"samples": text})
    changed = first.model_copy(update={"measurements": (measurement,)})
    with pytest.raises(VerificationError, match="not JSON"):
        verify_report(report.model_copy(update={"evidence": (changed, *report.evidence[1:])}), artifacts)
