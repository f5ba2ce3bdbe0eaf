"""Budgets, prices and their limits."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.llm.base import Reply, Usage
from perfcrew.llm.budget import Budget
from perfcrew.llm.models import MODELS, find, price
from perfcrew.records.budget import Allowance
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
        prices = (model.usd_cached, model.usd_input, model.usd_cache_write, model.usd_output)
        cached, fresh, written, output = (price or 0.0 for price in prices)
        assert 0 < cached < fresh <= written < output
        assert model.max_output < (model.context or 0)


def test_usage_by_role_phase_and_model() -> None:
    budget = Budget()
    budget.charge(reply(input_tokens=10, output_tokens=2, cached_tokens=4), "coder", "implementation")
    budget.charge(reply(input_tokens=20, output_tokens=3), "coder", "implementation")
    budget.charge(reply("openai-chat/llama3", input_tokens=7), "tester", "validation")
    usage = budget.usage()
    places = [(row.role, row.phase, row.model) for row in usage.rows]
    assert places == [("coder", "implementation", SONNET), ("tester", "validation", "openai-chat/llama3")]
    coder, tester = usage.rows
    assert coder.cached_share == pytest.approx(4 / 30)
    assert usage.cached_share == pytest.approx(4 / 37)
    assert usage.unpriced == ("openai-chat/llama3",)
    assert (coder.input_tokens, coder.output_tokens, coder.cached_tokens, coder.model_calls) == (30, 5, 4, 2)
    assert coder.usd == pytest.approx((26 * 2 + 4 * 0.1 + 5 * 10) / 1e6)
    assert tester.usd is None
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


def test_charging_from_many_threads_loses_nothing() -> None:
    def slow_price(model: str, usage: Usage) -> float:
        time.sleep(0.0001)
        return 0.0

    budget = Budget(price=slow_price)

    def charge() -> None:
        for _ in range(20):
            budget.charge(reply(input_tokens=1))

    threads = [threading.Thread(target=charge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.total().input_tokens == 80


_replies = st.lists(
    st.tuples(
        st.sampled_from(["coder", "tester"]),
        st.builds(
            reply,
            model=st.sampled_from([SONNET, "openai-chat/llama3"]),
            input_tokens=st.integers(0, 50_000),
            output_tokens=st.integers(0, 5_000),
        ),
    ),
    max_size=40,
)
_limits = st.builds(
    Allowance,
    turns=st.none() | st.integers(1, 20),
    tokens=st.none() | st.integers(1, 200_000),
    usd=st.none() | st.floats(0.001, 1.0),
)


def _budget(run: Allowance, coder: Allowance) -> Budget:
    return Budget(turns=run.turns, tokens=run.tokens, usd=run.usd, roles={"coder": coder}, clock=lambda: 0.0)


def _used(budget: Budget, role: str = "") -> dict[str, float]:
    rows = [row for row in budget.usage().rows if role in ("", row.role)]
    return {
        "turns": sum(row.model_calls for row in rows),
        "tokens": sum(row.input_tokens + row.output_tokens for row in rows),
        "usd": sum(row.usd or 0.0 for row in rows),
    }


@given(run=_limits, coder=_limits, replies=_replies)
def test_who_asks_before_each_turn_exceeds_no_limit_by_more_than_that_turn(
    run: Allowance, coder: Allowance, replies: list[tuple[str, Reply]]
) -> None:
    budget = _budget(run, coder)
    for role, item in replies:
        if budget.exceeded(role):
            continue
        before = {"": _used(budget), role: _used(budget, role)}
        budget.charge(item, role)
        for whose, limits in (("", run), *([(role, coder)] if role == "coder" else [])):
            for name in ("turns", "tokens", "usd"):
                limit = getattr(limits, name)
                assert limit is None or before[whose][name] < limit


@given(run=_limits, coder=_limits, replies=_replies, cut=st.integers(0, 40))
def test_a_resumed_budget_has_the_balance_of_an_undisturbed_one(
    run: Allowance, coder: Allowance, replies: list[tuple[str, Reply]], cut: int
) -> None:
    whole, resumed = _budget(run, coder), _budget(run, coder)
    for role, item in replies:
        whole.charge(item, role, "p")
    for part in (replies[:cut], replies[cut:]):
        for role, item in part:
            resumed.charge(item, role, "p")
    assert resumed.usage() == whole.usage()
    for role in ("", "coder", "tester"):
        assert resumed.share(role) == whole.share(role)
        assert resumed.exceeded(role) == whole.exceeded(role)


@given(run=_limits, coder=_limits, replies=_replies)
def test_parts_sum_to_the_whole_and_words_agree_with_shares(
    run: Allowance, coder: Allowance, replies: list[tuple[str, Reply]]
) -> None:
    budget = _budget(run, coder)
    for role, item in replies:
        budget.charge(item, role)
    usage = budget.usage()
    assert usage.input_tokens == sum(row.input_tokens for row in usage.rows)
    assert usage.model_calls == len(replies)
    assert (usage.usd is None) is any(item.model != SONNET for _, item in replies)
    for role in ("", "coder", "tester"):
        share = budget.share(role)
        assert (budget.exceeded(role) is not None) is (share >= 1)
        assert (budget.nearly(role) is not None) is (share >= 0.8)
        assert share >= budget.share()
    assert not (budget.overdrawn() and not budget.exceeded())


def test_a_roles_budget_is_told_as_its_own_and_binds_nobody_else() -> None:
    budget = Budget(turns=100, roles={"coder": Allowance(turns=4)})
    for _ in range(4):
        budget.charge(reply(), "coder")
    assert budget.exceeded("coder") == "4 of 4 turns used by coder"
    assert budget.exceeded("tester") is None
    assert budget.exceeded() is None


def test_a_roles_time_is_what_it_spent() -> None:
    budget = Budget(roles={"tester": Allowance(minutes=1.5)}, clock=lambda: 0.0)
    budget.spend(80, "tester")
    assert budget.nearly("tester") == "1.33 of 1.5 minutes used by tester"
    budget.spend(10, "tester")
    assert budget.exceeded("tester") == "1.5 of 1.5 minutes used by tester"
