"""A finished run to report on: raw files simulated from a seed, figures computed from them by the real functions."""

from typing import Any

import numpy as np

from perfcrew.artifacts import Artifacts
from perfcrew.duel_stats import duel_effects, noise_floors
from perfcrew.records.base import ArtifactRef
from perfcrew.records.evidence import Check, Evidence, Measurement
from perfcrew.records.metrics import METRICS
from perfcrew.records.report import PhaseRow, UsagePart, UsageTable
from perfcrew.records.target import HttpRequest, Settings, Target, Workload
from perfcrew.records.work import (
    Attempt,
    Card,
    Change,
    Criterion,
    CriticalPath,
    Finding,
    PerformanceContext,
    Place,
    Plan,
    PlanStep,
    RecipeRequest,
    Review,
    Snapshot,
)
from perfcrew.report.build import Comparison, Material
from perfcrew.stats import recompute
from perfcrew.verdict import decide

BASE, HEAD = "b" * 40, "c" * 40
N_PLUS_ONE = "n_plus_one@GET /api/dashboard"
HOSTILE = "<script>alert('from the target')</script> & | `pipes` \x1b[31m[bold]"

DIFF = """diff --git a/app/dashboard.py b/app/dashboard.py
--- a/app/dashboard.py
+++ b/app/dashboard.py
@@ -10,4 +10,3 @@ def dashboard(session):
     users = session.scalars(select(User)).all()
-    for user in users:
-        user.items = session.scalars(select(Item).where(Item.user_id == user.id)).all()
+    attach_items(session, users)  # <b>one</b> query
     return users
"""
STACKS = """serve;handle;dashboard;load_items 420
serve;handle;dashboard;serialise;encode 310
serve;handle;dashboard;serialise 60
serve;handle;login<script> 40
serve;gc 12
"""


def simulate_duel(
    ratio: float,
    *,
    starts: int = 5,
    rounds: int = 4,
    requests: int = 60,
    base_ms: float = 240.0,
    queries: tuple[int, int] = (31, 31),
    noise: float = 0.02,
    floors: dict[str, float] | None = None,
    seed: int = 1,
) -> dict[str, Any]:
    """A raw duel in which the candidate takes 1/ratio of the base's time."""
    random = np.random.default_rng(seed)
    cells, begun = [], []
    for start in range(starts):
        served = {"base": 20, "candidate": 20}
        begun += [{"start": start, "arm": arm, "seconds": 1.2, "uss_mb": 60.0, "served": 20} for arm in served]
        for number in range(rounds):
            for order, arm in enumerate(("base", "candidate") if number % 2 == 0 else ("candidate", "base")):
                centre = base_ms / (ratio if arm == "candidate" else 1.0) * random.lognormal(0, noise)
                latency = [round(float(x), 4) for x in centre * random.lognormal(0, 0.35, requests)]
                served[arm] += requests
                cells.append({
                    "start": start, "arm": arm, "round": number, "order": order, "seconds": sum(latency) / 4000,
                    "latency_ms": latency, "requests": requests, "errors": 0, "failures": {}, "cut": 0,
                    "cpu_s": 0.6 * sum(latency) / 1000, "cores": 4, "uss_mb": 60 + served[arm] / 200,
                    "served": served[arm], "bytes": 900 * requests,
                })  # fmt: skip
    counts = {
        arm: {"db.queries_per_request": [float(count)] * 6, "http.bytes_per_response": [size] * 6}
        for arm, count, size in zip(("base", "candidate"), queries, (182000.0, 182000.0 / ratio), strict=True)
    }
    protocol = {"looks": [3, 5], "shares": [0.5, 0.5], "alpha": 0.05, "matter": 0.10, "floors": floors or {},
                "kind": "http"}  # fmt: skip
    return {"workload": "dashboard", "protocol": protocol, "cells": cells, "starts": begun, "counts": counts}


def measure(artifacts: Artifacts, metric: str, arm: str, method: str, raw: Any) -> Measurement:
    """A measurement whose value is what its raw file gives."""
    known = METRICS[metric]
    return Measurement(
        id=f"{metric.rpartition('.')[2]}@dashboard/{arm}",
        metric=metric, unit=known.unit, better=known.better, workload="dashboard", arm=arm,
        commit=BASE if arm == "base" else HEAD, value=recompute(method, raw), count=60, method=method,
        samples=artifacts.put_json(raw), instrument="load 1.0", environment="two cores",
    )  # fmt: skip


