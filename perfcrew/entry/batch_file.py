"""The file of a batch: YAML, JSON Lines, a JSON list or TOML, to jobs. Every mistake is told with its line."""

import difflib
import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from perfcrew.errors import UserError
from perfcrew.records.base import Record
from perfcrew.records.batch import Job
from perfcrew.records.work import Variation

_TOP = ("targets", "defaults")


class Entry(Record):
    """One target of a batch file. A list of variations or models asks for a job for each of them."""

    path: str
    name: str | None = None
    config: str | None = None
    context: str | None = None
    variation: Variation | tuple[Variation, ...] = "full"
    security: bool = False
    replay: str | None = None
    recorded_tools: bool = False
    model: str | tuple[str, ...] | None = None
    quick: bool = False


class _Located(NamedTuple):
    """An entry as it stands in the file."""

    value: Any
    where: str
    lines: Mapping[str, int] = {}
    """Key to its line, where the form tells."""


def read_jobs(file: Path) -> list[Job]:
    """The jobs that a batch file asks for, in its order.

    Raises:
        UserError: one line for the first mistake, with its place.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{file}: can't be read: it is not UTF-8 text") from None
    jobs = [job for found in _split(file, text) for job in _expand(_entry(found, file))]
    if not jobs:
        raise UserError(f"{file}: expected at least one target, got none")
    return _number(jobs)


def _split(file: Path, text: str) -> Iterator[_Located]:
    if file.suffix in (".yaml", ".yml"):
        yield from _split_yaml(file, text)
    elif file.suffix == ".toml":
        try:
            found = tomllib.loads(text).get("target", [])
        except ValueError as error:
            raise UserError(f"{file}: not valid TOML: {error}") from None
        yield from (_Located(value, f"{file}, target {number}") for number, value in enumerate(found, 1))
    elif text.lstrip().startswith("["):
        values = _decode(text, str(file))
        yield from (_Located(value, f"{file}, entry {number}") for number, value in enumerate(values, 1))
    else:
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                where = f"{file}, line {number}"
                yield _Located(_decode(line, where), where)


def _decode(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(f"{where}: not valid JSON: {error}") from None


def _split_yaml(file: Path, text: str) -> Iterator[_Located]:
    """A list of targets, or a mapping with `targets` and, for what they share, `defaults`."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        defaults: dict[str, Any] = {}
        if isinstance(root, yaml.MappingNode):
            keys = {str(key.value): (key, value) for key, value in root.value}
            for name, (key, _) in keys.items():
                if name not in ("targets", "defaults"):
                    raise UserError(
                        f"{file}, line {_line(key)}, {name}: no such key; {_hint(name, ('targets', 'defaults'))}"
                    )
            root = keys.get("targets", (None, None))[1]
            if "defaults" in keys:
                defaults = _construct(loader, keys["defaults"][1], file)
        if root is None:
            return
        if not isinstance(root, yaml.SequenceNode):
            raise UserError(f"{file}, line {_line(root)}: expected a list of targets")
        for node in root.value:
            value = loader.construct_object(node, deep=True)
            lines = {str(key.value): _line(key) for key, _ in node.value} if isinstance(node, yaml.MappingNode) else {}
            value = {"path": value} if isinstance(value, str) else value
            merged = {**defaults, **value} if isinstance(value, dict) else value
            yield _Located(merged, f"{file}, line {_line(node)}", lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UserError(f"{file}, line {mark.line + 1 if mark else 1}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not valid YAML: {str(error).splitlines()[0]}") from None
    finally:
        loader.dispose()


def _construct(loader: yaml.SafeLoader, node: yaml.Node, file: Path) -> dict[str, Any]:
    value = loader.construct_object(node, deep=True)
    if not isinstance(value, dict):
        raise UserError(f"{file}, line {_line(node)}, defaults: expected a mapping")
    return value


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _entry(found: _Located, file: Path) -> Entry:
    try:
        return Entry.model_validate(found.value)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
        key = str(problem["loc"][0]) if problem["loc"] else "entry"
        where = f"{file}, line {found.lines[key]}" if key in found.lines else found.where
        if problem["type"] == "extra_forbidden":
            raise UserError(f"{where}, {key}: no such key; {_hint(key, tuple(Entry.model_fields))}") from None
        raise UserError(f"{where}, {key}: {problem['msg'][0].lower()}{problem['msg'][1:]}") from None


def _hint(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"


def _expand(entry: Entry) -> Iterator[dict[str, Any]]:
    """A job for each variation and model, without its id."""
    variations = entry.variation if isinstance(entry.variation, tuple) else (entry.variation,)
    models = entry.model if isinstance(entry.model, tuple) else (entry.model,)
    for variation, model in product(variations, models):
        yield {**entry.model_dump(), "variation": variation, "model": model}


def _number(asked: Sequence[dict[str, Any]]) -> list[Job]:
    """Jobs with ids; equal ones are told apart by their number."""
    seen: Counter[str] = Counter()
    jobs = []
    for fields in asked:
        same = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]
        seen[same] += 1
        jobs.append(Job(id=f"{same}-{seen[same]}", **fields))
    return jobs
