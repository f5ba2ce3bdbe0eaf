"""Before a run begins: what the user has to mend leaves no run behind."""

from pathlib import Path
from typing import Any

import pytest

from evals.case import find_case
from graphs.engine import RunOptions, prepare
from perfcrew.errors import UserError
from perfcrew.settings import Settings

CASE = find_case("dashboard")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"model": "openai/x"}, "model openai/x: no key; set OPENAI_API_KEY"),
        ({"model": "anthropic/x", "anthropic_base_url": "here"}, "ANTHROPIC_BASE_URL: 'here' is not an address"),
        ({"model": "anthropic/x", "anthropic_api_key": "k", "model_coder": "openai-chat/y"}, "model openai-chat/y: no"),
    ],
)  # fmt: skip
async def test_a_model_that_cannot_be_asked_is_told_before_a_run_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], told: str
) -> None:
    for name in ("ANTHROPIC", "OPENAI", "OPENAI_CHAT"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
        monkeypatch.delenv(f"{name}_BASE_URL", raising=False)
    options = RunOptions(repo=CASE.app, config=CASE.config, replay=CASE.recording, frozen=True, live_model=True)
    with pytest.raises(UserError, match=told):
        await prepare(options, Settings(home=tmp_path, **given))
    assert list(tmp_path.iterdir()) == []


async def test_a_recording_that_answers_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    options = RunOptions(repo=CASE.app, config=CASE.config, replay=CASE.recording, frozen=True)
    manifest, folder = await prepare(options, Settings(home=tmp_path, model="openai/x"))
    assert manifest.answered_by == "openai/x"
    assert folder.is_dir()
