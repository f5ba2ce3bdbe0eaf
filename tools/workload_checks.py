"""What a workload's fields about load must fulfil: who sends when, in the closed model, the open one and by Locust."""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from perfcrew.records.target import Workload


def _closed(workload: Workload) -> bool:
    return workload.kind == "http" and workload.rate is None


def _open(workload: Workload) -> bool:
    return workload.kind == "http" and workload.rate is not None


def _locust(workload: Workload) -> bool:
    return workload.kind == "locust"


_FITS: tuple[tuple[str, Callable[[Workload], bool], str], ...] = (
    ("users", lambda workload: not _open(workload), "none beside rate: requests then come by rate, not by users"),
    ("think_s", lambda workload: not _open(workload), "none beside rate: requests then come by rate, not by users"),
    (
        "think_s",
        lambda workload: not _locust(workload),
        "none in a locust workload: the locustfile's wait_time decides",
    ),
    ("rate", lambda workload: workload.kind == "http", "it only in an http workload"),
    ("connections", lambda workload: not _closed(workload), "it only with rate: each user has a connection of its own"),
    ("connections", lambda workload: workload.kind == "http", "it only in an http workload"),
    ("locustfile", _locust, 'it only where kind = "locust"'),
    ("spawn_rate", _locust, 'it only where kind = "locust"'),
    ("request", lambda workload: not _locust(workload), "none in a locust workload: the locustfile says what is sent"),
)
"""Field, the workloads that it fits, and what was expected where it is given and does not."""


def check_load(workload: Workload, repo: Path) -> Iterator[str]:
    """One line for each mistake in a workload's fields about load."""
    key = f"workload {workload.name}"
    for name, fits, expected in _FITS:
        if name in workload.model_fields_set and not fits(workload):
            yield f"{key}, {name}: expected {expected}; got it in a workload of kind {workload.kind!r}"
    if workload.locustfile and _locust(workload):
        yield from _check_file(f"{key}, locustfile", workload.locustfile, repo)
    yield from _check_held_out(workload, repo)


def _check_held_out(workload: Workload, repo: Path) -> Iterator[str]:
    held_out = workload.held_out
    if held_out is None:
        return
    key, own = f"workload {workload.name}, held_out", _locust(workload)
    if not own:
        if held_out.locustfile is not None:
            yield f'{key}, locustfile: expected only where kind = "locust", got it in one of kind {workload.kind!r}'
        return
    for name in sorted(held_out.model_fields_set - {"locustfile"}):
        yield f"{key}, {name}: expected only locustfile in a locust workload"
    if held_out.locustfile is None:
        yield f"{key}, locustfile: expected another locustfile, got nothing"
    elif held_out.locustfile == workload.locustfile:
        yield f"{key}, locustfile: expected another locustfile than the workload's, got the same"
    else:
        yield from _check_file(f"{key}, locustfile", held_out.locustfile, repo)


def _check_file(key: str, file: str, repo: Path) -> Iterator[str]:
    parts = PurePosixPath(file).parts
    if not parts or parts[0] == "/" or ".." in parts or not file.endswith(".py"):
        yield f"{key}: expected a Python file in the repository, as load/locustfile.py, got {file!r}"
    elif not (repo / file).is_file():
        yield f"{key}: expected a file of the repository, got {file!r}, which isn't there"
