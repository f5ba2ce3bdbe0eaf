"""`measure` and `compare` on a page with planted problems and its healthy twin, in a real browser."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from perfcrew.entry.cli import start
from perfcrew.records.survey import Comparison, Survey
from tests.unit.target_repo import VARIABLES
from tools import process
from tools.browser import NAMES

APP = Path(__file__).parents[1] / "apps" / "page"
PLANTED = {
    "slow_paint@shop", "layout_shift@shop", "slow_interaction@shop", "blocked_rendering@shop", "heavy_image@shop",
    "bundle_size@shop", "round_trips@shop",
}  # fmt: skip
pytestmark = [
    pytest.mark.app,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
needs_chromium = pytest.mark.skipif(not any(map(shutil.which, NAMES)), reason="no Chromium on this machine")
Said = pytest.CaptureFixture[str]


@pytest.fixture
async def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERFCREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "page"
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    for line in ("init --quiet --initial-branch=main", "add --all", "commit --quiet -m Slow"):
        await git(folder, *line.split())
    return folder


async def git(repo: Path, *words: str) -> None:
    done = await process.run(["git", *words], cwd=repo, environment=VARIABLES, timeout=60)
    assert done.ok, done.err


@needs_chromium
def test_planted_problems_are_found_and_the_twin_has_none(repo: Path, tmp_path: Path, capsys: Said) -> None:
    words = ["--only", "vitals", "--only", "page", "--quick", "--json", str(tmp_path / "out.json")]
    assert start(["measure", str(repo), *words]) == 0
    survey = Survey.model_validate(json.loads((tmp_path / "out.json").read_text()))
    found = {finding.id: finding for finding in survey.findings}
    assert found.keys() >= PLANTED
    assert not [name for name in found if name.endswith("@twin")]
    medians = {item.id: item for item in survey.metrics}
    assert medians["lcp@shop/base"].value > 4000 and medians["lcp@twin/base"].value < 2500
    assert all(medians[f"{name}@{page}/base"].count >= 5 for name in ("lcp", "cls", "inp") for page in ("shop", "twin"))
    html = (next((tmp_path / "home" / "runs").iterdir()) / "measure.html").read_text()
    assert "Web vitals" in html and "div#hero&gt;img" in html
    capsys.readouterr()
    assert start(["verify", "last"]) == 0
    assert "all agree" in capsys.readouterr().out


async def call(repo: Path, tmp_path: Path, *words: str, **more: str) -> process.Finished:
    variables = {**VARIABLES, "PERFCREW_HOME": str(tmp_path / "home"), **more}
    argv = [sys.executable, "-m", "perfcrew", *words]
    return await process.run(argv, cwd=repo, environment=variables, timeout=300)


async def mend(repo: Path) -> None:
    """Commit a version whose shop is the twin, seen as a desktop sees it, which takes less time."""
    server = repo / "storefront" / "server.py"
    server.write_text(server.read_text().replace("shop().encode()", "twin().encode()"))
    await git(repo, "commit", "--quiet", "--all", "-m", "Fast")


@needs_chromium
async def test_comparing_finds_the_mended_page_better(repo: Path, tmp_path: Path) -> None:
    config = repo / "perfcrew.toml"
    config.write_text(config.read_text().replace('path = "/shop"', 'path = "/shop"\nthrottling = "desktop"'))
    await git(repo, "commit", "--quiet", "--all", "-m", "Desktop")
    await mend(repo)
    files = ["--markdown", str(tmp_path / "out.md"), "--json", str(tmp_path / "out.json")]
    words = ["--workload", "shop", "--quick", *files]
    done = await call(repo, tmp_path, "compare", "HEAD~1", "HEAD", str(repo), *words)
    assert done.code == 0, done.err
    comparison = Comparison.model_validate(json.loads((tmp_path / "out.json").read_text()))
    (bout,) = comparison.bouts
    effects = {effect.metric: effect for effect in bout.effects}
    assert comparison.outcome == "improved"
    assert {effects[name].outcome for name in ("page.lcp_ms", "page.cls", "page.bytes")} == {"improved"}
    text = (tmp_path / "out.md").read_text()
    assert text.startswith("### 🟢 Performance: improved") and "largest contentful paint (LCP)" in text
    checked = await call(repo, tmp_path, "verify", comparison.run_id)
    assert checked.ok, checked.err


async def test_without_a_browser_pages_are_noted_and_the_rest_goes_on(repo: Path, tmp_path: Path) -> None:
    missing = {"PERFCREW_CHROMIUM": "/nonexistent/chromium"}
    words = ["--workload", "prices", "--workload", "shop", "--quick", "--within", "10", "--json", "-"]
    (repo / "storefront" / "pages.py").open("a").write("\n# another version\n")
    done = await call(repo, tmp_path, "compare", "HEAD", str(repo), "--worktree", *words, **missing)
    made = json.loads(done.out)
    assert [bout["workload"] for bout in made["bouts"]] == ["prices"], done.err
    (note,) = [note for note in made["notes"] if note.startswith("not compared: shop: ")]
    assert "PERFCREW_CHROMIUM" in note and "\n" not in note
    only = await call(repo, tmp_path, "compare", "HEAD", str(repo), "--worktree", "--workload", "shop", **missing)
    assert only.code == 3 and "PERFCREW_CHROMIUM" in only.err.splitlines()[0]
