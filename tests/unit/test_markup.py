"""Two pages: alike as a browser shows them, or exactly where not."""

import pytest

from tools.markup import compare_pages

PAGE = """<!doctype html>
<html><head><title>Shop</title></head>
<body>
  <ul class="a b" id="list">
    <li>one <b>1</b></li>
    <li>two</li>
  </ul>
  <form><input name="csrf_token" value="abc"><textarea> as
is</textarea></form>
</body></html>"""


def differences(candidate: str, *volatile: str) -> list[tuple[str, str, str]]:
    return list(compare_pages(PAGE.encode(), candidate.encode(), volatile))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n    <li>two", "<li>two"),
        ('class="a b" id="list"', 'id="list" class="b  a"'),
        ("</ul>", "</ul><!-- the end -->"),
        ("<li>two</li>", "<LI>two\n</LI>"),
    ],
)
def test_what_no_browser_shows_makes_no_difference(old: str, new: str) -> None:
    assert old in PAGE
    assert differences(PAGE.replace(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("<li>two", "<li>too", ("html/body[1]/ul[1]/li[2]", "two", "too")),
        ("one <b>", "one<b>", ("html/body[1]/ul[1]/li[1]", "one ", "one")),
        ('id="list"', 'id="lost"', ("html/body[1]/ul[1]", '<ul class="a b" id="list">', '<ul class="a b" id="lost">')),
        (" as\nis", " as is", ("html/body[1]/form[1]/textarea[1]", " as\nis", " as is")),
    ],
)
def test_what_it_shows_is_named_by_its_place(old: str, new: str, expected: tuple[str, str, str]) -> None:
    assert differences(PAGE.replace(old, new)) == [expected]


def test_volatile_fields_may_hold_anything() -> None:
    other = PAGE.replace('value="abc"', 'value="xyz"')
    assert len(differences(other)) == 1
    assert differences(other, "csrf_token") == []


def test_an_element_more_is_told_once() -> None:
    ((where, _, new),) = differences(PAGE.replace("<li>two</li>", "<li>two</li><li>three</li>"))
    assert (where, new) == ("html/body[1]/ul[1]", "<li>")
