from datetime import date

import pytest
from library.calendar import easter, is_open, open_days
from library.fines import fine_cents, show_euros


@pytest.mark.parametrize("day", [date(2024, 3, 31), date(2025, 4, 20), date(2026, 4, 5), date(2038, 4, 25)])
def test_easter(day: date) -> None:
    assert easter(day.year) == day


def test_closed_on_sundays_and_holidays() -> None:
    assert not is_open(date(2026, 6, 28))
    assert not is_open(date(2026, 12, 25))
    assert not is_open(date(2026, 4, 6))
    assert is_open(date(2026, 6, 30))


def test_open_days_leave_out_the_first_and_count_the_last() -> None:
    assert open_days(date(2026, 6, 26), date(2026, 6, 30)) == 3
    assert open_days(date(2026, 6, 30), date(2026, 6, 30)) == 0
    assert open_days(date(2025, 12, 24), date(2026, 1, 2)) == 5


def test_fine_grows_by_open_day_up_to_a_limit() -> None:
    assert fine_cents("2026-06-30", date(2026, 6, 30)) == 0
    assert fine_cents("2026-07-10", date(2026, 6, 30)) == 0
    assert fine_cents("2026-06-26", date(2026, 6, 30)) == 75
    assert fine_cents("2024-01-15", date(2026, 6, 30)) == 2000


def test_euros_have_two_decimals() -> None:
    assert [show_euros(cents) for cents in (0, 5, 75, 2000)] == ["0.00", "0.05", "0.75", "20.00"]
