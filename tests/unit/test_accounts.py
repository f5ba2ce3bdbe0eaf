"""Usage in the report, computed again from the journal."""

from pathlib import Path
from typing import Any

import pytest

from perfcrew.errors import VerificationError
from perfcrew.llm.accounts import note_prices, place_of, verify_usage
from perfcrew.llm.base import Message, Reply, Request, Text, Usage
from perfcrew.llm.budget import Budget
from perfcrew.llm.journal import Journal
from perfcrew.llm.models import Catalogue
from perfcrew.records.models import ModelFacts
from perfcrew.records.report import Report, UsageTable

SONNET, LOCAL = "anthropic/claude-sonnet-5-5", "openai-chat/local"
CHEAP = Catalogue({LOCAL: ModelFacts(usd_input=1.0, usd_output=2.0)})


def test_a_lane_says_who_spoke_in_which_phase() -> None:
    assert place_of("1/implementation/coder/fix:a/0") == ("coder", "implementation")
    assert place_of("0/design/architect") == ("architect", "design")
    assert place_of("x") == ("", "")


async def run(folder: Path, catalogue: Catalogue) -> tuple[UsageTable, Path]:
    """A journal with three replies, and the usage that its run reported."""
    journal, budget = Journal(folder / "journal.jsonl"), Budget(price=catalogue.price)
    for lane, model in (("0/design/architect", SONNET), ("0/a/coder", SONNET), ("0/a/coder/s/0", LOCAL)):
        request = Request(model=model, system="", messages=(Message(role="user", blocks=(Text(text=lane),)),))
        usage = Usage(input_tokens=1000, output_tokens=100, cached_tokens=600, cache_write_tokens=100)

        async def ask(model: str = model, usage: Usage = usage) -> Reply:
            return Reply(model=model, blocks=(Text(text="ok"),), stop="end", usage=usage)

        budget.charge(await journal.reply(lane, 0, request, ask), *place_of(lane))
    note_prices(journal, budget.usage(), catalogue)
    journal.close()
    return budget.usage(), journal.path


def reporting(usage: UsageTable) -> Report:
    # Nothing else of a report is looked at.
    return Report.model_construct(None, **{"usage": usage})  # type: ignore[call-arg]


@pytest.mark.parametrize("catalogue", [Catalogue(), CHEAP])
async def test_what_a_run_reports_is_what_its_journal_gives(tmp_path: Path, catalogue: Catalogue) -> None:
    usage, journal = await run(tmp_path, catalogue)
    assert verify_usage(reporting(usage), journal) == 4 * 6
    assert len(usage.rows) == 3
    assert (usage.usd is None) is (catalogue is not CHEAP)
    assert usage.cached_share == 0.6


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"input_tokens": 2999}, "usage, input_tokens: the report says 2999, the journal gives 3000"),
        ({"cached_share": 0.7}, "usage, cached_share"),
        ({"usd": 0.0}, "usage, usd"),
        ({"rows": ()}, None),
    ],
)
async def test_an_altered_sum_is_found(tmp_path: Path, change: dict[str, Any], told: str | None) -> None:
    usage, journal = await run(tmp_path, CHEAP)
    altered = reporting(usage.model_copy(update=change))
    if told is None:
        assert verify_usage(altered, journal) == 6, "reports of earlier versions have the sum only"
        return
    with pytest.raises(VerificationError, match=told):
        verify_usage(altered, journal)


async def test_an_altered_row_is_found(tmp_path: Path) -> None:
    usage, journal = await run(tmp_path, CHEAP)
    first, *others = usage.rows
    for altered in (first.model_copy(update={"model_calls": 2}), first.model_copy(update={"role": "tester"})):
        with pytest.raises(VerificationError, match="usage"):
            verify_usage(reporting(usage.model_copy(update={"rows": (altered, *others)})), journal)


async def test_without_its_journal_usage_is_not_verified(tmp_path: Path) -> None:
    usage, journal = await run(tmp_path, CHEAP)
    journal.unlink()
    with pytest.raises(VerificationError, match=r"journal\.jsonl, from which it comes, is not there"):
        verify_usage(reporting(usage), journal)
    assert verify_usage(reporting(UsageTable(usd=0.0)), journal) == 0
