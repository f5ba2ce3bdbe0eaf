"""Prompts render strictly; strategies parse and cover every kind of finding."""

import hashlib
from pathlib import Path
from typing import Any, get_args

import pytest

import prompts
from perfcrew.records.evidence import Evidence
from perfcrew.records.metrics import METRICS
from perfcrew.records.target import Target
from perfcrew.records.work import Finding, FindingKind, Place, RecipeRequest, TechnicalEnvironment
from prompts import circumstances, layers_of
from prompts.strategies import MAX_LINES, all_strategies, choose_strategies, read_strategy
from prompts.strategies.fitting import Circumstance

GOOD = """# A title
layer: backend
findings: other
metrics: http.p95_ms

Use when: a.

How: b.

Cost: c.

Pitfalls: d.

Proof: e.
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(prompts, "FOLDER", tmp_path)
    return tmp_path


def test_render_fills_every_variable_and_keeps_braces(folder: Path) -> None:
    (folder / "coder-step.md").write_text('Fix $finding in ${place}: {"cost": "$$3"}')
    assert prompts.render("coder-step", finding="N+1", place="app.py") == 'Fix N+1 in app.py: {"cost": "$3"}'
    assert prompts.prompt_variables("coder-step") == ("finding", "place")


def test_render_never_expands_what_a_value_holds(folder: Path) -> None:
    (folder / "coder.md").write_text("$first $second")
    assert prompts.render("coder", first="$second $$ ${x}", second="b") == "$second $$ ${x} b"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "missing finding"),
        ({"finding": "x", "extra": "y"}, "unknown extra"),
        ({"extra": "y"}, "missing finding; unknown extra"),
    ],
)
def test_render_refuses_wrong_variables(folder: Path, given: dict[str, str], problem: str) -> None:
    (folder / "coder.md").write_text("Fix $finding")
    with pytest.raises(ValueError, match=rf"^prompts/coder\.md: {problem}$"):
        prompts.render("coder", **given)


def test_render_refuses_what_is_not_text(folder: Path) -> None:
    (folder / "coder.md").write_text("Fix $finding")
    with pytest.raises(TypeError, match=r"\$finding must be text, not int"):
        prompts.render("coder", finding=3)  # type: ignore[arg-type]


def test_a_lone_dollar_sign_names_its_line(folder: Path) -> None:
    (folder / "coder.md").write_text("first\ncosts $ 3\n")
    with pytest.raises(ValueError, match=r"coder\.md, line 2: a lone dollar sign"):
        prompts.render("coder")


@pytest.mark.parametrize("name", ["absent", "../coder", "strategies/indexing", "Coder", ""])
def test_unknown_names_list_what_there_is(folder: Path, name: str) -> None:
    (folder / "coder.md").write_text("x")
    with pytest.raises(ValueError, match=r"there is no prompt .*; there are: coder"):
        prompts.render(name)


def test_digest_follows_the_file(folder: Path) -> None:
    (folder / "coder.md").write_text("one")
    first = prompts.prompt_digest("coder")
    assert first == hashlib.sha256(b"one").hexdigest()[:16]
    (folder / "coder.md").write_text("two")
    assert prompts.prompt_digest("coder") != first


def test_every_shipped_prompt_is_a_valid_template() -> None:
    for name in prompts.prompt_names():
        variables = dict.fromkeys(prompts.prompt_variables(name), "x")
        assert prompts.render(name, **variables).strip()


def test_every_strategy_parses_and_is_short() -> None:
    paths = sorted(prompts.strategies.FOLDER.glob("*.md"))
    assert [strategy.name for strategy in all_strategies()] == [path.stem for path in paths]
    for path in paths:
        lines = path.read_text().splitlines()
        assert len(lines) <= MAX_LINES, path.name
        assert max(map(len, lines)) <= 120, path.name


def test_titles_are_unique_and_each_layer_of_the_recipe_is_there() -> None:
    titles = [strategy.title for strategy in all_strategies()]
    assert len(set(titles)) == len(titles)
    assert {strategy.layer for strategy in all_strategies()} == {"database", "backend", "frontend", "infrastructure"}


@pytest.mark.parametrize("kind", get_args(FindingKind))
def test_every_kind_of_finding_has_a_strategy(kind: FindingKind) -> None:
    chosen = choose_strategies([kind])
    assert chosen
    assert all(kind in strategy.findings and set(strategy.metrics) <= set(METRICS) for strategy in chosen)


def test_strategies_come_once_and_in_the_order_of_the_findings() -> None:
    text = prompts.strategies_for(["n_plus_one", "missing_index", "slow_query"])
    assert text.count("### Query rewriting") == 1
    assert text.index("Eager loading") < text.index("Indexing: composite")
    assert "Compression" not in text
    assert prompts.strategies_for([]) == ""


def test_a_set_of_kinds_gives_the_same_text_in_every_process() -> None:
    kinds: list[FindingKind] = ["slow_query", "cache_miss", "n_plus_one", "memory_leak"]
    assert prompts.strategies_for(set(kinds)) == prompts.strategies_for(sorted(kinds))


def test_strategies_can_be_narrowed_to_layers() -> None:
    assert {strategy.layer for strategy in choose_strategies(["large_payload"])} > {"backend"}
    assert {strategy.layer for strategy in choose_strategies(["large_payload"], {"backend"})} == {"backend"}


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'n_plus_two' is no kind of finding"):
        prompts.strategies_for(["n_plus_two"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("# A title", "A title", "expected a title"),
        ("layer: backend\n", "", "expected a title"),
        ("layer: backend", "layer: attic", "layer 'attic' is none of"),
        ("findings: other", "findings: other, slowness", "unknown slowness"),
        ("http.p95_ms", "http.p96_ms", r"unknown http\.p96_ms"),
        ("Cost: c.\n\n", "", "expected five paragraphs"),
        ("How: b.\n\nCost: c.", "Cost: c.\n\nHow: b.", "expected five paragraphs"),
    ],
)
def test_a_malformed_strategy_names_file_and_cause(tmp_path: Path, old: str, new: str, problem: str) -> None:
    path = tmp_path / "sample.md"
    path.write_text(GOOD)
    assert read_strategy(path).findings == ("other",)
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ValueError, match=rf"^sample\.md: .*{problem}"):
        read_strategy(path)


def a_finding(kind: FindingKind, claim: str = "c") -> Finding:
    return Finding(
        id=f"{kind}@x", kind=kind, place=Place(), claim=claim, evidence=(), severity="low", remedy="r", prevention="p",
        source="detector",
    )  # fmt: skip


def what_there_is(*findings: Finding, stack: str = "", scanned: int = 0, **target: Any) -> frozenset[str]:
    workload = ({"name": "w", "request": ({"path": "/"},)},)
    described = Target.model_validate({"target": {"name": "t", "start": "s {port}"}, "workload": workload, **target})
    request = RecipeRequest(environment=TechnicalEnvironment(stack=stack))
    facts: dict[str, Any] = {"plan.0.id": "q", "plan.0.scanned": scanned}
    plans = Evidence(id="explain@w", kind="explain", title="t", digest="d", facts=facts)
    return frozenset(circumstances(described, request, findings, (plans,)))


def test_what_a_target_has_is_read_off() -> None:
    assert what_there_is() == frozenset()
    assert what_there_is(database={"engine": "sqlite"}, scanned=10**8) == {"database"}
    assert what_there_is(database={"engine": "postgresql"}, scanned=10**6) == {"database"}
    assert what_there_is(database={"engine": "postgresql"}, scanned=10**8) == {"database", "large_table"}
    assert what_there_is(a_finding("bundle_size", "main.js is 2 MB")) == {"page"}
    assert what_there_is(a_finding("heavy_image")) == {"page", "images"}
    assert what_there_is(a_finding("large_payload", "a list of images as JSON")) == frozenset()
    assert what_there_is(stack="FastAPI, Redis 7") == {"shared_cache"}


def test_only_what_fits_is_offered() -> None:
    kinds: list[FindingKind] = ["slow_query", "large_payload", "cache_miss", "bundle_size"]
    small = {strategy.name for strategy in choose_strategies(kinds, around={"database"})}
    assert {"database-indexing", "application-pagination", "application-memory-caching"} <= small
    assert not small & {
        "database-partitioning",
        "frontend-images",
        "frontend-lazy-loading",
        "application-redis-caching",
    }
    every = {strategy.name for strategy in choose_strategies(kinds)}
    assert {strategy.name for strategy in choose_strategies(kinds, around=get_args(Circumstance))} == every


@pytest.mark.parametrize("kind", get_args(FindingKind))
def test_every_kind_is_served_where_it_can_occur(kind: FindingKind) -> None:
    around: set[Any] = {"database"} if kind not in {"bundle_size"} else set()
    around |= set(what_there_is(a_finding(kind)))
    assert choose_strategies([kind], around=around)


def test_a_variation_narrows_the_layers() -> None:
    assert layers_of("full") is None
    assert {item.layer for item in choose_strategies(get_args(FindingKind), layers_of("database"))} == {"database"}
    assert "frontend" not in {item.layer for item in choose_strategies(get_args(FindingKind), layers_of("api"))}
