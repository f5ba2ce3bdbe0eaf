"""The journal: nothing asked twice, nothing lost, nothing mixed up."""

import asyncio
import json
import math
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from perfcrew.errors import LLMError
from perfcrew.llm.base import Reply
from perfcrew.llm.entries import TEXT, Entry, digest, read_entries
from perfcrew.llm.journal import Journal
from perfcrew.llm.recording import Recording
from tests.unit.journal_material import LANE, Live, Measured, asking, never, replying, returning, unrun


async def test_resume_asks_for_nothing_twice(tmp_path: Path) -> None:
    path, live = tmp_path / "run" / "journal.jsonl", Live()
    first = Journal(path)
    a = await first.reply(LANE, 0, asking("a"), live("a"))
    b = await first.reply(LANE, 1, asking("b"), live("b"))
    # No close: a killed process closes nothing.
    second = Journal(path)
    assert await second.reply(LANE, 0, asking("a"), never) == a
    assert await second.reply(LANE, 1, asking("b"), never) == b
    c = await second.reply(LANE, 2, asking("c"), live("c"))
    assert live.asked == ["a", "b", "c"]
    assert second.drift == {}
    third = Journal(path)
    assert [lane for lane, _ in third.replies()] == [LANE] * 3
    assert [reply for _, reply in third.replies()] == [a, b, c]
    for journal in (first, second, third):
        journal.close()


async def test_an_entry_is_on_disk_before_its_reply_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.jsonl"
    synced: list[int] = []
    journal = Journal(path)
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_size))
    await journal.reply(LANE, 0, asking(), Live()("x"))
    assert synced == [path.stat().st_size]
    assert synced[0] > 0
    journal.close()


async def test_a_failed_call_leaves_nothing(tmp_path: Path) -> None:
    async def fail() -> Reply:
        raise LLMError("down")

    journal = Journal(tmp_path / "journal.jsonl")
    with pytest.raises(LLMError):
        await journal.reply(LANE, 0, asking(), fail)
    assert not journal.has(LANE, "turn-0", "reply")
    assert (await journal.reply(LANE, 0, asking(), Live()("x"))).text == "x"
    journal.close()


@given(cut=st.integers(min_value=0, max_value=3000))
def test_a_torn_last_line_is_dropped_wherever_it_tore(cut: int) -> None:
    asyncio.run(_tear(cut))


async def _tear(cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, live = Path(folder) / "journal.jsonl", Live()
        journal = Journal(path)
        for turn in range(3):
            await journal.reply(LANE, turn, asking(str(turn)), live(str(turn)))
        journal.close()
        whole = path.read_bytes()
        path.write_bytes(whole[: min(cut, len(whole))])
        entries = list(read_entries(path))
        assert len(entries) == path.read_bytes().count(b"\n")
        kept = sum(entry.kind == "reply" for entry in entries)
        torn = Journal(path)
        for turn in range(3):
            await torn.reply(LANE, turn, asking(str(turn)), live(str(turn)))
        torn.close()
        assert live.asked[3:] == [str(turn) for turn in range(kept, 3)]
        assert path.read_bytes() == whole


async def test_nothing_of_a_torn_line_is_left_behind_a_shorter_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    await journal.reply(LANE, 0, asking(), Live()("long " * 100))
    journal.close()
    path.write_bytes(path.read_bytes()[:-5])
    torn = Journal(path)
    torn.note("a", 1)
    torn.close()
    left = [(entry.key, entry.value) for entry in read_entries(path)]
    assert [entry for entry in left if not entry[0].startswith(TEXT)] == [("a", 1)]
    assert path.read_bytes().endswith(b"\n")


async def test_lanes_do_not_mix_when_branches_run_side_by_side(tmp_path: Path) -> None:
    async def branch(journal: Journal, name: str, pause: float) -> list[str]:
        texts = []
        for turn in range(3):

            async def ask(turn: int = turn) -> Reply:
                await asyncio.sleep(pause)
                return replying(f"{name}{turn}")

            texts.append((await journal.reply(name, turn, asking(name), ask)).text)
        return texts

    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    given = await asyncio.gather(branch(journal, "a", 0.002), branch(journal, "b", 0))
    assert given == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]
    journal.close()
    resumed = Journal(path)
    # The other way round, and without a model.
    for name in ("b", "a"):
        for turn in range(3):
            assert (await resumed.reply(name, turn, asking(name), never)).text == f"{name}{turn}"
    resumed.close()


async def test_finished_effects_are_not_repeated_but_edits_are(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    for key in ("measure", "edit"):
        await journal.effect(LANE, key, Measured, returning(Measured(value=1.0, samples=(1.0, 2.0))))
    journal.close()
    size = path.stat().st_size
    resumed = Journal(path)
    assert resumed.has(LANE, "measure")
    assert (await resumed.effect(LANE, "measure", Measured, unrun)).samples == (1.0, 2.0)
    done: list[float] = []

    async def edit() -> Measured:
        done.append(1.0)
        return Measured(value=3.0)

    again = await resumed.effect(LANE, "edit", Measured, edit, reapply=True)
    assert (again.value, done) == (1.0, [1.0]), "done again, but what counts is what was known"
    assert path.stat().st_size == size
    resumed.close()


async def test_effects_of_any_type_come_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    kind: TypeAdapter[dict[str, list[float]]] = TypeAdapter(dict[str, list[float]])
    value = {"a": [1.0, math.inf, -math.inf], "b": [0.1]}

    async def run() -> dict[str, list[float]]:
        return value

    journal = Journal(path)
    assert await journal.effect(LANE, "x", kind, run) == value
    await journal.effect(LANE, "nan", Measured, returning(Measured(value=math.nan)))
    journal.close()
    resumed = Journal(path)

    async def unrun_kind() -> dict[str, list[float]]:
        raise AssertionError("ran")

    assert await resumed.effect(LANE, "x", kind, unrun_kind) == value
    assert math.isnan((await resumed.effect(LANE, "nan", Measured, unrun)).value)
    resumed.close()


def test_a_fact_is_noted_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.note("label", "first")
    journal.note("label", "second")
    journal.close()
    assert [entry.value for entry in read_entries(path)] == ["first"]
    assert Recording(path, frozen=True).value("nothing") is None


def test_each_entry_is_one_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.note("text", "two\nlines\r\u2028and torn \udcff")
    journal.close()
    (line,) = path.read_bytes().splitlines()
    assert Entry.model_validate(json.loads(line)).value == "two\nlines\r\u2028and torn \udcff"


def test_digest_is_of_the_content_not_of_its_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(Measured(value=1.0)) == digest({"value": 1.0, "samples": []})
    assert digest({"a": 1}) != digest({"a": 2})
