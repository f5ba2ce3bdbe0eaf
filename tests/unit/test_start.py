"""Starting up: the import guard in hostile places, what the help loads, and the exit codes of mistakes."""

import base64
import hashlib
import os
import shutil
import subprocess  # noqa: TID251
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from perfcrew.entry import cli
from perfcrew.entry.running import VARIATIONS
from perfcrew.errors import PerfcrewError, UserError

ROOT = Path(cli.__file__).parents[2]
SCRIPT = Path(sys.executable).parent / "perfcrew"
HEAVY = (
    "mcp",
    "opentelemetry",
    "starlette",
    "uvicorn",
    "anthropic",
    "openai",
    "langgraph",
    "locust",
    "gevent",
    "numpy",
    "scipy",
    "pydantic",
    "plotly",
    "sqlglot",
    "rich",
)
OWN = ("agents", "evals", "graphs", "prompts", "tools")
BOOM = "raise SystemExit('foreign code was imported')\n"


def call(*argv: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], "HOME": str(cwd), **environment}  # noqa: TID251
    return subprocess.run([str(word) for word in argv], cwd=cwd, env=given, capture_output=True, text=True, timeout=60)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    for name in (*OWN, "click"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(BOOM)
    return tmp_path


def test_a_target_that_owns_our_names_is_not_imported(hostile: Path) -> None:
    for path in (".", str(hostile), f"{hostile}:.", ""):
        done = call(SCRIPT, "init", "--help", cwd=hostile, PYTHONPATH=path)
        assert (done.returncode, done.stderr) == (0, "")
    done = call(SCRIPT, "init", "sub", cwd=hostile, PYTHONPATH=".")
    assert done.stderr.splitlines()[-1].startswith("perfcrew: sub: no such folder")


def test_the_module_starts_there_too(hostile: Path) -> None:
    done = call(sys.executable, "-m", "perfcrew", "--version", cwd=hostile, PYTHONPATH=".")
    assert (done.returncode, done.stdout) == (0, "perfcrew 0.1.0\n")


def install(site: Path) -> Path:
    """perfcrew as a wheel lays it down: the files and a RECORD of them."""
    lines = []
    for name in (*OWN, "perfcrew"):
        shutil.copytree(ROOT / name, site / name, ignore=shutil.ignore_patterns("__pycache__", "app", "inject"))
        for path in sorted((site / name).rglob("*.py")):
            content = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
            lines.append(f"{path.relative_to(site).as_posix()},sha256={content},{path.stat().st_size}")
    info = site / "perfcrew-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: perfcrew\nVersion: 0.1.0\n")
    (info / "RECORD").write_text("\n".join(lines) + "\n")
    return site


def start_installed(site: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from perfcrew.__main__ import main; sys.exit(main())"
    return call(sys.executable, "-P", "-c", code, *words, cwd=cwd)


def test_a_package_that_another_distribution_overwrote_is_refused(tmp_path: Path) -> None:
    site = install(tmp_path / "site-packages")
    assert start_installed(site, "--version", cwd=tmp_path).returncode == 0
    (site / "agents" / "__init__.py").write_text(BOOM)
    other = site / "other_agents-1.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other-agents\nVersion: 1\n")
    (other / "RECORD").write_text("agents/__init__.py,,\n")
    done = start_installed(site, "--version", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "'agents'" in done.stderr
    assert (
        "belongs to the distribution other-agents, not to perfcrew: install perfcrew in an environment of its own"
        in (done.stderr)
    )


def test_foreign_modules_beside_ours_are_refused(tmp_path: Path) -> None:
    site = install(tmp_path / "site-packages")
    (site / "tools" / "hammer.py").write_text("")
    done = start_installed(site, "--version", cwd=tmp_path)
    assert (done.returncode, "the package 'tools'" in done.stderr) == (2, True)


def test_a_package_elsewhere_on_the_path_is_refused(tmp_path: Path, hostile: Path) -> None:
    start = "from perfcrew.__main__ import main; sys.exit(main())"
    code = f"import sys; sys.path.insert(0, {str(hostile / 'lib')!r}); {start}"
    (hostile / "lib" / "graphs").mkdir(parents=True)
    (hostile / "lib" / "graphs" / "__init__.py").write_text("")
    done = call(sys.executable, "-P", "-c", code, "--version", cwd=tmp_path)
    assert (done.returncode, "the package 'graphs'" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["run", "--help"],
        ["measure", "--help"],
        ["compare", "-h"],
        ["doctor", "-h"],
        ["mcp", "-h"],
        ["--version"],
    ],
)
def test_the_help_loads_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    code = (
        f"import sys; sys.argv[1:] = {words!r}\nfrom perfcrew.__main__ import main\ncode = main()\n"
        f"print('LOADED', *sorted(set(sys.modules) & set({HEAVY!r})))\nsys.exit(code)"
    )
    done = call(sys.executable, "-c", code, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "LOADED"


def test_every_command_shows_an_example_on_one_screen() -> None:
    for name, command in cli.cli.commands.items():
        done = CliRunner().invoke(cli.cli, [name, "--help"], terminal_width=80)
        assert done.exit_code == 0
        assert "Example" in done.output
        assert f"perfcrew {name}" in done.output
        assert len(done.output.splitlines()) <= 24
        assert max(map(len, done.output.splitlines())) <= 80
        assert command.help


def test_variations_are_the_recipes() -> None:
    from perfcrew.entry import commands

    assert tuple(VARIATIONS.choices) == commands.VARIATIONS


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("x.toml: wrong"), 2, "perfcrew: x.toml: wrong\n"),
        (PerfcrewError("the service is down"), 3, "perfcrew: the service is down\nperfcrew: go on with: this\n"),
        (KeyboardInterrupt(), 3, "\nperfcrew: stopped\n"),
    ],
)
def test_errors_take_a_line_and_a_code(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if code == 3:
        error.add_note("go on with: this")

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli.cli.commands["runs"], "callback", fail)
    assert cli.start(["runs"]) == code
    assert capsys.readouterr().err.lstrip("\n") == said.lstrip("\n")


def test_a_bug_leaves_a_traceback_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(**_: object) -> None:
        raise ZeroDivisionError("by nought\nmore")

    monkeypatch.setattr(cli.cli.commands["runs"], "callback", fail)
    assert cli.start(["runs"]) == 3
    said = capsys.readouterr().err
    assert said.startswith("perfcrew: unexpected ZeroDivisionError: by nought (traceback: ")
    file = Path(said.rstrip().rpartition(" ")[2].rstrip(")"))
    assert "in fail" in file.read_text()
    shutil.rmtree(file.parent)


@pytest.mark.parametrize("words", [["nope"], ["run", "--nope"], ["run", "--variation", "x"], ["eval"]])
def test_wrong_usage_is_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.start(words) == 2
    assert "Traceback" not in capsys.readouterr().err
