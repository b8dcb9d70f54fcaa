"""When a delivery will be done, foretold when it begins."""

from __future__ import annotations

from datetime import datetime, timedelta


def forecast(letters: int, per_second: float, at: datetime) -> datetime:
    """When the last of so many letters will have gone, at this rate from `at` on."""
    return at + timedelta(seconds=letters / per_second)
