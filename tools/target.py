"""Reading `perfcrew.toml`: a whole, checked target, or one line for every mistake in it."""

import difflib
import json
import tomllib
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from perfcrew.errors import UserError
from perfcrew.records.base import Record
from perfcrew.records.models import MODEL_FORM
from perfcrew.records.target import Target
from tools.target_checks import find_mistakes

FILE = "perfcrew.toml"
_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_PATTERNS = {
    "name": "letters, digits, dot, dash and underscore only",
    "path": "a path that begins with /",
    "ready": "a path that begins with /",
}
_MEANING = {
    "target": "the table [target]",
    "workload": "at least one [[workload]]",
    "start": "the command that starts the application, with {port}",
    "name": "a name",
    "path": "a path that begins with /",
    "engine": "'sqlite' or 'postgresql'",
    "command": "a command",
    "request": "at least one request",
    "metric": "a metric such as http.p95_ms",
    "comparison": "'at_most', 'at_least' or 'improve_by'",
    "value": "a number",
}


def load_target(repo: Path, config: Path | None) -> tuple[Target, Path]:
    """Read and check a target's description.

    Args:
        repo: the target's repository; its `perfcrew.toml` is read unless `config` names another file.
        config: a description elsewhere.

    Returns:
        The target, and the file that it came from.

    Raises:
        UserError: one line for each mistake: file, key, what was expected and what came.
    """
    if not repo.is_dir():
        raise UserError(f"{repo}: no such folder; expected the application's repository")
    path = config if config is not None else repo / FILE
    data = _read(path)
    try:
        # Through JSON, because strict validation of Python values would refuse lists for tuples.
        target = Target.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        lines = dict.fromkeys(_describe(problem, data) for problem in error.errors(include_url=False))
        if len(lines) > 1:  # a list whose only entry is wrong counts as too short as well
            lines.pop(f"workload: expected {_MEANING['workload']}, got nothing", None)
        raise UserError("\n".join(f"{path}: {line}" for line in lines)) from None
    mistakes = find_mistakes(target, repo)
    if mistakes:
        raise UserError("\n".join(f"{path}: {line}" for line in mistakes))
    return target, path


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `perfcrew init` writes a first version") from None
    except OSError as error:
        raise UserError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: expected UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        raise UserError(f"{path}: not valid TOML: {message[0].lower()}{message[1:]}") from None


def _describe(problem: Any, data: dict[str, Any]) -> str:
    """One line about a validation problem: the key, what was expected, what came."""
    location = [part for part in problem["loc"] if part not in ("str", "int", "[key]")]
    key = str(location[-1]) if location else ""
    kind, message = problem["type"], str(problem["msg"])
    where = _where(location, data)
    if kind == "extra_forbidden":
        return f"{where}: no such key{_near(key, _keys(location[:-1]))}"
    if kind in ("missing", "too_short"):
        return f"{where}: expected {_MEANING.get(key, 'a value')}, got nothing"
    if kind == "value_error":
        return f"{where}: {problem['ctx']['error']}"
    expected = _EXPECTED.get(kind)
    if kind == "string_pattern_mismatch":
        expected = MODEL_FORM if location[0] == "models" else _PATTERNS.get(key)
    if kind == "literal_error":
        expected = problem["ctx"]["expected"]
    expected = expected or message.removeprefix("Input should be ").removeprefix("Value should be ")
    if problem["loc"][-1:] in (("str",), ("int",)):
        expected = "a text or a whole number"
    return f"{where}: expected {expected}, got {_short(problem['input'])}"


def _where(location: list[Any], data: Any) -> str:
    """`workload 1 (dashboard), request 2, path`: indices from 1, with the names that entries have."""
    words: list[str] = []
    for part in location:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            data = None
        if isinstance(part, int):
            name = data.get("name") if isinstance(data, dict) else None
            words[-1] += f" {part + 1}" + (f" ({name})" if isinstance(name, str) else "")
        else:
            words.append(str(part))
    return ", ".join(words) or "the file"


def _keys(location: list[Any]) -> list[str]:
    """The keys that a table at this place may have."""
    record: type[Record] = Target
    for part in location:
        if isinstance(part, int):
            continue
        inner = next((f.annotation for n, f in record.model_fields.items() if part in (n, f.alias)), None)
        found = _record_in(inner)
        if found is None:
            return []
        record = found
    return [field.alias or name for name, field in record.model_fields.items()]


def _record_in(annotation: Any) -> type[Record] | None:
    """The record type inside `X`, `X | None` or `tuple[X, ...]`."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, Record) else None
    return next((found for each in typing.get_args(annotation) if (found := _record_in(each))), None)


def _near(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; expected one of {', '.join(known)}" if known else ""


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"
