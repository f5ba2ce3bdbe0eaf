"""What a target has that some strategies need: read off its description, the request, the findings and the evidence."""

import re
from collections.abc import Collection, Iterable
from typing import Literal

from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import number, unpack_rows
from perfcrew.records.target import Target
from perfcrew.records.work import Finding, FindingKind, Layer, RecipeRequest, Variation

Circumstance = Literal["database", "large_table", "page", "images", "shared_cache"]
LARGE_TABLE = 10_000_000
"""Rows that one statement has to read before dividing its table can be worth a migration of all data."""
_PAGE_KINDS: frozenset[FindingKind] = frozenset(
    {"bundle_size", "layout_shift", "slow_paint", "slow_interaction", "blocked_rendering", "heavy_image"}
)
_IMAGE = re.compile(r"\.(png|jpe?g|gif|webp|avif|svg|bmp)\b|\bimages?\b", re.IGNORECASE)
_SHARED_CACHE = re.compile(r"\b(redis|valkey|memcached?|dragonfly|elasticache)\b", re.IGNORECASE)
_LAYERS: dict[Variation, frozenset[Layer] | None] = {
    "full": None,
    "api": frozenset({"database", "backend", "infrastructure"}),
    "frontend": frozenset({"frontend", "infrastructure"}),
    "database": frozenset({"database"}),
    "microservices": frozenset({"database", "backend", "infrastructure"}),
}


def circumstances(
    target: Target, request: RecipeRequest, findings: Iterable[Finding], evidence: Iterable[Evidence]
) -> frozenset[Circumstance]:
    """What there is.

    - database: the description has one.
    - large_table: PostgreSQL or MySQL, and a traced statement reads millions of rows; SQLite has no partitions.
    - page: the description has a page workload, or something was found on a page.
    - images: a finding on a page is about an image.
    - shared_cache: the request, or what a finding is about, names Redis or its like.
    """
    known = list(findings)
    found: set[Circumstance] = set()
    if target.database is not None:
        found.add("database")
        if target.database.engine != "sqlite" and _reads_much(evidence):
            found.add("large_table")
    on_pages = [finding for finding in known if finding.kind in _PAGE_KINDS]
    if on_pages or any(workload.kind == "page" for workload in target.workload):
        found.add("page")
    if any(finding.kind == "heavy_image" or _IMAGE.search(finding.claim) for finding in on_pages):
        found.add("images")
    told = " ".join(
        (request.environment.stack, request.environment.infrastructure, *target.target.environment,
         *target.target.environment.values(), *(finding.claim for finding in known))
    )  # fmt: skip
    if _SHARED_CACHE.search(told):
        found.add("shared_cache")
    return frozenset(found)


def layers_of(variation: Variation) -> Collection[Layer] | None:
    """The layers that a variation of the recipe is about; None for all."""
    return _LAYERS[variation]


def _reads_much(evidence: Iterable[Evidence]) -> bool:
    plans = (row for item in evidence for row in unpack_rows(item.facts, "plan"))
    return any(number(row, "scanned") >= LARGE_TABLE for row in plans)
