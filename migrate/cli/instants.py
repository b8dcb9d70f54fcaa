"""Reads instants as a person types them: `--as-of`."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from migrate.errors import ConfigError

if TYPE_CHECKING:
    from migrate.core.campaign import CampaignSettings

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2199
"""Python, pandas and the databases can represent every day of a campaign in these years, and those 100 years before and after it."""

AsOf = Annotated[
    str | None, typer.Option(metavar="INSTANT", help="Set the clock: 2024-01-31, or 2024-01-31T09:00 with or without an offset.")
]


def instant(text: str | None, campaign: CampaignSettings, where: str = "--as-of") -> datetime | None:
    """Reads the instant that was typed for an option (`where`). Without an offset it is local time in the campaign's zone; a date alone is
    its midnight.

    Raises ConfigError for anything else.
    """
    if text is None:
        return None
    try:
        found = datetime.combine(date.fromisoformat(text), time()) if len(text) <= len("2024-01-31") else datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no instant.", where=where, hint="Type one such as 2024-01-31 or 2024-01-31T09:00.") from None
    if not FIRST_YEAR < found.year < LAST_YEAR:
        hint = f"Type one of the years {FIRST_YEAR + 1} to {LAST_YEAR - 1}."
        raise ConfigError(f"{text!r} is too far away for a calendar of a campaign.", where=where, hint=hint)
    return found if found.tzinfo else found.replace(tzinfo=campaign.zone)


def now_or(text: str | None, campaign: CampaignSettings) -> datetime:
    """The UTC instant that was typed for `--as-of`, or that of the clock if none was. Raises ConfigError as `instant` does."""
    return (instant(text, campaign) or datetime.now(UTC)).astimezone(UTC)
