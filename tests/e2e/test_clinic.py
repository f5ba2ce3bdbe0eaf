"""The planted Django practice: its faults are found by id, its healthy endpoints left alone, a cure is counted."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from perfcrew.records.facts import unpack_rows
from perfcrew.records.target import Database
from tests.e2e.patches import Edit, Patch
from tests.e2e.planted import commit_patch, findings_of, look_at, opened, workload_of
from tools.behaviour import compare_behaviour
from tools.database import close_databases
from tools.duel import run_duel
from tools.protocol import QUICK
from tools.queries import trace_queries
from tools.target_tests import run_tests
from tools.workspace import Workspace

pytestmark = [pytest.mark.app, pytest.mark.asyncio(loop_scope="module")]
DAY, ALLERGIES, LAST_SEEN = "n_plus_one@q:09eda1", "n_plus_one@q:3df64f", "n_plus_one@q:ff2390"
BATCH = Patch(
    title="Read a day's patients, allergies and last visits at once",
    body="Each appointment asked for its patient, the allergies and the visit before with a statement of its own.",
    kinds=("n_plus_one",),
    layer="database",
    edits=(
        Edit(
            "visits/views.py",
            "from django.db import IntegrityError, transaction\n",
            "from django.db import IntegrityError, transaction\nfrom django.db.models import OuterRef, Subquery\n",
        ),
        Edit(
            "visits/views.py",
            "def last_seen(appointment: Appointment) -> datetime | None:\n"
            '    """When the patient was here before; None on a first visit."""\n'
            "    before = Appointment.objects.filter("
            "patient=appointment.patient, starts_at__lt=appointment.starts_at)\n"
            '    latest = before.order_by("-starts_at").first()\n'
            "    return latest.starts_at if latest else None\n",
            "def visit_before() -> Subquery:\n"
            '    """When a patient was here before; None on a first visit."""\n'
            "    before = Appointment.objects.filter("
            'patient=OuterRef("patient"), starts_at__lt=OuterRef("starts_at"))\n'
            '    return Subquery(before.order_by("-starts_at").values("starts_at")[:1])\n',
        ),
        Edit("visits/views.py", "last_seen(appointment)", "appointment.last_seen"),
        Edit(
            "visits/views.py",
            '    ).order_by("starts_at")\n',
            "    )\n"
            '    appointments = appointments.select_related("patient").prefetch_related("patient__allergies")\n'
            '    appointments = appointments.annotate(last_seen=visit_before()).order_by("starts_at")\n',
        ),
    ),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clinic(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workspace]:
    folder = tmp_path_factory.mktemp("clinic")
    async with opened("clinic", folder, tmp_path_factory.getbasetemp() / "home") as workspace:
        yield workspace


async def test_its_own_tests_pass_where_runs_have_them(clinic: Workspace) -> None:
    evidence = await run_tests(clinic, clinic.base_commit, "base")
    assert evidence.facts["passed_all"] == 1, evidence.digest
    assert int(evidence.facts["passed"] or 0) >= 15


async def test_the_day_asks_again_for_each_appointment(clinic: Workspace) -> None:
    findings = findings_of((await look_at(clinic, "front-desk")).values())
    places = {name: (found.place.path, found.place.symbol) for name, found in findings.items()}
    assert places == {
        DAY: ("visits/views.py", "describe"),
        ALLERGIES: ("visits/views.py", "describe"),
        LAST_SEEN: ("visits/views.py", "last_seen"),
    }
    assert {found.place.endpoint for found in findings.values()} == {"GET /api/doctors/<int:doctor_id>/day"}


async def test_the_latest_results_want_an_index(clinic: Workspace) -> None:
    evidence = await look_at(clinic, "laboratory")
    findings = findings_of(evidence.values())
    # A single write that waits for the disk may look slow; no reading statement may.
    assert {name for name, found in findings.items() if found.kind != "slow_query"} == {
        "missing_index@results_result(code)"
    }
    rows = [row for row in unpack_rows(evidence["explain"].facts, "plan") if row.get("index")]
    assert [(row["table"], row["index_used"]) for row in rows] == [("results_result", 1)]


async def test_the_export_is_large_plain_and_written_by_hand(clinic: Workspace) -> None:
    findings = findings_of((await look_at(clinic, "export", cpu=True)).values())
    endpoint = "GET /api/results/export"
    planted = {"serialisation@write_document", f"large_payload@{endpoint}", f"no_compression@{endpoint}"}
    assert planted <= set(findings)
    assert findings["serialisation@write_document"].place.path == "results/export.py"


async def test_cards_are_left_alone(clinic: Workspace) -> None:
    evidence = await look_at(clinic, "cards", cpu=True)
    assert set(evidence) == {"queries", "payload", "explain", "cpu"}
    assert findings_of(evidence.values()) == {}
    assert evidence["queries"].facts["queries_per_request"] == pytest.approx((3 * 3 + 1) / 4)


async def test_a_cure_answers_alike_and_its_queries_are_counted(clinic: Workspace) -> None:
    cured = await commit_patch(clinic, BATCH)
    checks, _ = await compare_behaviour(clinic, clinic.base_commit, cured, held_out=True, most=12)
    assert len(checks) > 4
    assert [check for check in checks if not check.passed] == []
    workload = workload_of(clinic, "front-desk")
    duel = await run_duel(clinic, clinic.base_commit, cured, workload, name="batch", protocol=QUICK, floors={})
    counted = {effect.metric: effect for effect in duel.effects}["db.queries_per_request"]
    assert counted.exact
    assert counted.outcome == "improved"
    # A day had a query for the doctor, one for the day, three for each of 12 or so appointments.
    assert counted.base > 20 > 5 > counted.candidate


async def test_on_postgresql_the_same_is_found(clinic: Workspace, tmp_path: Path) -> None:
    assert clinic.target.database is not None
    server = Database(engine="postgresql", seed=clinic.target.database.seed, migrate=clinic.target.database.migrate)
    target = clinic.target.model_copy(update={"database": server})
    async with opened("clinic", tmp_path, clinic.home) as other:
        workspace = replace(other, target=target)
        try:
            findings = findings_of((await look_at(workspace, "front-desk")).values())
            assert {found.kind for found in findings.values()} == {"n_plus_one"}
            assert {found.place.symbol for found in findings.values()} == {"describe", "last_seen"}
            evidence = await look_at(workspace, "laboratory")
            assert "missing_index@results_result(code)" in findings_of(evidence.values())
            asked = workload_of(workspace, "cards")
            cards = await trace_queries(workspace, workspace.base_commit, asked, arm_name="base")
            assert findings_of([cards]) == {}
        finally:
            await close_databases(workspace)
