"""Budgets, prices and their limits."""

import threading
import time
from typing import Any

import pytest

from perfcrew.llm.base import Reply, Usage
from perfcrew.llm.budget import Budget
from perfcrew.llm.models import MODELS, find, price
from perfcrew.records.report import UsageRow

SONNET = "anthropic/claude-sonnet-5-5"


def reply(model: str = SONNET, **usage: int) -> Reply:
    return Reply(model=model, blocks=(), stop="end", usage=Usage(**usage))


def test_price_tells_cached_from_fresh_tokens() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=100_000, cached_tokens=600_000, cache_write_tokens=300_000)
    # 100,000 fresh at 2, 600,000 read at 0.10, 300,000 written at 2.50, 100,000 out at 10.
    assert price(SONNET, usage) == pytest.approx(0.2 + 0.06 + 0.75 + 1.0)


def test_long_requests_cost_more_from_the_first_token() -> None:
    short, long = (Usage(input_tokens=tokens, output_tokens=1_000_000) for tokens in (272_000, 272_001))
    assert price("openai/gpt-6.2-sol", short) == pytest.approx(0.544 + 10)
    assert price("openai/gpt-6.2-sol", long) == pytest.approx(0.544002 * 2 + 15)
    haiku = MODELS["claude-haiku-5-5"]
    assert haiku.usd(Usage(input_tokens=100_001)) == pytest.approx(0.0500005)


def test_cached_counts_beyond_the_input_never_pay_back() -> None:
    assert price(SONNET, Usage(input_tokens=0, cached_tokens=1_000_000)) == pytest.approx(0.10)


@pytest.mark.parametrize("model", ["openai-chat/llama3", "claude-sonnet-5-5", "openai/claude-sonnet-5-5", "", "x/y/z"])
def test_strangers_have_no_price(model: str) -> None:
    assert find(model) is None
    assert price(model, Usage(input_tokens=1)) is None


def test_both_openai_wires_share_their_prices() -> None:
    assert find("openai/gpt-6-luna") == find("openai-chat/gpt-6-luna") == MODELS["gpt-6-luna"]


def test_the_table_is_sane() -> None:
    for name, model in MODELS.items():
        assert name == model.name
        assert model.usd_cached < model.usd_input <= model.usd_cache_write < model.usd_output
        assert model.max_output < model.context


def test_usage_by_role_and_model() -> None:
    budget = Budget()
    budget.charge(reply(input_tokens=10, output_tokens=2, cached_tokens=4), "coder")
    budget.charge(reply(input_tokens=20, output_tokens=3), "coder")
    budget.charge(reply("openai-chat/llama3", input_tokens=7), "tester")
    rows = budget.usage()
    assert set(rows) == {("coder", SONNET), ("tester", "openai-chat/llama3")}
    coder = rows["coder", SONNET]
    assert (coder.input_tokens, coder.output_tokens, coder.cached_tokens, coder.model_calls) == (30, 5, 4, 2)
    assert coder.usd == pytest.approx((26 * 2 + 4 * 0.1 + 5 * 10) / 1e6)
    assert rows["tester", "openai-chat/llama3"].usd is None
    total = budget.total()
    assert (total.input_tokens, total.model_calls, total.usd) == (37, 3, None)


def test_nothing_used_costs_nothing() -> None:
    assert Budget().total() == UsageRow(usd=0)
    assert Budget(turns=1).exceeded() is None
    assert Budget().share() == 0.0


@pytest.mark.parametrize(
    ("budget", "needed", "words"),
    [
        (Budget(turns=3), 3, "3 of 3 turns used"),
        (Budget(tokens=220), 2, "220 of 220 tokens used"),
        (Budget(usd=0.0006), 2, "USD used"),
    ],
)
def test_each_limit_is_reached(budget: Budget, needed: int, words: str) -> None:
    for _ in range(needed):
        assert budget.exceeded() is None
        budget.charge(reply(input_tokens=100, output_tokens=10))
    assert words in (budget.exceeded() or "")
    assert budget.share() >= 1.0


def test_time_counts_and_goes_on_after_a_resume() -> None:
    now = [1000.0]
    budget = Budget(minutes=2, clock=lambda: now[0])
    budget.go_on_from(30)
    now[0] += 60
    assert budget.exceeded() is None
    assert budget.share() == pytest.approx(0.75)
    now[0] += 30
    assert budget.exceeded() == "2 of 2 minutes used"
    assert budget.overdrawn() is None
    now[0] += 60
    assert budget.overdrawn() == "3 of 2 minutes used"


def test_models_without_a_price_count_no_money_but_their_tokens() -> None:
    budget = Budget(usd=0.01, tokens=50)
    budget.charge(reply("openai-chat/llama3", input_tokens=60))
    assert budget.exceeded() == "60 of 50 tokens used"


def test_charging_from_many_threads_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_row(**fields: Any) -> UsageRow:
        time.sleep(0.0001)
        return UsageRow(**fields)

    monkeypatch.setattr("perfcrew.llm.budget.UsageRow", slow_row)
    budget = Budget()

    def charge() -> None:
        for _ in range(20):
            budget.charge(reply(input_tokens=1))

    threads = [threading.Thread(target=charge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.total().input_tokens == 80
