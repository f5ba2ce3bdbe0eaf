"""Commands as workloads: timed from inside the sandbox, by lines that the command can't print."""

from pathlib import Path
from types import SimpleNamespace

from target_repo import PYTHON, make_workspace

from tools.launch import Place
from tools.loaders import CommandLoader

SLOW = (
    "import sys, time; sys.stderr.write('said\\n'); time.sleep(0.1); sum(range(3_000_000)); raise SystemExit({code})\n"
)
FORGED = "import sys; sys.stderr.write('key\\n0m0s 0m0s\\n0m9s 0m9s\\nkey 1.0 900.0\\n')\n"


async def _round(folder: Path, script: str):  # type: ignore[no-untyped-def]
    workspace = await make_workspace(folder, {"work.py": script}, {})
    place = Place(env=workspace.home, workdir=folder / "user", scratch=workspace.folder / "scratch")
    return await CommandLoader(workspace, f"{PYTHON} work.py").round(SimpleNamespace(url="", place=place), 0.01, 0)


async def test_wall_and_cpu_time(tmp_path: Path) -> None:
    found = await _round(tmp_path, SLOW.format(code=0))
    ((_, ms, *_, passed, _),) = found.requests[:1]
    assert passed and ms > 100
    assert 0.01 < found.command_cpu_s < found.seconds * 2


async def test_a_failure_is_told_by_its_last_words(tmp_path: Path) -> None:
    found = await _round(tmp_path, SLOW.format(code=3))
    assert set(found.failures) == {"exit 3: said"}


async def test_what_looks_like_the_stopwatch_is_passed_over(tmp_path: Path) -> None:
    found = await _round(tmp_path, FORGED)
    assert all(row[1] < 60_000 and row[5] for row in found.requests)
    assert found.command_cpu_s < 9
