"""The recipe's optimisation strategies, one Markdown file per family, chosen by the findings at hand.

A file begins with its title and three or four header lines, and has five paragraphs:

    # Eager loading
    layer: database
    findings: n_plus_one
    metrics: db.queries_per_request, http.p95_ms
    needs: database

The last header line stands where a strategy fits some targets only; `prompts.strategies.fitting` knows what it names.

    Use when: …   How: …   Cost: …   Pitfalls: …   Proof: …
"""

from collections.abc import Collection, Iterable, Set
from functools import cache
from pathlib import Path
from typing import cast, get_args

from perfcrew.records.base import Record
from perfcrew.records.metrics import METRICS
from perfcrew.records.work import FindingKind, Layer
from prompts.strategies.fitting import Circumstance

FOLDER = Path(__file__).parent
PARAGRAPHS = ("Use when:", "How:", "Cost:", "Pitfalls:", "Proof:")
MAX_LINES = 25


class Strategy(Record):
    """One family of changes: when to use it, what it costs, how it is proven."""

    name: str
    title: str
    layer: Layer
    findings: tuple[FindingKind, ...]
    metrics: tuple[str, ...]
    """The metrics that prove it, by their standard names."""
    needs: tuple[Circumstance, ...]
    """What a target must have for it to fit; nothing where it fits them all."""
    body: str


def read_strategy(path: Path) -> Strategy:
    """Read one strategy file.

    Raises:
        ValueError: the file departs from the form above; the message names file and cause.
    """
    head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    title, *lines = head.splitlines()
    header = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
    names = ["layer", "findings", "metrics"]
    if not title.startswith("# ") or list(header) not in (names, [*names, "needs"]):
        wanted = "layer, findings, metrics and where it fits some targets only needs"
        raise ValueError(f"{path.name}: expected a title, then the lines {wanted}, then an empty line")
    if header["layer"] not in get_args(Layer):
        raise ValueError(f"{path.name}: layer {header['layer']!r} is none of {', '.join(get_args(Layer))}")
    return Strategy(
        name=path.stem,
        title=title[2:],
        layer=cast(Layer, header["layer"]),
        findings=cast(tuple[FindingKind, ...], _names(path, header["findings"], get_args(FindingKind))),
        metrics=_names(path, header["metrics"], METRICS),
        needs=cast(
            tuple[Circumstance, ...],
            _names(path, header["needs"], get_args(Circumstance)) if "needs" in header else (),
        ),
        body=_paragraphs(path, body),
    )


@cache
def all_strategies() -> tuple[Strategy, ...]:
    """All strategies, in alphabetical order of their files."""
    return tuple(read_strategy(path) for path in sorted(FOLDER.glob("*.md")))


def choose_strategies(
    kinds: Iterable[FindingKind],
    layers: Collection[Layer] | None = None,
    around: Collection[Circumstance] | None = None,
) -> tuple[Strategy, ...]:
    """The strategies that fit the given kinds of findings, each once, in the order of the kinds.

    Args:
        kinds: kinds of findings, the most important first; a set is taken in alphabetical order, as prompts must not
            differ from one process to the next.
        layers: only strategies of these layers; None means all.
        around: what the target has, as `circumstances` tells; None offers what needs something as well.

    Raises:
        ValueError: a kind is unknown.
    """
    chosen: dict[str, Strategy] = {}
    for kind in sorted(kinds) if isinstance(kinds, Set) else kinds:
        if kind not in get_args(FindingKind):
            raise ValueError(f"{kind!r} is no kind of finding; kinds are: {', '.join(get_args(FindingKind))}")
        fitting = (strategy for strategy in all_strategies() if kind in strategy.findings and _fits(strategy, around))
        chosen.update({strategy.name: strategy for strategy in fitting if layers is None or strategy.layer in layers})
    return tuple(chosen.values())


def _fits(strategy: Strategy, around: Collection[Circumstance] | None) -> bool:
    return around is None or all(each in around for each in strategy.needs)


def strategies_for(
    kinds: Iterable[FindingKind],
    layers: Collection[Layer] | None = None,
    around: Collection[Circumstance] | None = None,
) -> str:
    """The text of the strategies that fit the given kinds of findings, for a prompt; empty when none fits."""
    parts = []
    for strategy in choose_strategies(kinds, layers, around):
        proven = ", ".join(strategy.metrics)
        parts.append(f"### {strategy.title} ({strategy.layer}; moves {proven})\n\n{strategy.body}")
    return "\n\n".join(parts)


def _names(path: Path, text: str, known: Collection[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"{path.name}: unknown {', '.join(unknown)}; known are: {', '.join(known)}")
    return names


def _paragraphs(path: Path, body: str) -> str:
    parts = body.strip().split("\n\n")
    if len(parts) != len(PARAGRAPHS) or not all(map(str.startswith, parts, PARAGRAPHS)):
        raise ValueError(f"{path.name}: expected five paragraphs that begin {', '.join(PARAGRAPHS)}")
    return body.strip()