def _evidence(artifacts: Artifacts, arm: str, ratio: float) -> list[Evidence]:
    random = np.random.default_rng(7)
    latency = [float(x) for x in 240 / ratio * random.lognormal(0, 0.3, 60)]
    load = {"requests": [[i * 0.1, ms, 200, 900, i, True, False] for i, ms in enumerate(latency)], "seconds": 6.5,
            "cpu_s": 6.0 / ratio, "cores": 1}  # fmt: skip
    memory = {"points": [[i * 0.5, i * 40, 60 + (i * 0.4 if arm == "base" else i * 0.02)] for i in range(24)]}
    left = 1 if arm == "base" else 0
    return [
        Evidence(
            id=f"load@dashboard/{arm}", kind="load", title="Load", digest="P95 of dashboard",
            measurements=(
                measure(artifacts, "http.p95_ms", arm, "percentile:95", load),
                measure(artifacts, "cpu.utilisation", arm, "cpu_utilisation", load),
            ),
            artifact=artifacts.put_json(load),
        ),
        Evidence(
            id=f"memory@dashboard/{arm}", kind="memory", title="Memory", digest="USS over the load",
            measurements=(measure(artifacts, "memory.peak_mb", arm, "memory_peak_mb", memory),),
            artifact=artifacts.put_json(memory),
        ),
        Evidence(id=f"queries@GET /api/dashboard/{arm}", kind="queries", title="Queries", digest="31 queries a request",
                 facts={"statement.0.endpoint": "GET /api/dashboard", "statement.0.n_plus_one": left,
                        "statement.0.max_calls": 30 if left else 1, "statement.0.sql": "SELECT ? FROM items"}),
        Evidence(id=f"cpu@dashboard/{arm}", kind="cpu", title=f"CPU {HOSTILE}", digest="hot: load_items",
                 artifact=artifacts.put_json({"gil": STACKS, "wall": STACKS, "root": "/srv/app"}), facts={"busy": 0.9}),
    ]  # fmt: skip


def _change(artifacts: Artifacts, number: int, title: str, raw: dict[str, Any] | None, *, diff: str = DIFF) -> Change:
    step = f"fix:{number}"
    ref: ArtifactRef | None = None
    verdict = None
    if raw is not None:
        ref = artifacts.put_json(raw)
        verdict = decide(duel_effects(raw), [Check(name="tests", passed=True)], aim="http.p95_ms", samples=ref)
    kept = verdict is not None and verdict.accepted
    patch = artifacts.put_text(diff, ".diff")
    reason = verdict.reason if verdict else "the target's tests failed: test_rounding"
    return Change(
        step=step, title=title, commit=f"{number}" * 40 if kept else None, kept=kept, reason=reason,
        touched=("app/dashboard.py",), lines_added=int(kept), lines_removed=2 * kept, diff=patch, verdict=verdict,
        attempts=(Attempt(number=1, diff=patch, summary=title, verdict=verdict, reason=reason),),
    )  # fmt: skip


def _plan() -> Plan:
    steps = [
        PlanStep(
            id=f"fix:{number}", title=title, findings=(N_PLUS_ONE,), layer="database", hypothesis="One query is enough",
            metric="http.p95_ms", workload="dashboard", predicted_ratio=predicted, impact="high", effort="low",
            risk="low", side_effects="none", rollback="revert the commit", monitoring="P95 of the dashboard",
            test_strategy="the target's tests", files=("app/dashboard.py",),
        )
        for number, title, predicted in ((1, "Load items in one query", 3.0), (2, "Cache the totals", 1.5),
                                         (3, f"Round faster {HOSTILE}", 1.2), (4, "Never tried", 1.1))
    ]  # fmt: skip
    criteria = (Criterion(metric="db.queries_per_request", workload="dashboard", comparison="at_most", value=5),)
    return Plan(round=1, summary="Queries first", steps=tuple(steps), criteria=criteria, risks="few", rollback="revert")


def _findings() -> tuple[Finding, ...]:
    return (
        Finding(
            id="memory_leak@app", kind="memory_leak", place=Place(path="app/audit.py", line=12), severity="medium",
            claim="The audit list grows with each request.", evidence=("memory@dashboard/base",), share=None,
            remedy="Cap the list", prevention="Watch USS", source="detector",
        ),
        Finding(
            id=N_PLUS_ONE, kind="n_plus_one",
            place=Place(path="app/dashboard.py", line=11, symbol="dashboard", endpoint="GET /api/dashboard",
                        fingerprint="SELECT * FROM items WHERE user_id = ?"),
            claim=f"30 queries for 30 users {HOSTILE}", evidence=("queries@GET /api/dashboard/base",), share=0.62,
            severity="critical", remedy="Load items in one query", prevention="Count queries in tests",
            source="detector",
        ),
    )  # fmt: skip


