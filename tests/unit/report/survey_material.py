"""A small survey with its raw files, made as `perfcrew measure` makes one."""

from perfcrew.artifacts import Artifacts
from perfcrew.records.evidence import Evidence, Measurement
from perfcrew.records.facts import pack_rows
from perfcrew.records.metrics import METRICS
from perfcrew.records.survey import Survey, WorkloadRow
from perfcrew.report.survey_seal import seal
from tools.detectors import detect

STATEMENT = {
    "id": "q:aaaaaa", "endpoint": "GET /a|b", "site": "app/a.py:12 load", "via": "", "calls": 50.0, "max_calls": 50,
    "ms": 40.0, "rows": 1.0, "distinct": 50.0, "share": 0.6, "loop_share": 0.7, "n_plus_one": 1, "repeated": 0,
    "sql": "SELECT [bold]<b>name</b> FROM books WHERE id = ?",
}  # fmt: skip
ENDPOINT = {"name": "GET /a|b", "queries": 51.0, "db_ms": 40.0, "ms": 60.0, "share": 1.0, "db_share": 0.66}


def measure(artifacts: Artifacts, metric: str, method: str, raw: object, value: float, doubt: str = "") -> Measurement:
    known = METRICS[metric]
    return Measurement(
        id=f"{metric}@shop/base", metric=metric, unit=known.unit, better=known.better, workload="shop", arm="base",
        commit="c" * 40, value=value, count=4, method=method, samples=artifacts.put_json(raw), instrument="test 1",
        environment="here", doubt=doubt,
    )  # fmt: skip


def make_survey(artifacts: Artifacts, *, healthy: bool = False, doubt: str = "") -> Survey:
    metrics = (
        measure(artifacts, "http.p95_ms", "max:/values", {"values": [10.0, 20.0, 118.25]}, 118.25, doubt),
        measure(artifacts, "start.seconds", "median:/values", {"values": [0.2, 0.3, 0.4]}, 0.3),
    )
    rows = [] if healthy else [STATEMENT]
    evidence = (
        Evidence(
            id="queries@shop/base", kind="queries", title="shop: 51 queries a request", digest="\x1b[31mred",
            facts={"queries_per_request": 51.0, **pack_rows("endpoint", [ENDPOINT]), **pack_rows("statement", rows)},
            artifact=metrics[0].samples, measurements=(metrics[0],),
        ),
        Evidence(
            id="memory@shop/base", kind="memory", title="", digest="", facts={"leak": None, "peak_mb": 41.0},
        ),
    )  # fmt: skip
    return seal(
        Survey(
            commit="c" * 40, environment={"cores": "2"}, target="<shop>", subject="Sell [red]books", run_id="run-1",
            workloads=(WorkloadRow(name="shop", kind="http", requests=("GET /a|b",), users=4),),
            metrics=metrics, findings=detect(evidence), notes=("chromium is missing",), seconds=61.0,
            evidence=tuple(item.model_copy(update={"measurements": ()}) for item in evidence),
        )
    )  # fmt: skip
