"""What models were asked and what it cost, as every form of the report shows it."""

from perfcrew.records.report import Report, UsageRow
from perfcrew.report.figures import show_money

HEADER = ("Role", "Phase", "Model", "Calls", "Tokens in", "Cached", "Tokens out", "Cost")


def usage_rows(report: Report) -> list[tuple[str, ...]]:
    """A row for each role, phase and model, under `HEADER`; none where the report has only the sum."""
    return [
        (row.role, row.phase, row.model, f"{row.model_calls}", f"{row.input_tokens:,}", show_share(row),
         f"{row.output_tokens:,}", show_money(row.usd))
        for row in report.usage.rows
    ]  # fmt: skip


def describe_usage(report: Report) -> str:
    """The sum in one sentence, and another one where prices are unknown."""
    usage = report.usage
    cached = f"{usage.cached_tokens:,} cached" + (f", {show_share(usage)}" if usage.cached_tokens else "")
    told = (
        f"{usage.model_calls} model calls, {usage.input_tokens:,} tokens in ({cached}), "
        f"{usage.output_tokens:,} out, {show_money(usage.usd)}."
    )
    return f"{told} {gap}" if (gap := describe_gap(report)) else told


def describe_gap(report: Report) -> str:
    """Which prices are unknown, and what the calls cost whose price is known; empty where nothing is unknown."""
    usage = report.usage
    if not usage.unpriced:
        return ""
    known = sum(row.usd or 0.0 for row in usage.rows)
    return f"The price of {', '.join(usage.unpriced)} is unknown; all other calls cost {show_money(known)}."


def show_share(row: UsageRow) -> str:
    """The part of the input that came from the provider's cache, such as `75 %`."""
    return f"{100 * row.cached_share:.0f} %"
