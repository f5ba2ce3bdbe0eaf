"""`run --replay`: a recording that is none takes one line, and nothing is started."""

from pathlib import Path

import pytest
from fake_engine import FakeEngine

from evals.case import find_case
from perfcrew.entry.cli import start

Said = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "r.jsonl: no such recording"),
        (b"", "r.jsonl: not a recording: no model answers in it; --record FILE writes one"),
        (b"torn", "r.jsonl: not a recording: no model answers in it; --record FILE writes one"),
        (b'a note\n{"a": 1}\n', "r.jsonl, line 1: not an entry of a journal: 'a note"),
        (b"\x80\x81\n{}\n", "r.jsonl, line 1: not an entry of a journal: "),
    ],
)
def test_what_is_no_recording_is_refused(
    engine: FakeEngine, shop: Path, capsys: Said, content: bytes | None, told: str
) -> None:
    if content is not None:
        Path("r.jsonl").write_bytes(content)
    assert start(["run", "shop", "--replay", "r.jsonl"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"perfcrew: {told}")
    assert len(said.err.splitlines()) == 1
    assert engine.given == []


def test_the_flags_of_a_replay_reach_the_engine(engine: FakeEngine, shop: Path) -> None:
    recording = find_case("dashboard").recording
    assert start(["run", "shop", "--replay", str(recording), "--recorded-tools", "--strict"]) == 0
    options = engine.given[0]
    assert (options.replay, options.frozen, options.strict) == (recording, True, True)
    assert start(["run", "shop", "--strict"]) == 2
