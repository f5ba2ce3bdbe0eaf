"""Prompts as Markdown files, rendered strictly."""

import hashlib
import re
from pathlib import Path
from string import Template

from prompts.strategies import strategies_for
from prompts.strategies.fitting import circumstances, layers_of

__all__ = [
    "FOLDER", "circumstances", "layers_of", "prompt_digest", "prompt_names", "prompt_variables", "render",
    "strategies_for",
]  # fmt: skip

FOLDER = Path(__file__).parent
_NAME = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")


def prompt_names() -> tuple[str, ...]:
    """The names of all prompts, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.md")))


def render(name: str, **variables: str) -> str:
    """The prompt `prompts/<name>.md` with each `$variable` filled in; `$$` gives a dollar sign.

    Values go in as they are: a dollar sign inside a value is never expanded.

    Raises:
        ValueError: the prompt or a variable is unknown, a variable is missing, or the template has a stray dollar sign.
        TypeError: a value is not text.
    """
    template = _template(name)
    expected = set(template.get_identifiers())
    if problem := _mismatch(expected, set(variables)):
        raise ValueError(f"prompts/{name}.md: {problem}")
    for variable, value in variables.items():
        if not isinstance(value, str):
            raise TypeError(f"prompts/{name}.md: ${variable} must be text, not {type(value).__name__}")
    return template.substitute(variables)


def prompt_variables(name: str) -> tuple[str, ...]:
    """The variables that a prompt wants, in order of first use."""
    return tuple(_template(name).get_identifiers())


def prompt_digest(name: str) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a prompt's file: the version that a journal and a report name."""
    return hashlib.sha256(_read(name).encode()).hexdigest()[:16]


def _read(name: str) -> str:
    path = FOLDER / f"{name}.md"
    if not _NAME.fullmatch(name) or not path.is_file():
        raise ValueError(f"there is no prompt {name!r}; there are: {', '.join(prompt_names()) or 'none'}")
    return path.read_text(encoding="utf-8")


def _template(name: str) -> Template:
    text = _read(name)
    template = Template(text)
    if not template.is_valid():
        line = next(number for number, part in enumerate(text.splitlines(), 1) if not Template(part).is_valid())
        raise ValueError(f"prompts/{name}.md, line {line}: a lone dollar sign; write $$ for a literal one")
    return template


def _mismatch(expected: set[str], given: set[str]) -> str:
    problems = []
    if missing := expected - given:
        problems.append(f"missing {', '.join(sorted(missing))}")
    if unknown := given - expected:
        problems.append(f"unknown {', '.join(sorted(unknown))}")
    return "; ".join(problems)
