from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from cast import at
from hypothesis import given
from hypothesis import strategies as st

from migrate.core.send_hours import Hours
from migrate.delivery import Forecast, forecast
from migrate.mail.rates import Rates

OFFICE = Hours(frozenset(range(5)), 8 * 60, 18 * 60, ZoneInfo("UTC"))


def test_without_hours_letters_go_one_after_the_other() -> None:
    assert forecast(600, Rates(10, None, ""), at("2024-01-05 10:00")) == at("2024-01-05 10:01")


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
    assert forecast(minutes, Rates(1 / 60, None, ""), at(now), OFFICE) == at(done)


def test_a_night_in_which_the_clock_changes_takes_no_longer() -> None:
    now = at("2024-03-10 09:00").astimezone(ZoneInfo("America/Los_Angeles"))
    assert forecast(120, Rates(1 / 60, None, ""), now) == at("2024-03-10 11:00")


@given(st.integers(1, 10_000), st.floats(0.01, 50))
def test_where_it_is_always_open_hours_change_nothing(letters: int, per_second: float) -> None:
    always = Hours(frozenset(range(7)), 0, 24 * 60, ZoneInfo("America/Los_Angeles"))
    now = at("2024-03-09 20:00")
    rates = Rates(per_second, None, "")
    some, none = forecast(letters, rates, now, always), forecast(letters, rates, now)
    assert some is not None
    assert none is not None
    assert abs(some - none) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("letters", "rates", "done"),
    [
        (40, ["40/day"], "2024-01-05 10:00:04"),
        (260, ["40/day"], "2024-01-11 10:06:02"),
        (10_000, ["30/min", "10000/day"], "2024-01-05 15:33:20"),
        (10_030, ["30/min", "10000/day"], "2024-01-06 10:02"),
        (100_000, ["30/min", "10000/day"], "2024-01-14 15:42:20"),
    ],
)
def test_a_day_has_its_limit_and_what_went_counts_until_24_hours_after_its_minute(letters: int, rates: list[str], done: str) -> None:
    found = forecast(letters, Rates.of(rates), at("2024-01-05 10:00"))
    assert found is not None
    assert abs(found - at(done)) < timedelta(seconds=1)


def test_what_went_in_the_last_day_is_the_day_s_already() -> None:
    sent = [(at("2024-01-04 15:00"), 30), (at("2024-01-05 09:00"), 10)]
    now, rates = at("2024-01-05 10:00"), Rates.of(["40/day"])
    assert forecast(1, rates, now, None, sent) == at("2024-01-05 15:01:00") + timedelta(seconds=0.1)
    assert Forecast.of(50, rates, now, None, sent) == Forecast(50, at("2024-01-06 15:02:01"), 40, at("2024-01-05 15:01"))
    assert Forecast.of(0, rates, now, None, sent) == Forecast(0, None, 40, at("2024-01-05 15:01"))
    assert Forecast.of(1, rates, now, None, sent[1:]) == Forecast(1, now + timedelta(seconds=0.1), 40, None)


def test_a_day_s_limit_and_the_hours_hold_together() -> None:
    """Friday afternoon, 40 a day: the rest waits for Monday."""
    assert forecast(50, Rates.of(["40/day"]), at("2024-01-05 17:00"), OFFICE) == at("2024-01-08 08:00:01")


def test_nothing_is_foretold_beyond_ten_years() -> None:
    assert forecast(1_000_000, Rates.of(["1/day"]), at("2024-01-05 10:00")) is None
