"""How figures are written: one way for the terminal, Markdown and the page."""

import math
import re

from perfcrew.records.metrics import METRICS

_SHARES = frozenset({"http.error_rate", "cpu.utilisation"})
_KINDS = {"n_plus_one": "N+1 queries", "cpu_hot_path": "CPU hot path", "pool_exhausted": "exhausted pool"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_BYTES = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def show_number(value: float) -> str:
    """Three significant digits, thousands with a comma, no exponent: `0.042`, `4.2`, `118`, `12,400`."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "–∞" if value < 0 else "–"
    if value == 0:
        return "0"
    if value == int(value) and abs(value) < 1000:
        return str(int(value))
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def show_figure(metric: str, value: float) -> str:
    """A metric's value with its unit: `118 ms`, `12.4 kB`, `0.4 %`."""
    if metric in _SHARES:
        return f"{show_number(100 * value)} %"
    unit = METRICS[metric].unit if metric in METRICS else ""
    if unit == "B":
        return show_bytes(value)
    if unit == "1/s":
        return f"{show_number(value)}/s"
    return show_number(value) if unit in ("", "1") else f"{show_number(value)} {unit}"


def show_bytes(value: float) -> str:
    """A number of bytes in decimal units."""
    for unit, size in _BYTES:
        if abs(value) >= size:
            return f"{show_number(value / size)} {unit}"
    return f"{show_number(value)} B"


def show_ratio(ratio: float) -> str:
    """How many times better: `6.2×`."""
    if not math.isfinite(ratio):
        return "∞×"
    return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.1f}×" if ratio >= 10 else f"{ratio:.2f}×"


def show_interval(low: float, high: float) -> str:
    """The two ends of a ratio's interval: `5.5× to 7.0×`."""
    return f"{show_ratio(low)} to {show_ratio(high)}"


def show_change(base: float, candidate: float) -> str:
    """The change in per cent of the base: `−84 %`; a dash where the base is 0."""
    if base == 0 or not (math.isfinite(base) and math.isfinite(candidate)):
        return "–"
    change = 100 * (candidate - base) / base
    sign = "−" if change < 0 else "+"
    return "0 %" if abs(change) < 0.05 else f"{sign}{show_number(float(f'{abs(change):.3g}'))} %"


def show_seconds(seconds: float) -> str:
    """A duration: `0.42 s`, `42 s`, `7 min 05 s`, `1 h 02 min`."""
    if seconds < 10:
        return f"{show_number(float(f'{max(seconds, 0.0):.2f}'))} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def show_money(usd: float | None) -> str:
    """US dollars; says so where the price is unknown."""
    if usd is None:
        return "price unknown"
    return f"${usd:.4f}" if 0 < usd < 0.01 else f"${usd:,.2f}"


def name_metric(metric: str) -> str:
    """A metric's title, or its name where it is not one of ours."""
    return METRICS[metric].title if metric in METRICS else metric


def name_kind(kind: str) -> str:
    """A kind of finding in words."""
    return _KINDS.get(kind, kind.replace("_", " "))


def clean(text: str) -> str:
    """Text from the target without control characters, turners of the direction of writing, and what XML refuses."""
    return _CONTROL.sub("�", text)


def name_outcome(outcome: str) -> str:
    """An outcome in words."""
    return outcome.replace("_", " ")
