"""The applications that other tests run on pass their own tests, and their descriptions are without mistakes."""

import json
import sys
from pathlib import Path

import pytest

from perfcrew.errors import UserError
from tools.process import run
from tools.target import load_target

APPS = Path(__file__).parents[1] / "apps"


@pytest.mark.app
@pytest.mark.parametrize(("name", "least"), [("library", 20), ("healthy", 4), ("page", 5)])
async def test_own_tests_pass(name: str, least: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "ignore", f"--basetemp={tmp_path / 'base'}"]
    finished = await run(command, cwd=APPS / name, environment={"PYTHONDONTWRITEBYTECODE": "1"}, timeout=120)
    assert finished.code == 0, finished.out + finished.err
    passed = int(finished.out.strip().splitlines()[-1].split(" passed")[0].split()[-1])
    assert passed >= least


@pytest.mark.app
async def test_the_tills_own_tests_pass() -> None:
    command = [sys.executable, "-m", "unittest", "discover", "-s", "tests"]
    finished = await run(command, cwd=APPS / "till", environment={"PYTHONDONTWRITEBYTECODE": "1"}, timeout=60)
    assert finished.code == 0, finished.out + finished.err
    assert int(finished.err.split("Ran ")[1].split()[0]) >= 5


@pytest.mark.app
async def test_the_clinics_own_tests_pass(tmp_path: Path) -> None:
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "DATABASE_URL": f"sqlite:///{tmp_path / 'clinic.db'}"}
    command = [sys.executable, "-W", "error::DeprecationWarning", "manage.py", "test", "--noinput"]
    finished = await run(command, cwd=APPS / "clinic", environment=environment, timeout=120)
    assert finished.code == 0, finished.out + finished.err
    assert int(finished.err.split("Ran ")[1].split()[0]) >= 15


@pytest.mark.parametrize("name", ["library", "healthy", "clinic", "orders", "page", "till"])
def test_description_is_without_mistakes(name: str) -> None:
    target, path = load_target(APPS / name, None)
    assert target.target.name == name
    assert path == APPS / name / "perfcrew.toml"
    assert all(workload.held_out is not None for workload in target.workload if workload.kind != "page")


def test_the_shops_lock_names_no_registry() -> None:
    """Whoever installs it takes packages from where they always do, and checks them against the lock."""
    lock = json.loads((APPS / "orders" / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert len(packages) > 50
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if "integrity" not in package] == []


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        ("clinic", 'engine = "sqlite"', 'engine = "sqlit"', "database, engine: expected 'sqlite'"),
        ("clinic", "/api/patients/{patient}", "/api/patients/{pacient}", "did you mean {patient}?"),
        ("orders", "node src/server.js", "PORT=3000 node src/server.js", "set it in [target.environment]"),
        ("orders", "node scripts/seed.js", "npm i && node scripts/seed.js", "there is no shell"),
        ("orders", 'DATABASE_URL = "{database_url}"', 'DATABASE_URL = "{databse_url}"', "did you mean {database_url}?"),
    ],
)
def test_a_mistake_is_one_line(name: str, old: str, new: str, line: str, tmp_path: Path) -> None:
    text = (APPS / name / "perfcrew.toml").read_text()
    assert old in text
    (tmp_path / "perfcrew.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(UserError) as raised:
        load_target(APPS / name, tmp_path / "perfcrew.toml")
    (told,) = str(raised.value).splitlines()
    assert told.startswith(f"{tmp_path / 'perfcrew.toml'}: ")
    assert line in told
