"""Where each host looks for slash commands, and what a file of a command looks like there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from perfcrew.entry.host_commands import HOST_COMMANDS, HostCommand, shell_text

OWN = "perfcrew"
SAID = "<what the user said after the command>"
"""For hosts without a placeholder: their model fills it in."""


@dataclass(frozen=True)
class HostFormat:
    """One host.

    Attributes:
        project: folder of commands, relative to a repository.
        user: the same, relative to the user's home.
        typed: how people call a command.
        path: a command's file, relative to the folder.
        text: what is in it.
        comment: a line that the host passes over; `{}` stands for its words.
    """

    project: str
    user: str
    typed: Callable[[HostCommand], str]
    path: Callable[[HostCommand], str]
    text: Callable[[HostCommand], str]
    comment: str = "<!-- {} -->"


def parts_of(command: HostCommand) -> tuple[str, str]:
    """Folder and name: `agent` and `performance`; commands with everyday names stand below `perfcrew`."""
    group, _, name = command.name.rpartition(":")
    return (group, name) if group or command.script else (OWN, name)


def _nested(suffix: str) -> Callable[[HostCommand], str]:
    return lambda command: str(PurePosixPath(*filter(None, parts_of(command)))) + suffix


def _joined(mark: str, between: str) -> Callable[[HostCommand], str]:
    return lambda command: mark + between.join(filter(None, parts_of(command)))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _front(**values: str) -> str:
    lines = [f"{name.replace('_', '-')}: {_quoted(value)}" for name, value in values.items() if value]
    return "\n".join(["---", *lines, "---", "", ""])


def _claude(command: HostCommand) -> str:
    front = _front(description=command.help, argument_hint=command.hint, allowed_tools="Bash(perfcrew:*)")
    return front + shell_text(command, "$ARGUMENTS")


def _opencode(command: HostCommand) -> str:
    return _front(description=command.help) + shell_text(command, "$ARGUMENTS")


def _cursor(command: HostCommand) -> str:
    return f"# {command.help}\n\n{shell_text(command, SAID)}"


def _codex(command: HostCommand) -> str:
    name = _joined("", "-")(command)
    when = f"{command.help}, with perfcrew. Use it when the user calls ${name} or asks for just this."
    return _front(name=name, description=when) + shell_text(command, SAID)


def _gemini(command: HostCommand) -> str:
    # A literal string takes everything as it stands, but for three apostrophes, which no text of ours holds.
    return f"description = {_quoted(command.help)}\nprompt = '''\n{shell_text(command, '{{args}}')}'''\n"


HOSTS = {
    "claude": HostFormat(".claude/commands", ".claude/commands", _joined("/", ":"), _nested(".md"), _claude),
    "cursor": HostFormat(
        ".cursor/commands", ".cursor/commands", _joined("/", "-"), lambda each: f"{_joined('', '-')(each)}.md", _cursor
    ),
    "codex": HostFormat(
        ".agents/skills", ".agents/skills", _joined("$", "-"), lambda each: f"{_joined('', '-')(each)}/SKILL.md", _codex
    ),
    "gemini": HostFormat(".gemini/commands", ".gemini/commands", _joined("/", ":"), _nested(".toml"), _gemini, "# {}"),
    "opencode": HostFormat(
        ".opencode/commands", ".config/opencode/commands", _joined("/", "/"), _nested(".md"), _opencode
    ),
}


def files_for(host: str) -> dict[Path, str]:
    """All files of a host, relative to its folder, with what is in them."""
    form = HOSTS[host]
    return {Path(form.path(command)): form.text(command) for command in commands_of_files()}


def commands_of_files() -> tuple[HostCommand, ...]:
    """Those that a host with nothing but a shell can carry out."""
    return tuple(command for command in HOST_COMMANDS if command.script or command.shell)
