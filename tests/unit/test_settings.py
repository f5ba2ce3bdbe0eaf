"""Settings: sources, defaults, and one line for every mistake."""

import os
from pathlib import Path

import pytest

from perfcrew import settings
from perfcrew.errors import UserError
from perfcrew.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in list(os.environ):  # noqa: TID251
        if name.startswith(("PERFCREW_", "ANTHROPIC_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_environment_beats_dotenv_and_options_beat_both(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / ".env").write_text("PERFCREW_MAX_STEPS=3\nPERFCREW_MAX_ROUNDS=4\nPERFCREW_MAX_ATTEMPTS=5\nSECRET=1\n")
    monkeypatch.setenv("PERFCREW_MAX_ROUNDS", "6")
    monkeypatch.setenv("PERFCREW_MAX_ATTEMPTS", "7")
    found = load_settings(max_attempts=8, budget_usd=None)
    assert (found.max_steps, found.max_rounds, found.max_attempts) == (3, 6, 8)
    assert found.budget_usd == Settings.model_fields["budget_usd"].default


def test_model_follows_the_key_that_is_set_and_quick_follows_strong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().model.startswith("anthropic/")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    assert load_settings().model_quick.startswith("openai/")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    assert load_settings().model.startswith("anthropic/")
    assert load_settings(model="openai-chat/qwen").model_quick == "openai-chat/qwen"


def test_keys_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-very-secret")
    found = load_settings()
    assert "very-secret" not in repr(found)
    assert found.anthropic_api_key is not None
    assert found.anthropic_api_key.get_secret_value() == "sk-very-secret"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PERFCREW_HOM", "1", "PERFCREW_HOM in the environment: no such setting; did you mean PERFCREW_HOME?"),
        ("PERFCREW_ZZZ", "1", "PERFCREW_ZZZ in the environment: no such setting; .env.example lists what there is"),
        ("PERFCREW_MAX_STEPS", "many", "PERFCREW_MAX_STEPS: input should be a valid integer"),
        ("PERFCREW_MODEL", "gpt", "PERFCREW_MODEL: expected anthropic/NAME, openai/NAME or openai-chat/NAME"),
        ("PERFCREW_BUDGET_USD", "0", "PERFCREW_BUDGET_USD: input should be greater than 0"),
        ("PERFCREW_MODEL_CODER", "gpt", "PERFCREW_MODEL_CODER: expected anthropic/NAME, openai/NAME"),
        ("PERFCREW_MODEL_TABLE", "{", "PERFCREW_MODEL_TABLE: not JSON"),
        ("PERFCREW_MODEL_TABLE", '{"x": {}}', "PERFCREW_MODEL_TABLE, x: expected anthropic/NAME, openai/NAME"),
        ("PERFCREW_MODEL_TABLE", '{"openai/x": {"contxt": 1}}', "PERFCREW_MODEL_TABLE, openai/x, contxt: no such key"),
        ("PERFCREW_ROLE_BUDGETS", '{"codr": {}}', "PERFCREW_ROLE_BUDGETS, codr: input should be 'performance'"),
        ("PERFCREW_ROLE_BUDGETS", '{"coder": {"usd": 0}}', "PERFCREW_ROLE_BUDGETS, coder, usd: input should be"),
    ],
)  # fmt: skip
def test_mistakes_take_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as caught:
        load_settings()
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


def test_unknown_names_in_dotenv_are_named(bare: Path) -> None:
    (bare / ".env").write_text("# a comment\nexport PERFCREW_HOM=/x\n")
    with pytest.raises(UserError, match=r"PERFCREW_HOM in \.env: no such setting; did you mean PERFCREW_HOME\?"):
        load_settings()


def test_every_field_is_explained() -> None:
    assert all(text.endswith(".") for text in settings.variables().values())


def test_example_file_is_what_the_fields_give() -> None:
    """Renew it with: python -c "from perfcrew.settings import example; print(example(), end='')" > .env.example"""
    root = Path(settings.__file__).parents[1]
    assert (root / ".env.example").read_text(encoding="utf-8") == settings.example()
