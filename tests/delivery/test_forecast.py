from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from cast import at
from hypothesis import given
from hypothesis import strategies as st

from migrate.delivery import forecast
from migrate.hours import Hours

OFFICE = Hours(frozenset(range(5)), 8 * 60, 18 * 60, ZoneInfo("UTC"))


def test_without_hours_letters_go_one_after_the_other() -> None:
    assert forecast(600, 10, at("2024-01-05 10:00")) == at("2024-01-05 10:01")


@pytest.mark.parametrize(
    ("now", "minutes", "done"),
    [
        ("2024-01-05 10:00", 60, "2024-01-05 11:00"),
        ("2024-01-05 17:00", 60, "2024-01-05 18:00"),
        ("2024-01-05 17:00", 61, "2024-01-08 08:01"),
        ("2024-01-06 12:00", 30, "2024-01-08 08:30"),
        ("2024-01-05 17:00", 60 + 600 + 5, "2024-01-09 08:05"),
    ],
)
def test_letters_go_inside_the_hours_only(now: str, minutes: int, done: str) -> None:
    assert forecast(minutes, 1 / 60, at(now), OFFICE) == at(done)


def test_a_night_in_which_the_clock_changes_takes_no_longer() -> None:
    now = at("2024-03-10 09:00").astimezone(ZoneInfo("America/Los_Angeles"))
    assert forecast(120, 1 / 60, now) == at("2024-03-10 11:00")


@given(st.integers(1, 10_000), st.floats(0.01, 50))
def test_where_it_is_always_open_hours_change_nothing(letters: int, per_second: float) -> None:
    always = Hours(frozenset(range(7)), 0, 24 * 60, ZoneInfo("America/Los_Angeles"))
    now = at("2024-03-09 20:00")
    assert abs(forecast(letters, per_second, now, always) - forecast(letters, per_second, now)) < timedelta(milliseconds=1)
