"""What is asked of both versions beside the workloads as they are: requests made from a target's description.

Sequences with writes in between show stale caches, several users mixed-up ones, odd inputs lost errors. Pure functions.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from perfcrew.records.target import HttpRequest, Probe, Target, Workload
from tools.requests import Asked, ask, combine, expand_workload, request_names

MAX_SEQUENCES = 6
"""Parameter combinations for which a probe's sequence is run."""
MAX_WRITES = 6
MAX_USERS = 3
AT_ONCE = 8
"""How often a write is sent at the same time."""
READING = ("GET", "HEAD")
_IDENTITY = ("authorization", "cookie", "token", "user", "session", "account", "tenant", "api-key", "accept-language")
_HUGE = "x" * 3000
_ODD_VALUES = ("999999999", "", "-1", "nope", "0", "ä'\"<b>%00", _HUGE)
"""The most telling first: where only some are asked, they are these."""
_ODD_BODIES = (b"", b"{", b"[]", b"null", b'"text"')


def workload_requests(workload: Workload, most: int, *, held_out: bool) -> list[Asked]:
    """A workload's requests with their parameters, evenly spread."""
    templates = expand_workload(workload, cap=most, held_out=held_out)
    each = max(2, most // len(templates))
    return [item for fills in expand_workload(workload, cap=each, held_out=held_out) for item in fills]


def probe_sequences(probe: Probe, most: int = MAX_SEQUENCES) -> list[list[Asked]]:
    """A probe's sequence for several combinations of its parameters, at most so many."""
    names = set().union(*(request_names(request) for request in probe.request))
    return [
        [ask(request, given, number) for number, request in enumerate(probe.request)]
        for given in combine(probe.params, names, most)
    ]


def reads_of(target: Target, most: int) -> list[Asked]:
    """Requests that only read, of all workloads and of the probes that the coder may see."""
    return _spread(all_reads(target, most), most)


def all_reads(target: Target, most: int) -> list[Asked]:
    """The same, as many as there are: at most so many of each workload."""
    found = [item for workload in _http(target) for item in workload_requests(workload, most, held_out=False)]
    found += [item for probe in _open(target) for item in probe_sequences(probe)[0]]
    reads = {(item.path, *sorted(item.headers.items())): item for item in found if item.method in READING}
    return list(reads.values())


def writes_of(target: Target) -> list[Asked]:
    """Requests that write, each once for each combination of its parameters, the most different first."""
    sequences = [probe_sequences(probe) for probe in _open(target)]
    sequences += [[workload_requests(workload, MAX_WRITES, held_out=False)] for workload in _http(target)]
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*sequences))
    writes = [item for sequence in in_turn if sequence for item in sequence if item.method not in READING]
    return list({(item.name, item.body, *sorted(item.headers.items())): item for item in writes}.values())[:MAX_WRITES]


def around_writes(target: Target, most: int) -> list[Asked]:
    """All reads before and after each write, in one sequence: what is kept too long shows in the next read."""
    reads, writes = reads_of(target, most), writes_of(target)
    return [*reads, *(item for write in writes for item in (write, *reads))] if writes else []


def by_user(target: Target, *, held_out: bool) -> list[list[Asked]]:
    """The same request as one user, as others, as nobody, and as the first again; a sequence a request."""
    found = []
    for workload in _http(target):
        params = dict(workload.params)
        if held_out and workload.held_out is not None:
            params = {name: (*values, *workload.held_out.params.get(name, ())) for name, values in params.items()}
        found += [_as_users(request, params) for request in workload.request]
    for probe in _open(target):
        found += [_as_users(request, probe.params) for request in probe.request]
    return [sequence for sequence in found if sequence]


def _as_users(request: HttpRequest, params: Mapping[str, Sequence[str | int]]) -> list[Asked]:
    identity = {name for name in request.headers if any(word in name.lower() for word in _IDENTITY)}
    if not identity or request.method not in READING:
        return []
    who = request_names(HttpRequest(path="/", headers={name: request.headers[name] for name in identity}))
    rest = {name: values[0] for name, values in params.items() if values and name not in who}
    users = [ask(request, {**rest, **given}) for given in combine(params, who, MAX_USERS)]
    nobody = {name: text for name, text in users[0].headers.items() if name not in identity}
    return [*users, replace(users[0], headers=nobody), users[0]]


