"""When a delivery will be done, foretold when it begins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from migrate.hours import Hours


def forecast(letters: int, per_second: float, at: datetime, hours: Hours | None = None) -> datetime:
    """When the last of so many letters will have gone, at this rate from `at` on, and only inside the `hours` if there are any (UTC)."""
    at = at.astimezone(UTC)  # where a clock changes its hours are no measure
    left = timedelta(seconds=letters / per_second)
    while hours is not None:
        window = hours.next_window(at)
        at = max(at, window.opens)
        if at + left <= window.closes:
            break
        left, at = left - (window.closes - at), window.closes
    return at + left
