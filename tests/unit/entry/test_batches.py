"""`perfcrew batch`: mistakes in the file, failed targets, money, order; twenty targets, killed half way and resumed."""

import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from fake_engine import FakeEngine

import perfcrew
from evals.bench import batch_overlap
from perfcrew.entry.batch_file import read_jobs
from perfcrew.entry.batch_queue import FolderQueue
from perfcrew.entry.cli import start
from perfcrew.errors import PerfcrewError, UserError
from perfcrew.llm.entries import whole_part
from perfcrew.records.batch import Job, JobBegun, JobResult
from tools import process

Said = pytest.CaptureFixture[str]
ROOT = Path(perfcrew.__file__).parents[1]
CASE = ROOT / "evals" / "cases" / "dashboard"


def results_of(folder: Path) -> list[JobResult]:
    """What is on disk, a line that is being written left out."""
    path = folder / "results.jsonl"
    lines = whole_part(path.read_bytes()).splitlines() if path.exists() else []
    return [JobResult.model_validate_json(line) for line in lines]


def test_a_failed_target_does_not_stop_the_others(engine: FakeEngine, shop: Path, capsys: Said) -> None:
    lines = [{"path": "shop", "variation": "api"}, {"path": "nowhere"}, {"path": "shop", "model": "openai/x"}]
    Path("targets.jsonl").write_text("\n".join(map(json.dumps, lines)))
    broken = iter([None, PerfcrewError("the service is down")])

    async def sometimes() -> None:
        error = next(broken)
        if error:
            raise error

    engine.during = sometimes
    assert start(["batch", "targets.jsonl", "--out", "out"]) == 3
    captured = capsys.readouterr()
    results = [json.loads(line) for line in captured.out.splitlines()]
    assert [result["exit_code"] for result in results] == [0, 2, 3]
    assert results == [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
    assert "nowhere: no such folder" in results[1]["reason"]
    assert f"go on with: perfcrew run --resume {results[2]['run_id']}" in results[2]["reason"]
    # What the failed run had used is counted as well.
    assert (results[0]["tokens"], results[2]["tokens"]) == (128_000, 128_000)
    assert Path(results[0]["report"]).is_file()
    assert (engine.given[0].request.variation, engine.settings[1].model) == ("api", "openai/x")
    assert "saved" in captured.err
    summary = Path("out/summary.md").read_text()
    assert "3 jobs: 1 improved, 1 mistake, 1 failed." in summary and "| shop api | improved | met |" in summary
    assert f'<a href="{results[0]["run_id"]}.html">shop api</a>' in Path("out/summary.html").read_text()


def test_what_is_done_stays_done_and_failures_get_another_try_on_demand(
    engine: FakeEngine, shop: Path, capsys: Said
) -> None:
    Path("t.yaml").write_text("- shop\n- {path: shop, name: again}\n")
    broken = iter([PerfcrewError("the service is down"), None, None])

    async def at_first() -> None:
        if error := next(broken):
            raise error

    engine.during = at_first
    assert start(["batch", "t.yaml", "--out", "out"]) == 3
    first = results_of(Path("out"))
    assert start(["batch", "t.yaml", "--out", "out"]) == 2
    assert "an earlier batch is there; go on with it by --resume" in capsys.readouterr().err
    assert start(["batch", "t.yaml", "--out", "out", "--resume"]) == 3
    assert results_of(Path("out")) == first and len(engine.given) == 2
    assert start(["batch", "t.yaml", "--out", "out", "--retry-failed"]) == 0
    assert len(engine.given) == 3 and engine.given[2].run_id == first[0].run_id
    assert "2 jobs: 2 improved." in Path("out/summary.md").read_text()


def test_without_a_folder_the_newest_batch_of_the_file_goes_on(engine: FakeEngine, home: Path, shop: Path) -> None:
    Path("t.yaml").write_text("targets: [shop]\n")
    assert start(["batch", "t.yaml", "--resume"]) == 2
    assert start(["batch", "t.yaml"]) == 0
    assert start(["batch", "t.yaml", "--resume"]) == 0
    assert len(engine.given) == 1
    assert start(["batch", "t.yaml"]) == 0
    assert len(engine.given) == 2 and len(list((home / "batches").iterdir())) == 2


def test_variations_and_models_multiply(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    listed = "- path: a\n  variation: [api, database]\n  model: [openai/x, openai/y]\n- a\n- a\n"
    file.write_text(f"defaults: {{quick: true}}\ntargets:\n{listed}")
    jobs = read_jobs(file)
    assert [job.title for job in jobs] == [
        "a api openai/x", "a api openai/y", "a database openai/x", "a database openai/y", "a", "a",
    ]  # fmt: skip
    assert all(job.quick for job in jobs) and len({job.id for job in jobs}) == 6
    file.write_text("- {path: b}\n- {path: a, quick: true}\n")
    assert jobs[4].id in {job.id for job in read_jobs(file)}, "a job keeps its id when others are added"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("t.jsonl", '{"path": "a"}\n{"pth": "b"}\n', "t.jsonl, line 2, pth: no such key; did you mean 'path'?"),
        ("t.jsonl", "{", "t.jsonl, line 1: not valid JSON"),
        ("t.json", '[{"path": 1}]', "t.json, entry 1, path: input should be a valid string"),
        ("t.toml", "[[target]]\npath='a'\nquick='x'\n", "t.toml, target 1, quick: input should be a valid boolean"),
        ("t.toml", "[[target]", "t.toml: not valid TOML"),
        ("t.jsonl", "", "t.jsonl: expected at least one target, got none"),
        ("t.yaml", "targets:\n- path: a\n  quik: true\n", "t.yaml, line 3, quik: no such key; did you mean 'quick'?"),
        ("t.yaml", "- path: a\n  variation: [api, ap]\n", "t.yaml, line 2, variation: input should be"),
        ("t.yaml", "- path: a\n- quick: true\n", "t.yaml, line 2, path: field required"),
        ("t.yaml", "tragets: []\n", "t.yaml, line 1, tragets: no such key; did you mean 'targets'?"),
        ("t.yaml", "- path: a\n  b: [\n", "t.yaml, line 3: not valid YAML"),
        ("t.yaml", "- path: !!python/object:os.system x\n", "t.yaml, line 1: not valid YAML"),
        ("t.yaml", "targets: 3\n", "t.yaml, line 1: expected a list of targets"),
        ("t.yaml", "{? [1]: 2}\n", "t.yaml, line 1"),
        ("t.yaml", "", "t.yaml: expected at least one target, got none"),
    ],
)  # fmt: skip
def test_mistakes_in_a_batch_take_one_line(home: Path, name: str, text: str, expected: str, capsys: Said) -> None:
    Path(name).write_text(text)
    assert start(["batch", name]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"perfcrew: {expected}") and len(said.splitlines()) == 1
    assert not home.exists()


