"""HTML as a browser reads it: what two pages show differently, whatever their layout in the source."""

import itertools
import re
from collections.abc import Collection, Iterator
from typing import Any

Token = tuple[str, str]
"""Where, as `html/body/ul/li[3]`, and what stands there: an element's attributes, or a text."""
_BLOCK = frozenset(
    {
        "html", "head", "body", "title", "meta", "link", "script", "style", "header", "footer", "main", "nav",
        "section", "article", "aside", "div", "p", "ul", "ol", "li", "dl", "dt", "dd", "table", "caption", "thead",
        "tbody", "tfoot", "tr", "td", "th", "form", "fieldset", "legend", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
        "br", "blockquote", "figure", "figcaption", "noscript", "template", "select", "option", "optgroup",
    }
)  # fmt: skip
"""Elements at whose edges white space shows nothing."""
_EXACT = frozenset({"pre", "textarea", "script", "style"})
_VALUES = ("value", "content", "nonce")
"""Attributes that a volatile field keeps its value in."""


def compare_pages(base: bytes, candidate: bytes, volatile: Collection[str] = ()) -> Iterator[tuple[str, str, str]]:
    """Places where two pages differ: where, and what stands there in each; empty texts where nothing does.

    The order of attributes and of classes, comments, and white space that no browser shows make no difference.

    Args:
        base: the base's page.
        candidate: the candidate's.
        volatile: names or ids of elements whose content may differ, such as a form's `csrf_token`.
    """
    left, right = (list(_read_page(page, frozenset(volatile))) for page in (base, candidate))
    for before, after in itertools.zip_longest(left, right, fillvalue=("", "")):
        if before != after:
            yield before[0] or after[0], before[1], after[1]
            if len(left) != len(right):
                return


def _read_page(page: bytes, volatile: frozenset[str]) -> Iterator[Token]:
    # A page is rarely compared; reading it needs a parser of some weight.
    from selectolax.lexbor import LexborHTMLParser

    root = LexborHTMLParser(page.decode(errors="replace")).root
    tokens = list(_walk(root, "", volatile)) if root is not None else []
    for number, (where, kind, text) in enumerate(tokens):
        if kind == "text":
            before, after = (tokens[at][1] if 0 <= at < len(tokens) else "block" for at in (number - 1, number + 1))
            text = re.sub(r"\s+", " ", text)
            text = text.lstrip() if before == "block" else text
            text = text.rstrip() if after == "block" else text
        if text or kind != "text":
            yield where, text


def _walk(node: Any, path: str, volatile: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """Place, kind (`block`, `inline`, `text`, `exact`) and text of a node and what is inside it, in order."""
    where = f"{path}/{node.tag}".lstrip("/")
    attributes = {name: value or "" for name, value in node.attributes.items()}
    free = bool(volatile & {attributes.get("name"), attributes.get("id")})
    kind = "block" if node.tag in _BLOCK else "inline"
    yield where, kind, _show(node.tag, attributes, free)
    numbers: dict[str, int] = {}
    for child in node.iter(include_text=True):
        if child.tag == "-text":
            if not free:
                yield where, "exact" if node.tag in _EXACT else "text", child.text_content or ""
        elif not child.tag.startswith(("-", "!")):
            numbers[child.tag] = numbers.get(child.tag, 0) + 1
            for place, inner, text in _walk(child, where, volatile):
                nth = f"{where}/{child.tag}[{numbers[child.tag]}]"
                yield nth + place.removeprefix(f"{where}/{child.tag}"), inner, text
    if kind == "block":
        yield where, kind, f"</{node.tag}>"


def _show(tag: str, attributes: dict[str, str], free: bool) -> str:
    kept = {name: value for name, value in sorted(attributes.items()) if not (free and name in _VALUES)}
    if "class" in kept:
        kept["class"] = " ".join(sorted(kept["class"].split()))
    return "<" + " ".join([tag, *(f'{name}="{value}"' for name, value in kept.items())]) + ">"
