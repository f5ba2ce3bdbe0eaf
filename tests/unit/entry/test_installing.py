"""`install-commands`: files in each host's own format, and nobody else's file touched."""

import tomllib
from pathlib import Path

import pytest

from perfcrew.entry.cli import start
from perfcrew.entry.host_commands import HOST_COMMANDS
from perfcrew.entry.host_files import HOSTS, commands_of_files

Said = pytest.CaptureFixture[str]
PERFORMANCE = {
    "claude": ".claude/commands/agent/performance.md",
    "cursor": ".cursor/commands/agent-performance.md",
    "codex": ".agents/skills/agent-performance/SKILL.md",
    "gemini": ".gemini/commands/agent/performance.toml",
    "opencode": ".opencode/commands/agent/performance.md",
}


def written() -> list[Path]:
    return sorted(path for path in Path().rglob("*") if path.is_file())


@pytest.mark.parametrize("host", HOSTS)
def test_each_command_becomes_a_file_that_makes_the_host_call_us(host: str, home: Path, capsys: Said) -> None:
    assert start(["install-commands", host]) == 0
    assert len(written()) == len(commands_of_files())
    text = Path(PERFORMANCE[host]).read_text()
    assert "perfcrew exec - <<'PERFCREW'\n/agent:performance " in text
    assert "call `run_commands`" in text
    assert all("perfcrew " in path.read_text() for path in written())
    assert "performance" in capsys.readouterr().out


def test_formats_are_what_the_hosts_parse(home: Path) -> None:
    for host in HOSTS:
        assert start(["install-commands", host]) == 0
    gemini = tomllib.loads(Path(PERFORMANCE["gemini"]).read_text())
    assert sorted(gemini) == ["description", "prompt"]
    assert "{{args}}" in gemini["prompt"]
    front = Path(PERFORMANCE["codex"]).read_text().split("---\n")[1]
    assert 'name: "agent-performance"\n' in front
    assert "description: " in front
    assert "$ARGUMENTS" in Path(PERFORMANCE["claude"]).read_text()
    assert 'argument-hint: "what to analyse"' in Path(PERFORMANCE["claude"]).read_text()


def test_commands_of_other_hosts_are_known_to_our_own_grammar() -> None:
    from perfcrew.entry.commands import parse_commands

    for command in HOST_COMMANDS:
        if command.script:
            assert parse_commands(f"/{command.name} what was said")[0].name == command.name


def test_again_it_writes_the_same_and_newer_text_replaces_ours(home: Path) -> None:
    assert start(["install-commands", "claude"]) == 0
    before = {path: path.read_bytes() for path in written()}
    assert start(["install-commands", "claude"]) == 0
    assert {path: path.read_bytes() for path in written()} == before


@pytest.mark.parametrize("how", ["foreign", "edited", "link"])
@pytest.mark.parametrize("words", [[], ["--uninstall"]])
def test_a_file_that_is_not_as_we_wrote_it_is_left_alone(home: Path, capsys: Said, how: str, words: list[str]) -> None:
    assert start(["install-commands", "claude"]) == 0
    file = Path(PERFORMANCE["claude"])
    if how == "foreign":
        file.write_text("mine\n")
    elif how == "edited":
        file.write_text(file.read_text().replace("perfcrew exec", "perfcrew exec --quick"))
    else:
        file.rename("elsewhere.md")
        file.symlink_to(Path("elsewhere.md").resolve())
    before = file.read_bytes()
    capsys.readouterr()
    assert start(["install-commands", "claude", *words]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert f"{file}: not {'removed' if words else 'written'}: " in said.err
    assert file.read_bytes() == before
    assert "1 left alone" in said.out


def test_uninstall_leaves_nothing_of_ours(home: Path) -> None:
    mine = Path(".codex-notes.md")
    mine.write_text("mine")
    for host in HOSTS:
        assert start(["install-commands", host]) == 0
        assert start(["install-commands", host, "--uninstall"]) == 0
    assert written() == [mine]


def test_for_the_user_they_go_below_the_home_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert start(["install-commands", "opencode", "--user"]) == 0
    assert (tmp_path / "me" / ".config/opencode/commands/agent/coder.md").is_file()


def test_what_can_not_be_written_is_one_line(home: Path, capsys: Said) -> None:
    Path(".gemini").write_text("a file")
    assert start(["install-commands", "gemini"]) == 2
    assert "can't be written" in capsys.readouterr().err
