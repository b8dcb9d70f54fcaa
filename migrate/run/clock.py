"""Whether the clock can be believed: a run by a wrong one would tell everybody of the wrong stage, and never again of the right one
(design §12).

A clock that stands before the last run is wrong, or was. One that is far ahead of it may be right, if no run has completed for a while:
then something else has to say so. It is the kernel, if a time server keeps its clock and it agrees, or a database server elsewhere.
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
"""`counts["clock"]` of a run whose clock a person had set (`--as-of`): it says nothing of the machine's."""

_BACK: Final = timedelta(days=1)
_AGREES: Final = timedelta(minutes=5)
"""Clocks that are no further apart say the same."""
_HERE: Final = (None, "", "localhost", "127.0.0.1", "::1")
_UNSYNCHRONISED: Final = 5
"""What adjtimex(2) returns while nobody keeps the clock right, or since somebody set it by hand (TIME_ERROR)."""
_TIMEX_BYTES, _TIMEX_SECONDS_AT = 512, 72
"""More than a `struct timex` takes, and where its `time.tv_sec` lies, on Linux of 64 bits."""


def doubt(config: Config, ledger: Ledger, now: datetime) -> GuardError | None:
    """Why a run must not go by the machine's clock, `now`; None if it may."""
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
    """Whether something besides this machine's clock says the time that it says."""
    told = [synchronised()]
    if connection.dialect.name != "sqlite" and connection.engine.url.host not in _HERE:
        told.append(real_now(connection))
    return any(time is not None and abs(time - now) <= _AGREES for time in told)


def synchronised() -> datetime | None:
    """The kernel's own time (UTC), if a time server keeps it right; None if not, or where the kernel cannot be asked."""
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
