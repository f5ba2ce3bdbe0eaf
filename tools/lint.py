"""What is wrong with a file right after an edit: it does not parse, or it uses names that it does not have."""

import ast
import json
import shutil
import sysconfig
import tomllib
import warnings
from pathlib import Path

from tools.process import run

RULES = "E9,F63,F7,F811,F82"
"""Ruff's rules for what fails at run time: syntax, comparisons that are never true, names undefined or doubled."""
SHOWN = 6
TIMEOUT_S = 20.0
_SCRIPTS = (".js", ".mjs", ".cjs")


async def complain(path: Path, name: str, text: str) -> str:
    """A text for after the tool's own, beginning on a new line; empty where nothing is wrong or the kind is unknown.

    Args:
        path: the file, as it has been written.
        name: what to call it.
        text: its content.
    """
    if why := _unreadable(name, text):
        return why
    if name.endswith(".py"):
        return _listed("But", await _lint_python(path))
    if name.endswith(_SCRIPTS):
        return _listed("But", await _check_script(path))
    return ""


def _listed(word: str, problems: list[str]) -> str:
    if not problems:
        return ""
    more = f"\n[{len(problems) - SHOWN} more]" if len(problems) > SHOWN else ""
    return "".join(f"\n{word} {problem}" for problem in problems[:SHOWN]) + more


def _unreadable(name: str, text: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if name.endswith(".py"):
                compile(text, name, "exec", flags=ast.PyCF_ONLY_AST, dont_inherit=True)
            elif name.endswith(".json"):
                json.loads(text)
            elif name.endswith(".toml"):
                tomllib.loads(text)
    except SyntaxError as error:
        return f"\nBut it does not compile now: line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"\nBut it can't be read now: {str(error).splitlines()[0]}"
    return ""


async def _lint_python(path: Path) -> list[str]:
    ruff = Path(sysconfig.get_path("scripts")) / "ruff"
    program = str(ruff) if ruff.exists() else shutil.which("ruff")
    if program is None:
        return []
    # Isolated: the target's own configuration may name plugins, or rules of taste.
    words = ["check", "--isolated", "--no-cache", "--quiet", "--select", RULES, "--output-format", "json"]
    done = await run([program, *words, str(path)], cwd=path.parent, environment={}, timeout=TIMEOUT_S)
    try:
        found = json.loads(done.out or "[]")
    except ValueError:
        return []
    return [f"line {each['location']['row']}: {each['code']} {each['message']}" for each in found]


async def _check_script(path: Path) -> list[str]:
    """Syntax only: nothing of the file is run."""
    program = shutil.which("node")
    if program is None:
        return []
    done = await run([program, "--check", str(path)], cwd=path.parent, environment={}, timeout=TIMEOUT_S)
    if done.ok or done.timed_out:
        return []
    lines = done.err.splitlines()
    place = next((line.rpartition(":")[2] for line in lines if line.startswith((str(path), "file://"))), "?")
    why = next((line for line in lines if "Error" in line), done.last_line)
    return [f"it does not parse now: line {place}: {why}"]
