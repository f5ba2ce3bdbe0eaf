"""A visit's vitals from what the browser noted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.page_stats import blocking_time, collect_values, find_interactive, page_value, visit_values
from perfcrew.records.vitals import CORE, VITALS, rate

SPANS = st.lists(st.tuples(st.floats(0, 20_000), st.floats(0, 3_000)), max_size=12)


def visit(**more: object) -> dict[str, object]:
    vitals = {"FCP": {"value": 500.0}, "LCP": {"value": 900.0}, "TTFB": {"value": 40.0}}
    return {"vitals": vitals, "long_tasks": [], "requests": [], "loaded_until": 8000.0, "first_input": None, **more}


@pytest.mark.parametrize(
    ("tasks", "requests", "until", "expected"),
    [
        ([], [], 6000, 500),
        ([(600, 200), (1000, 49)], [], 6000, 800),
        ([(100, 200)], [], 6000, 500),  # over before the first paint
        ([(600, 200), (4000, 100), (9500, 300)], [], 9600, 4100),  # five quiet seconds lie between the last two
        ([(600, 200)], [], 5000, None),  # not watched for long enough
        ([], [(0, 3000), (100, 3000), (200, 2000)], 9000, 500),  # three at once are one too many …
        ([(1500, 60)], [(0, 3000), (100, 3000), (200, 2000)], 7100, 1560),  # … until 2000, so quiet ends at 7000
        ([(1500, 60)], [(0, 3000), (100, 3000), (200, 2000)], 6900, None),
    ],
)
def test_interactive_is_where_the_quiet_begins(
    tasks: list[tuple[float, float]], requests: list[tuple[float, float]], until: float, expected: float | None
) -> None:
    assert find_interactive(500, tasks, requests, until) == expected


def test_blocking_time_counts_what_lies_beyond_fifty_ms() -> None:
    assert blocking_time([(600, 50), (700, 80), (1000, 250)], 500, 5000) == 30 + 200
    assert blocking_time([(400, 200)], 500, 5000) == 50  # 100 ms of it after the first paint
    assert blocking_time([(4900, 200)], 500, 5000) == 50


@given(tasks=SPANS, requests=SPANS, fcp=st.floats(0, 5_000), until=st.floats(0, 40_000))
def test_interactive_is_never_before_the_paint_nor_after_the_watch(
    tasks: list[tuple[float, float]], requests: list[tuple[float, float]], fcp: float, until: float
) -> None:
    found = find_interactive(fcp, tasks, [(start, start + length) for start, length in requests], until)
    if found is not None:
        assert fcp <= found <= until
        assert not any(found < start < found + 4999 and length >= 50 for start, length in tasks if start > fcp)


@given(tasks=SPANS, more=st.tuples(st.floats(0, 20_000), st.floats(0, 3_000)))
def test_another_task_never_shortens_the_blocking_time(
    tasks: list[tuple[float, float]], more: tuple[float, float]
) -> None:
    assert blocking_time([*tasks, more], 100, 20_000) >= blocking_time(tasks, 100, 20_000) >= 0


def test_values_of_a_visit() -> None:
    values = visit_values(visit(long_tasks=[(600, 150), (9000, 400)], first_input={"delay": 3.0}, bytes=1000))
    assert values["page.tbt_ms"] == 100  # the second came after loading, in a step
    assert values["page.tti_ms"] == 750
    assert values["page.cls"] == 0 and values["page.fid_ms"] == 3.0 and values["page.bytes"] == 1000
    assert values["page.inp_ms"] is None


def test_what_no_visit_has_is_left_out_and_gaps_are_kept() -> None:
    some = visit(vitals={"FCP": {"value": 500.0}, "INP": {"value": 64.0}})
    values = collect_values([visit(), some])
    assert values["page.inp_ms"] == [None, 64.0]
    assert "page.fid_ms" not in values


def test_ratings_at_the_bounds() -> None:
    lcp = next(vital for vital in VITALS if vital.short == "LCP")
    assert [rate(lcp, value) for value in (2500, 2501, 4000, 4001)] == [
        "good", "needs improvement", "needs improvement", "poor",
    ]  # fmt: skip
    assert {vital.short for vital in CORE} == {"LCP", "CLS", "INP"}


def test_a_figure_is_computed_from_the_visits_that_have_it() -> None:
    visits = [visit(), visit(vitals={"FCP": {"value": 500.0}, "INP": {"value": 64.0}})]
    assert page_value({"visits": visits}, "page.inp_ms") == 64.0
    assert page_value({"visits": {"base": visits}}, "base/page.fcp_ms") == 500.0