def _target() -> Target:
    goals = (
        Criterion(metric="http.p95_ms", workload="dashboard", comparison="improve_by", value=3.0),
        Criterion(metric="db.queries_per_request", workload="dashboard", comparison="at_most", value=5),
    )
    return Target(
        target=Settings(name="dashboard", start="serve --port {port}", test="pytest"),
        workload=(Workload(name="dashboard", request=(HttpRequest(path="/api/dashboard"),)),),
        goal=goals,
    )


def finish_run(artifacts: Artifacts, *, ratio: float = 6.0, queries: int = 1, **changed: Any) -> Material:
    """A run that made the dashboard `ratio` times as fast; keyword arguments replace fields of the material."""
    noise = simulate_duel(1.0, seed=3)
    floors = noise_floors(noise)
    final = simulate_duel(ratio, queries=(31, queries), floors=floors, seed=4)
    changes = (
        _change(artifacts, 1, "Load items in one query", simulate_duel(ratio, queries=(31, 1), seed=5)),
        _change(artifacts, 2, "Cache the totals", simulate_duel(1.0, starts=3, noise=0.3, seed=6)),
        _change(artifacts, 3, f"Round faster {HOSTILE}", None, diff=""),
    )
    fields: dict[str, Any] = {
        "run_id": "r-0001",
        "target": _target(),
        "request": RecipeRequest(context=PerformanceContext(issue=f"The dashboard is slow. {HOSTILE}")),
        "base_commit": BASE,
        "head_commit": HEAD,
        "branch": "perfcrew/r-0001",
        "answered_by": "recording demo, made with example/model-1",
        "plans": (_plan(),),
        "changes": changes,
        "findings": _findings(),
        "evidence": (*_evidence(artifacts, "base", 1.0), *_evidence(artifacts, "candidate", ratio)),
        "final": Comparison(effects=duel_effects(final), samples=artifacts.put_json(final)),
        "noise": Comparison(effects=duel_effects(noise), samples=artifacts.put_json(noise)),
        "checks": (
            Check(name="existing tests", passed=True, detail="34 passed, 0 failed"),
            Check(name="behaviour", passed=True, detail="212 answers equal"),
            Check(name="the branch reverts to the base", passed=True, detail="reverting 1 commit gives the base tree"),
        ),
        "reviews": (Review(role="tester", summary="Unchanged.", concerns=("Dates are compared as text.",), checks=()),),
        "snapshot": Snapshot(
            summary="A dashboard over two tables.", components=("api", "db"), patterns=("none",), graph={"route": 4},
            critical_paths=(CriticalPath(route="GET /api/dashboard", functions=("dashboard",), tables=("items",),
                                         note="one loop"),),
        ),
        "board": (Card(id="step:1", title="Load items in one query", role="coder", status="DONE"),),
        "phases": (
            PhaseRow(name="baseline", seconds=60.0, started=2.0, group="analysis"),
            PhaseRow(name="memory-sync", seconds=40.0, started=2.0, group="analysis"),
            PhaseRow(name="plan", seconds=20.0, started=62.0),
            PhaseRow(name="implementation", seconds=120.0, started=82.0),
            PhaseRow(name="validation", seconds=90.0, started=202.0, group="validation"),
            PhaseRow(name="regression tests", seconds=30.0, started=202.0, group="validation"),
        ),
        "wall_seconds": 295.5,
        "usage": UsageTable(
            input_tokens=120_000, output_tokens=8_000, cached_tokens=90_000, model_calls=31, cached_share=0.75,
            unpriced=("openai-chat/<local>",),
            rows=(
                UsagePart(role="coder", phase="implementation", model="example/model-1", input_tokens=100_000,
                          output_tokens=7_000, cached_tokens=90_000, usd=0.42, model_calls=30, cached_share=0.9),
                UsagePart(role="tester", phase="validation", model="openai-chat/<local>", input_tokens=20_000,
                          output_tokens=1_000, model_calls=1),
            ),
        ),
        "models": ("example/model-1",),
        "prompts": {"architect": "0123456789abcdef"},
        "notes": ("PostgreSQL was not used here.",),
        "environment": {"cores": "2", "python": "3.12"},
    }  # fmt: skip
    return Material(**{**fields, **changed})
