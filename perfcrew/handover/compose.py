"""All files of the hand-over, from a report and its target."""

from collections.abc import Sequence
from dataclasses import dataclass

from perfcrew.handover import places
from perfcrew.handover.alerts import write_alerts
from perfcrew.handover.dashboard import write_dashboard
from perfcrew.handover.exporters import find_exporter, loaded
from perfcrew.handover.page import write_page
from perfcrew.handover.thresholds import set_thresholds
from perfcrew.handover.workload import write_pipeline, write_workload
from perfcrew.records.report import Report
from perfcrew.records.target import Target


@dataclass(frozen=True)
class Surroundings:
    """What the files depend on beside report and target."""

    requirements: str
    """The text of all files that name dependencies."""
    migrations: Sequence[str] = ()
    """Migrations that the branch adds."""
    password: str = ""
    """In the database's address."""


def compose(report: Report, target: Target, around: Surroundings) -> dict[str, str]:
    """Path to text. What a target has no use for is left out: alerts and a dashboard need a server of HTTP requests."""
    thresholds = set_thresholds(report.metrics)
    exporter, found = find_exporter(around.requirements)
    served = loaded(target.workload)
    files = {
        places.PAGE: write_page(report, thresholds, exporter, found, around.migrations),
        places.WORKLOAD: write_workload(target, thresholds, around.password),
        places.PIPELINE: write_pipeline(target),
    }
    if served:
        # The duel judges the first workload; of the others only that they did not get worse.
        files[places.ALERTS] = write_alerts(target.target.name, served, thresholds, exporter)
        files[places.DASHBOARD] = write_dashboard(target.target.name, served, thresholds, exporter)
    return files
