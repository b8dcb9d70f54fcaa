from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from migrate.core.send_hours import Hours
from migrate.delivery import SendTimes

HOURS = Hours(frozenset(range(5)), 8 * 60, 18 * 60, ZoneInfo("UTC"))
FRIDAY = datetime(2024, 1, 5, 7, 59, tzinfo=UTC)


def test_it_is_known_at_every_moment_until_when_the_hours_are_closed_though_the_clock_is_set_back() -> None:
    times = SendTimes(HOURS)
    for minutes in (0, 1, 300, 601, 1, 0, 600, 2 * 24 * 60, 3 * 24 * 60 + 1):
        now = FRIDAY + timedelta(minutes=minutes)
        assert times.ending_by(now) == HOURS.closed_until(now)
        assert times.only_confirmations(now) == (not HOURS.open_at(now))


def test_after_an_old_read_only_confirmations_go_even_letters_that_end_soon_wait() -> None:
    stale = SendTimes(HOURS, stale_at=FRIDAY)
    assert (stale.only_confirmations(FRIDAY), stale.ending_by(FRIDAY)) == (True, None)


def test_without_hours_and_a_limit_of_age_every_letter_may_go() -> None:
    assert (SendTimes().only_confirmations(FRIDAY), SendTimes().ending_by(FRIDAY)) == (False, None)
