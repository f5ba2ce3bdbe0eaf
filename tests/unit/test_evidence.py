from perfcrew.records.evidence import DIGEST_CHARACTERS, Evidence
from tools.explain import fit_plans
from tools.plans import Table


def evidence(digest: str) -> Evidence:
    return Evidence(id="explain@w/base", kind="explain", title="12 queries explained", digest=digest)


def test_a_digest_stays_below_its_tokens_whatever_the_target_has() -> None:
    lines = [f"query {number}: {'Seq Scan on a_table_with_a_long_name ' * 8}" for number in range(40)]
    cut = evidence("\n".join(lines)).digest
    assert len(cut) <= DIGEST_CHARACTERS
    *kept, note = cut.splitlines()
    assert kept == lines[: len(kept)] and len(kept) > 15
    assert note.startswith("[cut: ") and "the raw file has everything" in note


def test_a_digest_without_lines_is_cut_as_well_and_only_once() -> None:
    cut = evidence("x" * 3 * DIGEST_CHARACTERS)
    assert DIGEST_CHARACTERS - 100 < len(cut.digest) <= DIGEST_CHARACTERS
    assert Evidence.model_validate(cut.model_dump()) == cut
    assert evidence("short").digest == "short"


def test_plans_leave_out_the_smallest_shares_and_never_the_tables() -> None:
    plan = [
        f"Seq Scan on activities, step {step} of a plan with very many words in it, as plans have them"
        for step in range(8)
    ]
    row = {"endpoint": "GET /a", "site": "a.py:1 load", "calls": 1.0, "sql": "SELECT 1", "ms": 9.0, "rows": 3}
    rows = [{**row, "id": f"q:{number:06d}", "plan": plan, "read": 5, "read_exact": 1} for number in range(12)]
    tables = {"activities": Table("activities", 51_809, ("id",), {})}
    digest = fit_plans(rows, tables, "\n\nRows read")
    shown = digest.count("SELECT 1")
    assert len(digest) <= DIGEST_CHARACTERS and 5 <= shown < 12
    assert f"and {12 - shown} more with smaller shares" in digest and "q:000000" in digest
    assert "activities: 51,809 rows" in digest and digest.endswith("Rows read")
    assert "more with" not in fit_plans(rows[:2], tables, "")
