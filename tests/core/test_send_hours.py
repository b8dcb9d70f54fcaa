"""Send hours (design §7)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cast import at
from hypothesis import given
from hypothesis import strategies as st

from migrate.core.send_hours import WHOLE_DAY, Hours

PACIFIC = ZoneInfo("America/Los_Angeles")
ALWAYS = Hours(frozenset(range(7)), 0, WHOLE_DAY, PACIFIC)
OFFICE = Hours(frozenset(range(5)), 8 * 60, 18 * 60, PACIFIC)
MINUTE = timedelta(minutes=1)

ZONES = (
    "UTC", "America/Los_Angeles", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Australia/Lord_Howe", "America/Havana",
    "Africa/Cairo", "Asia/Beirut", "America/Nuuk", "Antarctica/Troll", "Asia/Kathmandu",
)  # fmt: skip


def clock(now: datetime, zone: ZoneInfo = PACIFIC) -> str:
    return f"{now.astimezone(zone):%a %Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2024-01-05 15:59", "Fri 2024-01-05 08:00"),
        ("2024-01-05 16:00", "Fri 2024-01-05 08:00"),
        ("2024-01-06 01:59", "Fri 2024-01-05 17:59"),
        ("2024-01-06 02:00", "Mon 2024-01-08 08:00"),
        ("2024-01-07 20:00", "Mon 2024-01-08 08:00"),
    ],
)
def test_letters_go_at_once_inside_the_hours_and_else_from_the_next_beginning_on(now: str, opens: str) -> None:
    found = OFFICE.next_open(at(now))
    assert clock(found) == opens
    assert OFFICE.open_at(found)
    assert OFFICE.open_at(at(now)) == (found == at(now))


@pytest.mark.parametrize(
    ("now", "begins"),
    [
        ("2024-01-06 01:59", "Thu 2024-01-04 08:00"),
        ("2024-01-06 02:00", "Fri 2024-01-05 08:00"),
        ("2024-01-08 20:00", "Fri 2024-01-05 08:00"),
        ("2024-01-09 02:00", "Mon 2024-01-08 08:00"),
    ],
)
def test_a_send_day_is_over_when_its_hours_are(now: str, begins: str) -> None:
    assert clock(OFFICE.last_window(at(now)).opens) == begins


def lengths(hours: tuple[int, int], day: str) -> timedelta:
    window = Hours(frozenset(range(7)), *hours, PACIFIC).next_window(datetime.fromisoformat(day).replace(tzinfo=PACIFIC))
    assert clock(window.opens).split()[1] == day
    return window.closes - window.opens


def test_a_clock_that_is_set_back_inside_the_hours_lengthens_them() -> None:
    """On 3 November 2024 the clocks of Los Angeles show 01:00 to 02:00 twice."""
    assert lengths((60, 120), "2024-11-03") == timedelta(hours=2)
    assert lengths((75, 90), "2024-11-03") == timedelta(hours=1, minutes=15)
    assert lengths((0, WHOLE_DAY), "2024-11-03") == timedelta(hours=25)


def test_a_clock_that_skips_an_end_of_the_hours_moves_it_to_the_skip() -> None:
    """On 10 March 2024 the clocks of Los Angeles go from 02:00 to 03:00."""
    assert lengths((150, 240), "2024-03-10") == timedelta(hours=1)
    assert lengths((60, 150), "2024-03-10") == timedelta(hours=1)
    assert lengths((0, WHOLE_DAY), "2024-03-10") == timedelta(hours=23)


def test_a_day_whose_hours_are_skipped_whole_is_no_send_day() -> None:
    night = Hours(frozenset(range(7)), 120, 180, PACIFIC)
    assert clock(night.next_open(at("2024-03-10 08:00"))) == "Mon 2024-03-11 02:00"


def test_send_days_lie_around_any_day() -> None:
    assert OFFICE.on_or_before(date(2024, 1, 7)) == date(2024, 1, 5)
    assert OFFICE.on_or_after(date(2024, 1, 6)) == date(2024, 1, 8)
    assert OFFICE.on_or_before(date(2024, 1, 8)) == OFFICE.on_or_after(date(2024, 1, 8)) == date(2024, 1, 8)


@st.composite
def hours(draw: st.DrawFn) -> Hours:
    begins = draw(st.integers(0, WHOLE_DAY - 1))
    days = draw(st.frozensets(st.integers(0, 6), min_size=1))
    return Hours(days, begins, draw(st.integers(begins + 1, WHOLE_DAY)), ZoneInfo(draw(st.sampled_from(ZONES))))


instants = st.datetimes(min_value=datetime(2023, 1, 1), max_value=datetime(2026, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


@given(hours(), instants)
def test_the_next_opening_is_the_first_open_moment(of: Hours, now: datetime) -> None:
    found = of.next_open(now)
    assert found >= now
    assert of.open_at(found)
    assert found == now or not any(of.open_at(now + share * (found - now) / 8) for share in range(8))


@given(hours(), instants)
def test_outside_nights_of_change_the_hours_are_what_the_clock_says(of: Hours, now: datetime) -> None:
    local = now.astimezone(of.zone)
    if (local - timedelta(days=1)).utcoffset() == (local + timedelta(days=1)).utcoffset():
        minute = local.hour * 60 + local.minute
        assert of.open_at(now) == (local.weekday() in of.days and of.begins <= minute < of.ends)


@given(st.sampled_from(ZONES), instants)
def test_always_is_always_and_its_days_are_the_calendars(zone: str, now: datetime) -> None:
    always = Hours(frozenset(range(7)), 0, WHOLE_DAY, ZoneInfo(zone))
    window = always.next_window(now)
    assert always.next_open(now) == now
    assert window.opens <= now < window.closes
    assert clock(window.opens, always.zone).split()[1] == clock(window.closes - MINUTE, always.zone).split()[1]
    assert always.last_window(now).closes == window.opens


@given(hours(), instants)
def test_windows_follow_each_other_and_the_one_that_closed_last_lies_just_before_the_next(of: Hours, now: datetime) -> None:
    before, after = of.last_window(now), of.next_window(now)
    assert before.opens < before.closes <= now < after.closes
    assert before.closes <= after.opens < after.closes
    assert of.next_window(before.opens) == before
    assert of.next_window(before.closes) == after