def odd_requests(target: Target, most: int) -> list[Asked]:
    """Empty, huge, negative, unknown and malformed inputs, made of each request that the coder may see."""
    templates: dict[str, Asked] = {}
    asked = [item for workload in _http(target) for item in workload_requests(workload, 2, held_out=False)]
    asked += [item for probe in _open(target) for item in probe_sequences(probe)[0]]
    for item in asked:
        templates.setdefault(f"{item.method} {item.endpoint}", item)
    each = [list(_odd(item)) for item in templates.values()]
    in_turn = (item for layer in itertools.zip_longest(*each) for item in layer if item is not None)
    return list(itertools.islice(in_turn, most))


def _odd(asked: Asked) -> Iterator[Asked]:
    """Variants of one request, those of its path and query in turn with those of its body."""
    split = urlsplit(asked.path)
    query = parse_qsl(split.query, keep_blank_values=True)
    bodies = [replace(asked, body=body) for body in _odd_bodies(asked.body)]
    paths = [replace(asked, path=path) for path in _odd_paths(split.path, query, asked.endpoint)]
    for layer in itertools.zip_longest(paths, bodies):
        yield from (item for item in layer if item is not None)


def _odd_paths(path: str, query: list[tuple[str, str]], endpoint: str) -> Iterator[str]:
    asked = f"?{urlencode(query)}" if query else ""
    if query:
        # The limits of a page are where truncation shows.
        yield f"{path}?{urlencode([(name, '120' if value.isdigit() else value) for name, value in query])}"
        yield path
        yield f"{path}?{urlencode([*query, *query, ('unknown', '1')])}"
    for value in _ODD_VALUES:
        for at, (name, _) in enumerate(query):
            changed = [*query[:at], (name, value), *query[at + 1 :]]
            yield f"{path}?{urlencode(changed)}"
        head, _, last = path.rpartition("/")
        if endpoint.rpartition("/")[2].startswith("{") or last.isdigit():
            yield f"{head}/{quote(value, safe='')}{asked}"


def _odd_bodies(body: bytes) -> Iterator[bytes]:
    if not body:
        return
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    yield from _ODD_BODIES
    if isinstance(value, dict):
        for name in value:
            values: tuple[Any, ...] = (None, "", -1, 0, [], _HUGE, 10**12)
            yield from (json.dumps({**value, name: odd}).encode() for odd in values)
            yield json.dumps({key: kept for key, kept in value.items() if key != name}).encode()


def racing_writes(target: Target) -> list[list[Asked]]:
    """Bursts of the same write, by all the users that it is described for, and once more with words of their own.

    A write that was made before may be known by such a word, as its key, and would do nothing any more.
    """
    bursts: dict[str, list[Asked]] = {}
    for write in writes_of(target):
        bursts.setdefault(f"{write.method} {write.endpoint} {_shape(write.body)}", []).append(write)
        if (other := _reworded(write.body)) != write.body:
            bursts.setdefault(f"{write.endpoint} reworded", []).append(replace(write, body=other))
    return [list(itertools.islice(itertools.cycle(same), AT_ONCE)) for same in bursts.values()]


def _reworded(body: bytes) -> bytes:
    """A JSON body whose texts are others."""
    try:
        value = json.loads(body or b"null")
    except ValueError:
        return body
    if not isinstance(value, dict) or not any(isinstance(each, str) for each in value.values()):
        return body
    return json.dumps({name: f"{each}~" if isinstance(each, str) else each for name, each in value.items()}).encode()


def _shape(body: bytes) -> Any:
    try:
        value = json.loads(body or b"null")
    except ValueError:
        return None
    return sorted(value) if isinstance(value, dict) else None


def _http(target: Target) -> list[Workload]:
    return [workload for workload in target.workload if workload.kind == "http"]


def _open(target: Target) -> Iterable[Probe]:
    return [probe for probe in target.probe if not probe.held_out and probe.request]


def _spread(items: Sequence[Asked], most: int) -> list[Asked]:
    """At most so many, evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[round(at * (len(items) - 1) / max(most - 1, 1))] for at in range(most)]
