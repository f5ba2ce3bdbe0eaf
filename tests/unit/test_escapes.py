"""Nothing escapes: every attempt of the benchmark, each refused by the gate that should."""

import pytest

from evals.bench.escape_attempts import ATTEMPTS
from evals.bench.escape_kinds import Attempt
from evals.bench.escapes import attempt, choose, render
from tools.sandbox import available


@pytest.mark.parametrize("one", ATTEMPTS, ids=lambda one: one.name)
async def test_no_attempt_comes_through(one: Attempt) -> None:
    if one.confined and not available():
        pytest.skip("bubblewrap does not work on this machine, and no program is let loose without it")
    outcome = await attempt(one)
    assert not outcome.escaped, outcome
    assert f"{one.gate}: " in outcome.refused_by, outcome


def test_without_a_sandbox_no_program_is_let_loose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.bench.escapes.available", lambda: False)
    assert choose(quick=False) and not any(one.confined for one in choose(quick=False))


async def test_the_table_names_the_gate() -> None:
    one = next(one for one in ATTEMPTS if one.name == "write_file a git hook")
    line = render([(one, await attempt(one))]).splitlines()[1]
    assert line.split("  ")[0] == one.name
    assert "refused  yes    path rules: .git/hooks/post-commit: .git is out of bounds" in line
