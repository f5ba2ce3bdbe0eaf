"""The code of findings: from the commit that was measured, without secrets, kept when the repository is gone."""

import shutil
from pathlib import Path

from fake_engine import FakeEngine
from report_material import N_PLUS_ONE, finish_run

from graphs.engine import RunOptions
from graphs.runs import read_manifest, write_manifest
from perfcrew.artifacts import Artifacts
from perfcrew.entry.excerpts import find_excerpts
from perfcrew.report.build import build_report
from perfcrew.settings import load_settings
from tests.unit.target_repo import make_repo

KEY = "sk-3f9d2c77aa10e4b8c6"


async def test_code_is_of_the_measured_commit_and_outlives_the_repository(
    engine: FakeEngine, home: Path, shop: Path
) -> None:
    lines = [f"line_{number} = {number}" for number in range(1, 30)]
    lines[11] = f'KEY = "{KEY}"'
    (shop / ".env").write_text(f"API_KEY={KEY}\n")
    (shop / ".gitignore").write_text(".env\n")
    head = await make_repo(shop, {"app/dashboard.py": "\n".join(lines)})
    (shop / "app" / "dashboard.py").write_text("changed since\n")
    folder = engine.begin(RunOptions(repo=shop), load_settings(home=home))
    write_manifest(folder, read_manifest(folder).model_copy(update={"base": head}))
    report = build_report(finish_run(Artifacts(folder / "artifacts")))
    found = find_excerpts(folder, report)
    excerpt = found[N_PLUS_ONE]
    assert (excerpt.path, excerpt.first, excerpt.marked) == ("app/dashboard.py", 5, 11)
    assert excerpt.lines[0] == "line_5 = 5" and excerpt.lines[6] == "line_11 = 11"
    assert KEY not in str(found) and excerpt.lines[7].startswith('KEY = "')
    # Findings whose file the commit has not, or that name none, are left out.
    assert set(found) == {N_PLUS_ONE}
    shutil.rmtree(shop)
    assert find_excerpts(folder, report) == found


async def test_without_a_description_nothing_is_shown(engine: FakeEngine, home: Path, shop: Path) -> None:
    head = await make_repo(shop, {"app/dashboard.py": "x = 1\n" * 20})
    folder = engine.begin(RunOptions(repo=shop), load_settings(home=home))
    write_manifest(folder, read_manifest(folder).model_copy(update={"base": head}))
    (shop / "perfcrew.toml").unlink()
    assert find_excerpts(folder, build_report(finish_run(Artifacts(folder / "artifacts")))) == {}