def test_a_missing_file_takes_one_line(home: Path, capsys: Said) -> None:
    assert start(["batch", "none.yaml"]) == 2
    assert capsys.readouterr().err == "perfcrew: none.yaml: can't be read: No such file or directory\n"


def result_of(job: Job, usd: float | None) -> JobResult:
    return JobResult(job=job.id, path=job.path, title=job.title, variation="full", model=None, exit_code=1,
                     reason="", run_id="r", usd=usd)  # fmt: skip


def test_no_job_gets_money_that_is_spent_or_promised(tmp_path: Path) -> None:
    jobs = [Job(id=str(number), path="a", replay="r" if number == 9 else None) for number in range(5)]
    queue = FolderQueue(tmp_path, usd=10.0, workers=2)
    queue.submit(jobs)
    one, two = queue.lease(), queue.lease()
    assert one and two and (one.usd, two.usd) == (5.0, 5.0)
    queue.report(result_of(one.job, 4.0))
    three = queue.lease()
    assert three and three.usd == 1.0
    queue.report(result_of(two.job, None))
    queue.report(result_of(three.job, 6.0))
    assert queue.lease() is None
    left = [result.reason for result in queue.results if result.exit_code == 3]
    assert left == ["not begun: the batch's $10.00 are spent or promised to jobs at work"] * 2


