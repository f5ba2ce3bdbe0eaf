"""What the performance role proposes becomes findings with measured shares, or with none."""

import pytest
from finding_material import doubtful

from agents.performance import BaselineAnswer, ProposedFinding, check_baseline, to_findings
from perfcrew.records.evidence import Evidence
from perfcrew.records.work import Finding, Place

SHARES = {"q:1": 0.4, "shop/items.py:12": 0.3, "load_items": 0.25, "GET /items": 1.0}


def propose(**place: object) -> BaselineAnswer:
    proposed = ProposedFinding(
        kind="slow_query",
        place=Place(**place),  # type: ignore[arg-type]
        claim="c",
        evidence=("queries@items/base",),
        severity="high",
        remedy="r",
        prevention="p",
    )
    return BaselineAnswer(summary="s", findings=(proposed,))


@pytest.mark.parametrize(
    ("place", "share"),
    [
        ({"fingerprint": "q:1", "endpoint": "GET /items"}, 0.4),
        ({"path": "shop/items.py", "line": 12, "endpoint": "GET /items"}, 0.3),
        ({"symbol": "shop.items.load_items()", "endpoint": "GET /items"}, 0.25),
        ({"symbol": "never_seen", "endpoint": "GET /items"}, None),
        ({"endpoint": "GET /items"}, 1.0),
        ({"path": "shop/other.py"}, None),
    ],
)
def test_the_most_exact_part_of_a_place_gives_the_share(place: dict[str, object], share: float | None) -> None:
    [finding] = to_findings(propose(**place), (), SHARES)
    assert finding.share == share


def test_a_detectors_share_stays_when_the_agent_sharpens_its_claim() -> None:
    detected = Finding(
        id="slow_query@q:1", kind="slow_query", place=Place(fingerprint="q:1"), claim="seen", evidence=("e",),
        share=0.5, severity="low", remedy="r", prevention="p", source="detector",
    )  # fmt: skip
    [finding] = to_findings(propose(fingerprint="q:1"), (detected,), SHARES)
    assert (finding.share, finding.claim, finding.source) == (0.5, "c", "performance")


def test_findings_must_cite_evidence_that_exists() -> None:
    known = Evidence(id="cpu@items/base", kind="cpu", title="t", digest="d")
    [problem] = check_baseline(propose(fingerprint="q:1"), {known.id: known})
    assert "no evidence `queries@items/base`" in problem
    assert "cpu@items/base" in problem


def test_nothing_rests_on_what_does_not_count() -> None:
    known = doubtful(Evidence(id="queries@items/base", kind="queries", title="", digest=""))
    [problem] = check_baseline(propose(fingerprint="q:1"), {known.id: known})
    assert "`queries@items/base` does not count" in problem
    assert to_findings(propose(fingerprint="q:1"), (), SHARES, {known.id}) == ()
