"""Web vitals: which there are, and from where on they are good or poor."""

from typing import Literal

from perfcrew.records.base import Record

Rating = Literal["good", "needs improvement", "poor"]


class Vital(Record):
    """One vital by its metric.

    The bounds of the Core Web Vitals and of FCP and TTFB are web.dev's; those of TBT, TTI and FID (max. 100 ms) are
    what Lighthouse and web.dev used for phones.
    """

    metric: str
    short: str
    good: float
    """At most this is good."""
    poor: float
    """More than this is poor."""
    core: bool = False
    """A Core Web Vital: these three are what a page is held to."""
    retired: bool = False
    """Shown because it is asked for; nothing is decided by it."""


VITALS = (
    Vital(metric="page.lcp_ms", short="LCP", good=2500, poor=4000, core=True),
    Vital(metric="page.cls", short="CLS", good=0.1, poor=0.25, core=True),
    Vital(metric="page.inp_ms", short="INP", good=200, poor=500, core=True),
    Vital(metric="page.tbt_ms", short="TBT", good=200, poor=600),
    Vital(metric="page.fcp_ms", short="FCP", good=1800, poor=3000),
    Vital(metric="page.ttfb_ms", short="TTFB", good=800, poor=1800),
    Vital(metric="page.fid_ms", short="FID", good=100, poor=300, retired=True),
    Vital(metric="page.tti_ms", short="TTI", good=3800, poor=7300, retired=True),
)
CORE = tuple(vital for vital in VITALS if vital.core)


def rate(vital: Vital, value: float) -> Rating:
    """Good, poor, or between."""
    return "good" if value <= vital.good else "poor" if value > vital.poor else "needs improvement"