def test_one_process_at_a_time_and_a_torn_line_is_dropped(tmp_path: Path) -> None:
    job = Job(id="1", path="a")
    queue = FolderQueue(tmp_path)
    queue.submit([job])
    queue.report(JobBegun(job="1", run_id="r"))
    with pytest.raises(UserError, match="another batch is at work there"):
        FolderQueue(tmp_path)
    queue.close()
    with (tmp_path / "results.jsonl").open("a") as file:
        file.write('{"job": "1", "pa')
    again = FolderQueue(tmp_path)
    again.submit([job])
    lease = again.lease()
    assert lease is not None and lease.run_id == "r"
    again.report(result_of(job, 0.0))
    assert [result.job for result in results_of(tmp_path)] == ["1"]
    again.close()


async def test_waits_for_models_overlap_and_timed_work_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_overlap, "read_steps", lambda recording, reply_s: [(True, 30.0), (False, 15.0)] * 3)
    alone, _, all_at_once = await batch_overlap.measure(3, None)
    assert alone["wall_s"] >= 3 * 135 and all_at_once["wall_s"] < alone["wall_s"]
    # What holds the lease takes turns, so it bounds what can be saved.
    assert all_at_once["wall_s"] >= 3 * 45 + 30
    assert all_at_once["sequential_s"] >= 3 * 135


@pytest.mark.app
async def test_twenty_targets_killed_half_way_and_resumed(tmp_path: Path) -> None:
    """Recorded runs stand for sound targets; three more are broken, each in its own way."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "perfcrew.toml").write_text("[target]\nname = 3\n")
    (tmp_path / "torn.jsonl").write_text("{}\n")
    broken = [{"path": "empty"}, {"path": "bad"}, {"path": "empty", "replay": "torn.jsonl"}]
    sound = {"path": str(CASE / "app"), "config": str(CASE / "perfcrew.toml"), "recorded_tools": True}
    lines = [sound | {"name": f"n{number}", "replay": str(CASE / "recording.jsonl")} for number in range(17)]
    lines[2:2], lines[9:9], lines[16:16] = broken[:1], broken[1:2], broken[2:]
    (tmp_path / "t.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    argv = [sys.executable, "-P", "-m", "perfcrew", "batch", "t.jsonl", "--out", "out", "--jobs", "2"]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "PERFCREW_HOME": str(tmp_path / "home"), "HOME": "/x"}
    runs, out = tmp_path / "home" / "runs", tmp_path / "out"
    first = await process.start(argv, cwd=tmp_path, environment=environment, log=tmp_path / "log")
    deadline = time.monotonic() + 240
    while len(results_of(out)) < 10:
        assert first.alive and time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    await first.wait()
    before = results_of(out)
    begun = {JobBegun.model_validate_json(line) for line in (out / "begun.jsonl").read_text().splitlines()}
    journals = {path: path.read_bytes() for path in runs.glob("*/journal.jsonl")}
    assert 10 <= len(before) < 20 and begun
    again = await process.run([*argv, "--resume"], cwd=tmp_path, environment=environment, timeout=300)
    assert again.code == 3 or again.code == 2, again.err
    after = results_of(out)
    assert after[: len(before)] == before
    assert len(again.out.splitlines()) == 20 - len(before)
    assert max(Counter(result.job for result in after).values()) == 1 and len(after) == 20
    codes = Counter(result.exit_code for result in after)
    assert codes[0] == 17 and codes[2] + codes[3] == 3, [result for result in after if result.exit_code]
    assert all(path.read_bytes().startswith(whole_part(content)) for path, content in journals.items())
    assert {line.run_id for line in begun} <= {path.name for path in runs.iterdir()}
    # No run was begun a second time: each sound target has one.
    assert len([path for path in runs.iterdir() if (path / "report.json").exists()]) == 17
    assert "20 jobs: 17 improved" in (out / "summary.md").read_text()
