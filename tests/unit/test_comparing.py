from graphs.comparing import loads_of
from graphs.page_comparing import pages_of
from perfcrew.records.target import Target


def test_each_kind_of_workload_is_compared() -> None:
    description = {
        "target": {"name": "shop", "start": "serve {port}"},
        "workload": [
            {"name": "read", "request": [{"path": "/"}]},
            {"name": "shoppers", "kind": "locust", "locustfile": "load/locustfile.py"},
            {"name": "nightly", "kind": "command", "command": "nightly"},
            {"name": "front", "kind": "page", "page": {"path": "/"}},
        ],
    }
    target = Target.model_validate(description)
    assert [workload.name for workload in loads_of(target)] == ["read", "shoppers", "nightly"]
    assert [workload.name for workload in pages_of(target)] == ["front"]
