"""Letters that are composed before their turn: all that one exchange with the ledger brings, one directly after the other.

Composing a letter directly after another one takes less time than composing it between two calls to the network. After a call the
processor's caches no longer hold the code and the data that composing needs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from migrate.delivery.attempt import composed
from migrate.delivery.delivered import Clock
from migrate.mail.compose import Composer
from migrate.mail.letter import Letter
from migrate.outbox.claims import ClaimedLetter

_LONGEST: Final = 0.1
"""Seconds that composing ahead may take. What is left then is composed in its turn."""
_KEEPS: Final = timedelta(minutes=1)
"""A letter names the time and the days left. If it has waited for longer than this, it is composed anew."""


class ComposedAhead:
    """The letters of one process that were composed ahead. Any thread may use it."""

    def __init__(self, composer: Composer, clock: Clock) -> None:
        self._composer, self._clock = composer, clock
        self._letters: dict[int, tuple[datetime, Letter]] = {}

    def compose(self, letters: Sequence[ClaimedLetter]) -> None:
        """Composes letters, as many as there is time for. A letter that cannot be composed is left out."""
        now, until = self._clock(), time.monotonic() + _LONGEST
        for claimed in letters:
            if time.monotonic() > until:
                return
            try:
                letter = composed(claimed, self._composer, now)
                letter.digest  # noqa: B018 - composes the message, and keeps both
            except Exception:  # noqa: BLE001, S112 - it is raised again when the letter has its turn, and is dealt with there
                continue
            self._letters[claimed.letter_id] = now, letter

    def take(self, claimed: ClaimedLetter, now: datetime) -> Letter | None:
        """The letter that was composed for a claimed one; None if there is none, or if it was composed too long ago."""
        found = self._letters.pop(claimed.letter_id, None)
        return found[1] if found and now - found[0] < _KEEPS else None

    def forget(self, claimed: ClaimedLetter) -> None:
        """Drops a letter that is not sent now."""
        self._letters.pop(claimed.letter_id, None)
