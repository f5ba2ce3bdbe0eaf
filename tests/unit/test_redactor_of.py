"""What a run takes for secret: not its own settings, although users keep them in the same `.env`."""

from pathlib import Path

from pydantic import SecretStr

from graphs.workplace import redactor_of
from perfcrew.records.target import Target
from perfcrew.settings import Settings

TARGET = Target.model_validate(
    {"target": {"name": "t", "start": "x"}, "workload": [{"name": "w", "request": [{"path": "/"}]}]}
)


def test_models_keep_their_names_and_keys_do_not_show(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "PERFCREW_MODEL=anthropic/claude-opus-5-5\nPERFCREW_MODEL_CODER=openai/gpt-6.2-sol\n"
        "PERFCREW_LOAD_WORKERS=2@load-host-10:5557\nLLM=claude-opus-5-5\nANTHROPIC_API_KEY=own-key-0001\nSALT=made-up-0002\n"
    )
    settings = Settings(
        home=tmp_path,
        model="anthropic/claude-opus-5-5",
        model_coder="openai/gpt-6.2-sol",
        anthropic_api_key=SecretStr("own-key-0001"),
    )
    redactor = redactor_of(TARGET, tmp_path, tmp_path / "perfcrew.toml", settings)
    said = "anthropic/claude-opus-5-5, openai/gpt-6.2-sol, claude-opus-5-5, 2@load-host-10:5557"
    assert redactor.text(said) == said
    assert redactor.text("own-key-0001 made-up-0002") == "[redacted] [redacted]"
