"""Reference ranges of laboratory values, by age and sex."""

from datetime import date
from decimal import Decimal

UNITS = {"HB": "g/dL", "K": "mmol/L", "NA": "mmol/L", "CREA": "mg/dL", "TSH": "mU/L", "CRP": "mg/L"}
RANGES = {
    "HB": [(0, 18, "fm", "11.00", "15.00"), (18, 150, "f", "12.00", "15.50"), (18, 150, "m", "13.50", "17.20")],
    "K": [(0, 150, "fm", "3.50", "5.10")],
    "NA": [(0, 150, "fm", "135.00", "145.00")],
    "CREA": [(0, 18, "fm", "0.30", "0.90"), (18, 150, "f", "0.50", "0.95"), (18, 150, "m", "0.60", "1.20")],
    "TSH": [(0, 18, "fm", "0.60", "5.50"), (18, 150, "fm", "0.40", "4.00")],
    "CRP": [(0, 150, "fm", "0.00", "5.00")],
}


def age_on(born_on: date, day: date) -> int:
    """Full years."""
    return day.year - born_on.year - ((day.month, day.day) < (born_on.month, born_on.day))


def reference(code: str, age: int, sex: str) -> tuple[Decimal, Decimal] | None:
    """Lowest and highest usual value; None for a code without one."""
    for youngest, oldest, sexes, low, high in RANGES.get(code, []):
        if youngest <= age < oldest and sex in sexes:
            return Decimal(low), Decimal(high)
    return None


def judge(value: Decimal, usual: tuple[Decimal, Decimal] | None) -> str:
    """`low`, `normal`, `high`, or `unknown` without a usual range."""
    if usual is None:
        return "unknown"
    return "low" if value < usual[0] else "high" if value > usual[1] else "normal"
