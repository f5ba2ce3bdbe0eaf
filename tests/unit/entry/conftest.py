"""Fixtures for the ways in: a home of their own, a described application, an engine that finishes at once."""

import sys
from pathlib import Path

import pytest
from fake_engine import FakeEngine

from perfcrew.entry import batches, desk, recipes

# What a survey is made of, and the recipe's example, are shared with the tests of its renderings.
sys.path += [str(Path(__file__).parents[1] / "report"), str(Path(__file__).parents[1])]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERFCREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def engine(home: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(recipes, "run", fake.run)
    monkeypatch.setattr(batches, "run", fake.run)
    monkeypatch.setattr(batches, "prepare", fake.prepare)
    monkeypatch.setattr(desk, "run", fake.run)
    return fake


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "perfcrew.toml").write_text(
        "[target]\nname='shop'\nstart='serve {port}'\n[[workload]]\nname='w'\n[[workload.request]]\npath='/'\n"
    )
    return folder
