"""Flame graphs: widths are shares, text from the target stays text, and everything can be reached and read."""

import xml.etree.ElementTree as ElementTree
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perfcrew.report.flame_svg import WIDTH, flame_pair, flame_svg

STACKS = Counter({("m", "a", "b"): 60, ("m", "a", "c"): 20, ("m", "d"): 20})


def frames(svg: str) -> list[tuple[str, float, float, bool]]:
    """Title, left and width in per cent of the drawing, and whether the keyboard reaches it."""
    found = []
    for group in ElementTree.fromstring(svg).findall("g"):
        title, box = group.find("title"), group.find("rect")
        assert title is not None and box is not None and title.text
        left, width = (100 * float(box.attrib[key]) / WIDTH for key in ("x", "width"))
        found.append((title.text, left, width, group.get("tabindex") == "0"))
    return found


def test_widths_are_shares() -> None:
    drawn = {
        title.partition(":")[0]: (left, width)
        for title, left, width, _ in frames(flame_svg(STACKS, name="f", title="CPU"))
    }
    assert drawn["m"] == pytest.approx((0, 100))
    assert drawn["a"] == pytest.approx((0, 80))
    assert drawn["c"] == pytest.approx((60, 20))
    assert drawn["d"] == pytest.approx((80, 20))


def test_it_stands_alone_and_says_what_it_is() -> None:
    svg = flame_svg(STACKS, name="f", title="CPU of <shop>")
    root = ElementTree.fromstring(svg)
    assert root.findtext("title") == "CPU of <shop>"
    assert "100 samples" in str(root.findtext("desc"))
    ids = {element.get("id") for element in root.iter()}
    assert set(root.attrib["aria-labelledby"].split()) <= ids
    assert "<script" not in svg and "href" not in svg and "url(" not in svg


def test_text_of_the_target_stays_text() -> None:
    nasty = '</title><script>alert("x")</script>\x1b[0m'
    ElementTree.fromstring(svg := flame_svg({(nasty,): 3}, name="f", title=nasty))
    assert "<script" not in svg


def test_frames_wide_enough_for_a_word_are_reached_with_the_keyboard() -> None:
    svg = flame_svg({("m", "wide"): 99, ("m", "narrow"): 1}, name="f", title="t")
    assert {title.partition(":")[0]: reached for title, _, _, reached in frames(svg)} == {
        "m": True, "wide": True, "narrow": False,
    }  # fmt: skip


def test_of_a_pair_the_cheaper_version_is_narrower_and_both_tell_of_the_other() -> None:
    after = Counter({("m", "a", "b"): 10, ("m", "d"): 90})
    first, second = flame_pair(STACKS, after, name="cpu", title="CPU", cost=(40.0, 10.0))
    assert max(width for _, _, width, _ in frames(first)) == pytest.approx(100)
    assert max(width for _, _, width, _ in frames(second)) == pytest.approx(25)
    told = {title.partition(":")[0]: title for title, *_ in frames(first)}
    assert "in the other version 10 %" in told["b"] and "in the other version 0 %" in told["c"]
    assert 'id="cpu-before-title"' in first and 'id="cpu-after-title"' in second


def test_nothing_sampled_draws_nothing() -> None:
    assert flame_svg({}, name="f", title="t") == ""


@example({("\ufffe", "a\x00"): 1}, 1.0)
@given(
    st.dictionaries(
        st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=6).map(tuple), st.integers(1, 500), min_size=1,
        max_size=20,
    ),
    st.floats(0.0, 2.0),
)  # fmt: skip
def test_any_stacks_make_wellformed_drawings_within_bounds(stacks: dict[tuple[str, ...], int], scale: float) -> None:
    for _, left, width, _ in frames(flame_svg(stacks, name="f", title="t", scale=scale)):
        assert left >= 0 and left + width <= 100 + 0.1
