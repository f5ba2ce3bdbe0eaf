"""Slash commands: text, as a person pastes it, to a list of commands.

    # Phase 1: Parallel Baseline Analysis
    /agent:performance
    Analyze /api/dashboard endpoint:
    - Load test with 100 concurrent users

A command begins at a line of its own and lasts until the next one. Comments, blank lines, code fences and placeholders
such as `[Include specific code examples]` are passed over.
"""

import difflib
import re
from typing import get_args

from perfcrew.errors import UserError
from perfcrew.records.base import Record, Role
from perfcrew.records.work import Variation

ROLES: tuple[Role, ...] = get_args(Role)
VARIATIONS: tuple[Variation, ...] = get_args(Variation)
NAMES = (*(f"agent:{role}" for role in ROLES), "recipe")
_COMMAND = re.compile(r"/(?P<name>[A-Za-z][A-Za-z-]*(?::[A-Za-z-]*)?)(?:\s+(?P<rest>.*))?$")
_BULLET = re.compile(r"(?:[-*+•]|\d+[.)])\s+(?P<text>.+)$")
_PHASE = re.compile(r"#+\s*Phase\s+(?P<number>\d+)", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\[[^\]]*\]$")


class Command(Record):
    """One slash command with what was said under it."""

    name: str
    """`agent:performance` and so on, or `recipe`."""
    role: Role | None
    """The agent that is addressed; None for `/recipe`."""
    text: str
    """The words after the command and the lines under it, without the bullets."""
    bullets: tuple[str, ...] = ()
    """The bullet or numbered lines, without their marks."""
    phase: int | None = None
    """The recipe's phase, where a comment such as `# Phase 4: Parallel Validation` stands before the command."""
    variation: Variation | None = None
    """Of `/recipe api` and the like."""
    line: int
    """Where the command stands, from 1."""

    @property
    def said(self) -> str:
        """All that was said, bullets included, as one text."""
        return "\n".join([*([self.text] if self.text else []), *(f"- {bullet}" for bullet in self.bullets)])


def parse_commands(text: str, name: str = "command") -> list[Command]:
    """Read slash commands.

    Args:
        text: what was typed or pasted.
        name: what mistakes are reported in: a file's name, or `command`.

    Raises:
        UserError: an unknown command, words before the first command, or no command at all.
    """
    commands: list[Command] = []
    phase: int | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("#"):
            found = _PHASE.match(line)
            phase = int(found["number"]) if found else phase
        elif not line or line.startswith(("```", "~~~")) or _PLACEHOLDER.match(line):
            continue
        elif command := _COMMAND.match(line):
            commands.append(_start(command["name"].lower(), command["rest"] or "", number, phase, name))
        elif not commands:
            raise UserError(f"{name}, line {number}: expected a command such as /agent:performance, got {line[:60]!r}")
        else:
            commands[-1] = _add(commands[-1], line)
    if not commands:
        raise UserError(f"{name}: expected a command such as /agent:performance, got nothing")
    return commands


def _start(name: str, rest: str, line: int, phase: int | None, source: str) -> Command:
    if name not in NAMES:
        hint = _hint(name)
        raise UserError(f"{source}, line {line}: no such command /{name}{hint}")
    if name != "recipe":
        role = next(role for role in ROLES if name == f"agent:{role}")
        return Command(name=name, role=role, text=rest.strip(), phase=phase, line=line)
    word, _, said = rest.strip().partition(" ")
    variation = next((each for each in VARIATIONS if each == word.lower()), None)
    return Command(
        name=name, role=None, text=said.strip() if variation else rest.strip(), variation=variation, line=line
    )


def _hint(name: str) -> str:
    wanted = name.partition(":")[2] or name
    near = difflib.get_close_matches(wanted, (*ROLES, "recipe"), n=1)
    if near:
        return f"; did you mean /{'' if near[0] == 'recipe' else 'agent:'}{near[0]}?"
    return f"; there are {', '.join(f'/{each}' for each in NAMES)}"


def _add(command: Command, line: str) -> Command:
    bullet = _BULLET.match(line)
    if bullet:
        return command.model_copy(update={"bullets": (*command.bullets, bullet["text"].strip())})
    return command.model_copy(update={"text": f"{command.text}\n{line}".strip()})
