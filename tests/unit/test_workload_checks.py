from pathlib import Path

import pytest

from perfcrew.records.target import Workload
from tools.workload_checks import check_load

REQUEST = {"request": [{"path": "/"}]}
LOCUST = {"kind": "locust", "locustfile": "load/locustfile.py"}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    (tmp_path / "load").mkdir()
    for name in ("locustfile.py", "other.py"):
        (tmp_path / "load" / name).write_text("")
    return tmp_path


def mistakes(repo: Path, **fields: object) -> list[str]:
    return list(check_load(Workload.model_validate({"name": "w", **fields}), repo))


@pytest.mark.parametrize(
    "fields",
    [
        {**REQUEST, "users": 3, "think_s": 1.0},
        {**REQUEST, "rate": 50.0, "connections": 10},
        {**LOCUST, "users": 10, "spawn_rate": 2.0},
        {**LOCUST, "held_out": {"locustfile": "load/other.py"}},
        {"kind": "command", "command": "x"},
    ],
)
def test_what_fits_is_silent(repo: Path, fields: dict[str, object]) -> None:
    assert mistakes(repo, **fields) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({**REQUEST, "rate": 5.0, "users": 3}, "users: expected none beside rate"),
        ({**REQUEST, "rate": 5.0, "think_s": 3.0}, "think_s: expected none beside rate"),
        ({**REQUEST, "connections": 3}, "connections: expected it only with rate"),
        ({**REQUEST, "spawn_rate": 3.0}, 'spawn_rate: expected it only where kind = "locust"'),
        ({**REQUEST, "locustfile": "a.py"}, 'locustfile: expected it only where kind = "locust"'),
        ({**LOCUST, "think_s": 3.0}, "think_s: expected none in a locust workload"),
        ({**LOCUST, "rate": 3.0}, "rate: expected it only in an http workload"),
        ({**LOCUST, **REQUEST}, "request: expected none in a locust workload"),
        ({**LOCUST, "held_out": {}}, "held_out, locustfile: expected another locustfile, got nothing"),
        (
            {**LOCUST, "held_out": {"locustfile": "load/other.py", "command": "x"}},
            "held_out, command: expected only locustfile",
        ),
        ({**LOCUST, "held_out": {"locustfile": LOCUST["locustfile"]}}, "held_out, locustfile: expected another"),
        ({**LOCUST, "held_out": {"locustfile": "load/none.py"}}, "held_out, locustfile: expected a file of the repo"),
        ({**LOCUST, "held_out": {"locustfile": ""}}, "held_out, locustfile: expected a Python file"),
        ({**REQUEST, "held_out": {"locustfile": "a.py"}}, 'held_out, locustfile: expected only where kind = "locust"'),
        ({**LOCUST, "locustfile": "../l.py"}, "locustfile: expected a Python file in the repository"),
        ({**LOCUST, "locustfile": "/etc/l.py"}, "locustfile: expected a Python file in the repository"),
        ({**LOCUST, "locustfile": "load/none.py"}, "locustfile: expected a file of the repository"),
        ({"kind": "command", "command": "x", "rate": 3.0}, "rate: expected it only in an http workload"),
    ],
)
def test_each_mistake_takes_one_line(repo: Path, fields: dict[str, object], told: str) -> None:
    lines = mistakes(repo, **fields)
    assert len(lines) == 1
    assert lines[0].startswith(f"workload w, {told}")
    assert "\n" not in lines[0]


def test_a_locust_workload_names_its_file() -> None:
    with pytest.raises(ValueError, match="a locust workload needs `locustfile`"):
        Workload.model_validate({"name": "w", "kind": "locust"})
