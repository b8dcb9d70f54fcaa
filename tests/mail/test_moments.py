from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from mail.post import campaign

from migrate.mail.moments import formats_of, is_last_day, last_moment, moment_text

EUROPE = formats_of("en")


def test_a_cutoff_at_midnight_is_named_by_the_day_before() -> None:
    moment = last_moment(campaign().cutoff_at, campaign(), EUROPE)
    assert moment.until == "the end of Wednesday, 31 January 2024 (Pacific Standard Time, UTC-08:00)"
    assert moment.on == "after 31 January 2024"


@pytest.mark.parametrize(
    ("zone", "cutoff", "until", "on"),
    [
        ("Africa/Cairo", "2026-04-24", "Thursday, 23 April 2026 (Eastern European Standard Time, UTC+02:00)", "after 23 April 2026"),
        ("America/Santiago", "2026-09-06", "Saturday, 5 September 2026 (Chile Standard Time, UTC-04:00)", "after 5 September 2026"),
        ("America/Sao_Paulo", "2018-11-04", "Saturday, 3 November 2018 (Brasilia Standard Time, UTC-03:00)", "after 3 November 2018"),
        ("Asia/Beirut", "2026-03-29", "Saturday, 28 March 2026 (Eastern European Standard Time, UTC+02:00)", "after 28 March 2026"),
        ("America/Asuncion", "2023-10-01", "Saturday, 30 September 2023 (Paraguay Standard Time, UTC-04:00)", "after 30 September 2023"),
        ("Atlantic/Azores", "2026-03-29", "Saturday, 28 March 2026 (Azores Standard Time, UTC-01:00)", "after 28 March 2026"),
        ("America/Havana", "2026-03-08", "Saturday, 7 March 2026 (Cuba Standard Time, UTC-05:00)", "after 7 March 2026"),
        ("Pacific/Apia", "2011-12-30", "Thursday, 29 December 2011 (Samoa Daylight Time, UTC-10:00)", "after 29 December 2011"),
        # Where a clock is set back over midnight, and where it shows midnight twice.
        ("Africa/Cairo", "2026-10-30", "Thursday, 29 October 2026 (Eastern European Standard Time, UTC+02:00)", "after 29 October 2026"),
        ("America/Havana", "2026-11-01", "Saturday, 31 October 2026 (Cuba Daylight Time, UTC-04:00)", "after 31 October 2026"),
    ],
)
def test_a_cutoff_on_a_day_whose_midnight_does_not_exist_is_named_by_the_day_before_like_any_other(
    zone: str, cutoff: str, until: str, on: str
) -> None:
    there = campaign(opens=date(2011, 1, 1), cutoff=datetime.fromisoformat(f"{cutoff}T00:00:00"), timezone=zone)
    moment = last_moment(there.cutoff_at, there, EUROPE)
    assert moment.until == f"the end of {until}"
    assert moment.on == on
    assert is_last_day(there.cutoff_at, there, there.cutoff_at - timedelta(hours=1))
    assert there.days_left(there.cutoff_at - timedelta(seconds=1)) == (2 if zone == "Pacific/Apia" else 1)
    assert there.days_left(there.cutoff_at) == 0


def test_a_cutoff_at_the_second_midnight_of_a_day_is_named_with_its_time() -> None:
    there = campaign(cutoff=datetime.fromisoformat("2026-11-01T00:00:00-05:00"), timezone="America/Havana")
    assert last_moment(there.cutoff_at, there, EUROPE).until == "Sunday, 1 November 2026, 00:00 (Cuba Standard Time, UTC-05:00)"


def test_a_cutoff_at_a_time_of_day_is_named_with_it() -> None:
    afternoon = campaign(cutoff=datetime(2024, 7, 1, 17, 0))
    moment = last_moment(afternoon.cutoff_at, afternoon, EUROPE)
    assert moment.until == "Monday, 1 July 2024, 17:00 (Pacific Daylight Time, UTC-07:00)"
    assert moment.on == "on 1 July 2024"


@pytest.mark.parametrize(
    ("tag", "until"),
    [
        ("en-US", "Monday, July 1, 2024, 5:00 PM (Pacific Daylight Time, UTC-07:00)"),
        ("en_GB", "Monday, 1 July 2024, 17:00 (Pacific Daylight Time, UTC-07:00)"),
        ("de-DE", "Monday, 1 July 2024, 17:00 (Pacific Daylight Time, UTC-07:00)"),
        ("zz", "Monday, 1 July 2024, 17:00 (Pacific Daylight Time, UTC-07:00)"),
        ("{{ 7*7 }}", "Monday, 1 July 2024, 17:00 (Pacific Daylight Time, UTC-07:00)"),
        (None, "Monday, 1 July 2024, 17:00 (Pacific Daylight Time, UTC-07:00)"),
    ],
)
def test_dates_follow_the_region_of_the_recipient(tag: str | None, until: str) -> None:
    afternoon = campaign(cutoff=datetime(2024, 7, 1, 17, 0))
    assert last_moment(afternoon.cutoff_at, afternoon, formats_of(tag)).until == until


@pytest.mark.parametrize(
    ("zone", "named"),
    [("UTC", "(UTC)"), ("Asia/Kolkata", "(India Time, UTC+05:30)"), ("Europe/Berlin", "(Central European Standard Time, UTC+01:00)")],
)
def test_a_zone_is_named_once_and_with_its_distance_from_utc(zone: str, named: str) -> None:
    there = campaign(timezone=zone)
    assert last_moment(there.cutoff_at, there, EUROPE).until == f"the end of Wednesday, 31 January 2024 {named}"


def test_an_instant_is_told_in_the_campaign_s_zone() -> None:
    told = moment_text(datetime(2024, 1, 2, 3, 4, tzinfo=UTC), campaign(), EUROPE)
    assert told == "Monday, 1 January 2024, 19:04 (Pacific Standard Time, UTC-08:00)"


@pytest.mark.parametrize(
    ("now", "last"),
    [
        (datetime(2024, 1, 31, 7, 59, tzinfo=UTC), False),
        (datetime(2024, 1, 31, 8, 0, tzinfo=UTC), True),
        (datetime(2024, 2, 1, 7, 59, tzinfo=UTC), True),
        (datetime(2024, 2, 1, 8, 0, tzinfo=UTC), False),
    ],
)
def test_the_last_day_is_the_day_of_the_last_usable_moment(now: datetime, last: bool) -> None:
    assert is_last_day(campaign().cutoff_at, campaign(), now) is last
