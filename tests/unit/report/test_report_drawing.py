"""Scales, ticks, stacks, diffs, figures: the laws that drawings rely on."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.report.diff import count_lines, read_diff
from perfcrew.report.figures import (
    show_bytes,
    show_change,
    show_figure,
    show_money,
    show_number,
    show_ratio,
    show_seconds,
)
from perfcrew.report.flame import drop_stem, place_frames, rank_functions, read_stacks
from perfcrew.report.plots import place_ratio, plot_distribution
from perfcrew.report.scales import Scale, choose_log_ticks, choose_ticks, linear_scale, log_scale, thin

positive = st.floats(1e-3, 1e6)


@given(st.lists(positive, min_size=1), positive)
def test_scales_stay_on_the_paper_and_keep_order(values: list[float], other: float) -> None:
    for scale in (linear_scale(values, 10, 90), log_scale(values, 10, 90)):
        places = [scale.place(value) for value in sorted([*values, other])]
        assert all(10 <= place <= 90 for place in places)
        assert places == sorted(places)


@given(st.floats(-1e6, 1e6), positive)
def test_ticks_cover_what_they_are_for(low: float, span: float) -> None:
    ticks = choose_ticks(low, low + span)
    step = (ticks[-1] - ticks[0]) / (len(ticks) - 1)
    assert ticks[0] <= low + step * 1e-6 and ticks[-1] >= low + span - step * 1e-6
    assert 2 <= len(ticks) <= 8
    assert ticks == sorted(ticks)


@given(positive, st.floats(1.5, 1e5))
def test_log_ticks_lie_within(low: float, factor: float) -> None:
    ticks = choose_log_ticks(low, low * factor)
    assert all(low <= tick <= low * factor for tick in ticks)
    assert len(ticks) <= 7


def test_a_range_without_width_is_in_the_middle() -> None:
    assert Scale(5, 5, 0, 100).place(5) == 50
    assert place_ratio(1.0, 0.5, 2.0) == 50


@given(st.lists(positive, min_size=1, max_size=900))
def test_thinning_keeps_both_ends(values: list[float]) -> None:
    kept = thin(values, 300)
    assert len(kept) <= 300 and kept == sorted(kept)
    assert (kept[0], kept[-1]) == (min(values), max(values))


def test_a_distribution_without_samples_of_one_arm() -> None:
    drawn = plot_distribution("d", "time <b>", {"base": [1.0, 2.0], "candidate": []}, "ms")
    assert 'class="line base"' in drawn and 'class="line candidate"' not in drawn
    assert "time &lt;b&gt;" in drawn


STACKS = Counter({("m", "a", "b"): 6, ("m", "a", "c"): 2, ("m", "d"): 2})


def test_stacks_are_read_by_function() -> None:
    text = (
        'process 12:"python serve";m (/srv/app/a.py:1);f (/srv/app/b/c.py:5) 4\n'
        "m (/srv/app/a.py:2);f (/srv/app/b/c.py:9) 6\n"
        "g (/usr/lib/python3/site-packages/orm/load.py:3);<genexpr> (/usr/lib/python3/json/x.py:1);native 2\n"
        "not a stack\nprocess 12:x 3\n"
    )
    assert read_stacks(text, "/srv/app") == Counter(
        {("m (a.py)", "f (b/c.py)"): 10, ("g (orm/load.py)", "<genexpr> (x.py)", "native"): 2}
    )


def test_the_icicle_shares_the_width() -> None:
    frames = {(frame.label, frame.depth): frame for frame in place_frames(STACKS)}
    assert frames["m", 0].width == 100
    assert (frames["a", 1].left, frames["a", 1].width) == (0, 80)
    assert (frames["d", 1].left, frames["d", 1].width) == (80, 20)
    assert (frames["c", 2].left, frames["c", 2].width) == (60, 20)


def test_narrow_frames_are_left_out_and_keep_their_place() -> None:
    frames = place_frames(Counter({("a",): 1, ("b",): 999}))
    assert [(frame.label, frame.left, frame.width) for frame in frames] == [("b", 0.1, 99.9)]


def test_the_common_stem_is_dropped() -> None:
    grown, stem = drop_stem(Counter({("x", "y", "z", "a"): 1, ("x", "y", "z", "b"): 2}))
    assert (stem, grown) == (2, Counter({("z", "a"): 1, ("z", "b"): 2}))
    assert drop_stem(Counter({("only", "one"): 3})) == (Counter({("one",): 3}), 1)
    assert drop_stem(Counter()) == (Counter(), 0)


def test_functions_by_their_own_share() -> None:
    hot = rank_functions(STACKS + Counter({("m", "a", "b", "a"): 10}))
    assert [(one.label, one.own, one.total) for one in hot[:2]] == [("a", 0.5, 0.9), ("b", 0.3, 0.8)]


DIFF = """diff --git a/q.sql b/q.sql
--- a/q.sql
+++ b/q.sql
@@ -1,3 +1,2 @@
 select 1
--- a comment that looks like a header
-++ old
+++ new
\\ No newline at end of file
diff --git a/x b/x
@@ -1 +1 @@ def f():
-a
+b
"""


def test_diffs_are_read_by_their_counts() -> None:
    assert count_lines(DIFF) == (2, 3)
    assert [line.kind for line in read_diff(DIFF)] == [
        "file", "file", "file", "hunk", "context", "removed", "removed", "added", "file", "file", "hunk", "removed",
        "added",
    ]  # fmt: skip
    assert read_diff("") == []


@given(st.lists(st.tuples(st.sampled_from(" +-"), st.text(st.characters(blacklist_characters="\n"), max_size=5))))
def test_every_line_of_a_hunk_is_counted(body: list[tuple[str, str]]) -> None:
    signs = Counter(sign for sign, _ in body)
    head = f"@@ -1,{signs[' '] + signs['-']} +1,{signs[' '] + signs['+']} @@"
    text = "\n".join(["diff --git a/x b/x", head, *(sign + rest for sign, rest in body)]) + "\n"
    assert count_lines(text) == (signs["+"], signs["-"])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0421, "0.0421"), (4.2, "4.20"), (118.4, "118"), (12400, "12,400"), (31.0, "31"), (math.inf, "∞"),
     (math.nan, "–"), (-2.5, "-2.50"), (0.999, "0.999")],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert show_number(value) == text


def test_figures_with_units() -> None:
    assert show_figure("http.p95_ms", 118.4) == "118 ms"
    assert show_figure("http.error_rate", 0.004) == "0.400 %"
    assert show_figure("http.bytes_per_response", 12_400) == "12.4 kB"
    assert show_figure("db.queries_per_request", 31.0) == "31"
    assert show_figure("http.rps", 42.0) == "42/s"
    assert show_figure("unknown.metric", 1.5) == "1.50"
    assert show_bytes(3.2e9) == "3.20 GB"
    assert [show_ratio(ratio) for ratio in (0.834, 6.2, 31, 210.4, math.inf)] == [
        "0.83×",
        "6.20×",
        "31.0×",
        "210×",
        "∞×",
    ]
    assert [show_change(*pair) for pair in ((100, 16), (100, 120), (0, 3), (100, 100.01))] == [
        "−84 %",
        "+20 %",
        "–",
        "0 %",
    ]
    assert [show_seconds(s) for s in (0.4213, 42.4, 59.6, 425, 3725)] == [
        "0.420 s", "42 s", "1 min 00 s", "7 min 05 s", "1 h 02 min",
    ]  # fmt: skip
    assert [show_money(usd) for usd in (None, 0, 0.0042, 12.5)] == ["price unknown", "$0.00", "$0.0042", "$12.50"]
