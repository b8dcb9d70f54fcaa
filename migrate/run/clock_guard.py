"""Whether the machine's clock can be trusted. With a wrong clock a run would send everybody the wrong stage, and never again the right one
(design §12).

If the clock is before the last run, it is wrong now or was wrong then. If it is far ahead of the last run, it may be right, since no run
may have completed for a while; then a second source must confirm it: the kernel, if a time server keeps its clock, or a database server on
another machine.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from migrate.errors import GuardError
from migrate.ledger import campaigns, runs
from migrate.ledger.clock import real_now

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.ledger.engine import Ledger

TYPED: Final = "typed"
"""`counts["clock"]` of a run whose time a person set (`--as-of`). Such a run says nothing about the machine's clock."""

_BACK: Final = timedelta(days=1)
_AGREES: Final = timedelta(minutes=5)
"""Two clocks agree if they differ by no more than this."""
_HERE: Final = (None, "", "localhost", "127.0.0.1", "::1")
_UNSYNCHRONISED: Final = 5
"""TIME_ERROR: what adjtimex(2) returns if no time server keeps the clock, or after somebody set it by hand."""
_TIMEX_BYTES, _TIMEX_SECONDS_AT = 512, 72
"""A size larger than `struct timex`, and the offset of its `time.tv_sec`, on 64-bit Linux."""


def doubt(config: Config, ledger: Ledger, now: datetime) -> GuardError | None:
    """The error if a run must not trust the machine's clock, which says `now`; None if it may."""
    with ledger.read() as connection:
        last = runs.last(connection, campaigns.find(connection, config.campaign.name))
        if last is None:
            return None
        zone = config.campaign.zone
        stands = f"the clock says {now.astimezone(zone):%Y-%m-%d %H:%M %Z}"
        ran = f"run {last.run_id}, the last one, was as of {last.as_of.astimezone(zone):%Y-%m-%d %H:%M %Z}"
        if now < last.as_of - _BACK:
            return GuardError(
                f"{stands}, and {ran}: one of the two was wrong. Nothing was read or recorded.",
                where="clock",
                hint="Set the clock, and run again. If it is right now, `migrate run --accept-clock`: who was told by the wrong one stays "
                'told (docs/operate.md, "When the clock is wrong").',
            )
        ahead = now - last.as_of
        if ahead <= timedelta(hours=config.safety.stale_hours) or last.counts.get("clock") == TYPED or _vouched(connection, now):
            return None
    return GuardError(
        f"{stands}, and {ran}: that is {ahead / timedelta(hours=1):,.0f} hours ago, more than [safety] stale_hours = "
        f"{config.safety.stale_hours}, and nothing here can say whether the clock is right (no time server keeps it). "
        "Nothing was read or recorded.",
        where="clock",
        hint="Look at the clock. If it is right, because no run has completed since: `migrate run --accept-clock`.",
    )


def _vouched(connection: sa.Connection, now: datetime) -> bool:
    """Whether a second source agrees with the machine's clock."""
    told = [synchronised()]
    if connection.dialect.name != "sqlite" and connection.engine.url.host not in _HERE:
        told.append(real_now(connection))
    return any(time is not None and abs(time - now) <= _AGREES for time in told)


def synchronised() -> datetime | None:
    """The kernel's time (UTC), if a time server keeps it; None if not, or if the kernel cannot be asked."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_long) != ctypes.sizeof(ctypes.c_int64):
        return None
    asked = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        state = ctypes.CDLL(None).adjtimex(asked)
    except (OSError, AttributeError):
        return None
    if not 0 <= state < _UNSYNCHRONISED:
        return None
    (seconds,) = struct.unpack_from("q", asked, _TIMEX_SECONDS_AT)
    return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
