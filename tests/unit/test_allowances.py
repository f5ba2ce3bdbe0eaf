"""Where the limits of a run and its roles come from."""

from pathlib import Path

import pytest

from perfcrew.entry.drive import settings_of
from perfcrew.errors import UserError
from perfcrew.llm.choice import allow
from perfcrew.records.budget import Allowance, BudgetChoice
from perfcrew.settings import load_settings


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_environment_is_stronger_than_the_target_and_that_than_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFCREW_BUDGET_USD", "3")
    monkeypatch.setenv("PERFCREW_ROLE_BUDGETS", '{"coder": {"usd": 1}}')
    own = {"coder": Allowance(turns=9), "tester": Allowance(minutes=4)}
    allowed = allow(load_settings(), BudgetChoice(usd=5, turns=80, roles=own))
    assert (allowed.usd, allowed.turns, allowed.minutes) == (3, 80, 240)
    assert allowed.roles == {"coder": Allowance(usd=1), "tester": Allowance(minutes=4)}


def test_an_option_is_stronger_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFCREW_ROLE_BUDGETS", '{"coder": {"usd": 1}}')
    given = settings_of({"role_budgets": ("coder:usd=2,turns=60", "memory-sync:tokens=100000"), "budget_turns": 7})
    assert given.role_budgets == {"coder": Allowance(usd=2, turns=60), "memory-sync": Allowance(tokens=100_000)}
    assert allow(given, BudgetChoice(turns=80)).turns == 7
    assert settings_of({}).role_budgets == {"coder": Allowance(usd=1)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("coder", "--role-budget 'coder': expected ROLE:LIMIT=N, such as coder:usd=5,turns=60"),
        ("coder:usd", "expected ROLE:LIMIT=N"),
        ("codr:usd=1", "PERFCREW_ROLE_BUDGETS, codr: input should be 'performance', 'memory-sync'"),
        ("coder:usd=x", "should be a valid number"),
        ("coder:cents=1", "PERFCREW_ROLE_BUDGETS, coder, cents: no such key"),
    ],
)
def test_a_slip_is_one_line(text: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        settings_of({"role_budgets": (text,)})
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
