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
    ("held_out", lambda workload: not _locust(workload), "none in a locust workload; give an http workload one"),
)
"""Field, the workloads that it fits, and what was expected where it is given and does not."""


def check_load(workload: Workload, repo: Path) -> Iterator[str]:
    """One line for each mistake in a workload's fields about load."""
    key = f"workload {workload.name}"
    for name, fits, expected in _FITS:
        if name in workload.model_fields_set and not fits(workload):
            yield f"{key}, {name}: expected {expected}; got it in a workload of kind {workload.kind!r}"
    file = workload.locustfile
    if not file or not _locust(workload):
        return
    parts = PurePosixPath(file).parts
    if parts[0] == "/" or ".." in parts or not file.endswith(".py"):
        yield f"{key}, locustfile: expected a Python file in the repository, as load/locustfile.py, got {file!r}"
    elif not (repo / file).is_file():
        yield f"{key}, locustfile: expected a file of the repository, got {file!r}, which isn't there"
