"""Slash commands: text, as a person pastes it, to a list of commands.

    # Phase 1: Parallel Baseline Analysis
    /agent:performance
    Analyze /api/dashboard endpoint:
    - Load test with 100 concurrent users

A command begins at a line of its own. What is said to an agent or to the recipe lasts until the next command; the other
commands end with their line. Comments, blank lines, code fences and placeholders such as `[Include specific code
examples]` are passed over.
"""

import difflib
import re
from typing import NamedTuple, get_args

from perfcrew.errors import UserError
from perfcrew.records.base import Record, Role
from perfcrew.records.models import CREW
from perfcrew.records.work import Variation

VARIATIONS: tuple[Variation, ...] = get_args(Variation)
ASK = "ask"
"""Name of what is said without a slash."""


class Entry(NamedTuple):
    """What `/help` knows of a command."""

    takes: str
    """Its arguments, as usage shows them."""
    does: str
    example: str


CATALOGUE: dict[str, Entry] = {
    "agent:performance": Entry(
        "WORDS…", "measure the base; once something was changed, measure it against the base",
        "/agent:performance Analyze /api/dashboard",
    ),
    "agent:memory-sync": Entry("WORDS…", "describe the architecture as it stands", "/agent:memory-sync"),
    "agent:architect": Entry(
        "WORDS…", "plan small steps from the findings", "/agent:architect No breaking changes, please"
    ),
    "agent:coder": Entry("WORDS…", "carry out the plan; keep what wins its duel", "/agent:coder"),
    "agent:tester": Entry("WORDS…", "hunt regressions of what was kept", "/agent:tester Mind empty lists"),
    "agent:security": Entry("WORDS…", "review what the branch newly exposes", "/agent:security"),
    "recipe": Entry(
        "[full|api|frontend|database|microservices] WORDS…", "all phases; in a chat it stops at the plan",
        "/recipe database The list of orders is slow",
    ),
    "status": Entry("", "where the run stands: board, findings, what to do next", "/status"),
    "plan": Entry("", "the newest plan, step by step", "/plan"),
    "approve": Entry("[no WHY]", "carry out the plan that waits, or decline it", "/approve no Leave the schema alone"),
    "diff": Entry("[N]", "what the kept changes change, or only change N", "/diff 1"),
    "report": Entry("", "the report as it stands, and where its page is", "/report"),
    "runs": Entry("", "the newest runs on this machine", "/runs"),
    "resume": Entry("[RUN]", "go on with what stopped, of this run or another", "/resume last"),
    "cost": Entry("", "tokens and money, by role, phase and model", "/cost"),
    "model": Entry("[[ROLE] NAME]", "who answers; another model from now on", "/model coder openai/gpt-6.2-sol"),
    "undo": Entry("", "withdraw the newest kept change", "/undo"),
    "help": Entry("[COMMAND]", "what there is", "/help recipe"),
    "quit": Entry("", "leave; the run stays and can be resumed", "/quit"),
}  # fmt: skip
NAMES = tuple(CATALOGUE)
SPOKEN_TO = frozenset({*(f"agent:{role}" for role in CREW), "recipe", ASK})
"""Commands that the lines under them belong to."""
_COMMAND = re.compile(r"/(?P<name>[A-Za-z][A-Za-z-]*(?::[A-Za-z-]*)?)(?:\s+(?P<rest>.*))?$")
_BULLET = re.compile(r"(?:[-*+•]|\d+[.)])\s+(?P<text>.+)$")
_PHASE = re.compile(r"#+\s*Phase\s+(?P<number>\d+)", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\[[^\]]*\]$")


class Command(Record):
    """One slash command with what was said under it."""

    name: str
    """`agent:performance` and so on; `ask` for words without a command."""
    role: Role | None
    """The agent that is addressed; None for all other commands."""
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


def parse_commands(text: str, name: str = "command", *, free: bool = False) -> list[Command]:
    """Read slash commands.

    Args:
        text: what was typed or pasted.
        name: what mistakes are reported in: a file's name, `command`, or nothing.
        free: words that belong to no command are a question.

    Raises:
        UserError: an unknown command, words that belong to no command, or no command at all.
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
        elif commands and commands[-1].name in SPOKEN_TO:
            commands[-1] = _add(commands[-1], line)
        elif free:
            commands.append(Command(name=ASK, role=None, text=line, line=number))
        else:
            raise UserError(f"{_at(name, number)}expected a command such as /agent:performance, got {line[:60]!r}")
    if not commands:
        raise UserError(f"{f'{name}: ' if name else ''}expected a command such as /agent:performance, got nothing")
    return commands


def _start(name: str, rest: str, line: int, phase: int | None, source: str) -> Command:
    if name not in CATALOGUE:
        hint = _hint(name)
        raise UserError(f"{_at(source, line)}no such command /{name}{hint}")
    if name != "recipe":
        role = next((role for role in CREW if name == f"agent:{role}"), None)
        return Command(name=name, role=role, text=rest.strip(), phase=phase, line=line)
    word, _, said = rest.strip().partition(" ")
    variation = next((each for each in VARIATIONS if each == word.lower()), None)
    return Command(
        name=name, role=None, text=said.strip() if variation else rest.strip(), variation=variation, line=line
    )


def _at(source: str, line: int) -> str:
    """Where a mistake is; nothing for what was typed as one line."""
    if source:
        return f"{source}, line {line}: "
    return f"line {line}: " if line > 1 else ""


def _hint(name: str) -> str:
    wanted = name.partition(":")[2] or name
    short = {each.rpartition(":")[2]: each for each in NAMES}
    near = difflib.get_close_matches(wanted, short, n=1)
    if near:
        return f"; did you mean /{short[near[0]]}?"
    return f"; there are {', '.join(f'/{each}' for each in NAMES)}"


def _add(command: Command, line: str) -> Command:
    bullet = _BULLET.match(line)
    if bullet:
        return command.model_copy(update={"bullets": (*command.bullets, bullet["text"].strip())})
    return command.model_copy(update={"text": f"{command.text}\n{line}".strip()})
