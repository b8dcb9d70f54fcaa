"""The days and times at which cron starts the job: at six on working days (`0 6 * * 1-5`), with the exceptions that a real host has."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Final

from migrate.demo.config import CAMPAIGN, DAYS, STAGES

USUAL: Final = time(6, 0)
_SATURDAY: Final = 5

MISSED: Final[dict[date, str]] = {
    date(2023, 12, 25): "the host was down over Christmas",
    date(2024, 1, 5): "the power in the server room was off",
    date(2024, 1, 8): "the power in the server room was off",
    date(2024, 1, 18): "the host was being patched",
}
"""Working days without a run. The last is the day of stage T-14, whose letters the next morning's run sends."""

TWICE: Final[dict[date, time]] = {
    date(2023, 12, 27): time(6, 0, 40),
    date(2024, 1, 2): time(6, 4),
    date(2024, 1, 29): time(6, 1),
}
"""Days on which cron started the job a second time, and when. Two of them are days of a stage: T-30 and T-3."""


def cron(day: date) -> tuple[time, ...]:
    """The local times at which the job starts on a day, in order; none on a missed day or at the weekend."""
    if day in MISSED or day.weekday() >= _SATURDAY:
        return ()
    return (USUAL, TWICE[day]) if day in TWICE else (USUAL,)


def firings(day: date) -> tuple[datetime, ...]:
    """`cron` as instants in the campaign's zone."""
    return tuple(datetime.combine(day, at, tzinfo=CAMPAIGN.zone) for at in cron(day))


MAIL_DAYS: Final[tuple[date, ...]] = tuple(next(day for day in DAYS if day >= stage.on and cron(day)) for stage in STAGES)
"""The days on which the letters of the stages go out: each stage's own day, or the next one on which cron fires."""
