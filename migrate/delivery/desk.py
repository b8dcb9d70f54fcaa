"""The desk where senders hand in what became of their letters and are given the next.

A commit that is safe against a power cut costs a write to the disk. So whoever comes while another is being served waits, and is then
served together with all who wait: a commit for several letters, and each sender still holds only its own.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential, wait_random

from migrate.delivery.delivered import Clock
from migrate.delivery.stop import Stop
from migrate.errors import LedgerError
from migrate.hours import Hours, Window
from migrate.ledger.claims import ClaimedLetter, Claims, Settlement

Settled = tuple[ClaimedLetter, Settlement]

_PATIENCE: Final = 600
"""Seconds that what is known of a letter is kept trying to be written down; a run that records a large directory may take minutes."""


def patiently(stop: Stop) -> Retrying:
    """Tries again when the ledger cannot be written just now: another run is recording, or the disk is full and may be helped.

    What is tried looks for itself whether it is still wanted: `stop` only cuts a pause short.
    """
    return Retrying(
        retry=retry_if_exception_type(LedgerError),
        stop=stop_after_delay(_PATIENCE),
        wait=wait_exponential(multiplier=0.1, max=1) + wait_random(0, 0.25),
        sleep=stop.pause,
        reraise=True,
    )


@dataclass(slots=True)
class _Visit:
    settled: Sequence[Settled]
    wanted: int
    given: list[ClaimedLetter] = field(default_factory=list)
    error: Exception | None = None
    served: bool = False


class Desk:
    """One worker's claims, shared by its senders. Once `stop` was asked letters are settled and none is given any more.

    `retrying` bounds the tries at a ledger that cannot be written; tests do not wait.
    """

    def __init__(
        self,
        claims: Claims,
        clock: Clock,
        *,
        stale_at: datetime | None = None,
        hours: Hours | None = None,
        stop: Stop | None = None,
        retrying: Retrying | None = None,
    ) -> None:
        self._claims, self._clock = claims, clock
        self._stale_at, self._hours = stale_at, hours
        self._open: Window | None = None
        self._stop = stop or Stop()
        self._retrying = patiently(self._stop) if retrying is None else retrying
        self._turn = threading.Lock()
        self._queueing = threading.Lock()
        self._waiting: list[_Visit] = []

    def only_confirmations(self, now: datetime) -> bool:
        """Whether everything but confirmations waits: the directory was read too long ago, or it is outside the send hours."""
        return self._stale(now) or self._closed_until(now) is not None

    def ending_by(self, now: datetime) -> datetime | None:
        """Until when letters wait for the send hours: those that end by then go all the same. None while they wait for nothing, or for
        a fresh read."""
        return None if self._stale(now) else self._closed_until(now)

    def _stale(self, now: datetime) -> bool:
        return self._stale_at is not None and now >= self._stale_at

    def _closed_until(self, now: datetime) -> datetime | None:
        if self._hours is None or (self._open and self._open.opens <= now < self._open.closes):
            return None
        opens = self._hours.closed_until(now)
        # Kept while it lasts: to work it out takes a good part of what a letter does.
        self._open = None if opens else self._hours.next_window(now)
        return opens

    def trade(self, settled: Sequence[Settled], wanted: int) -> list[ClaimedLetter]:
        """Settle letters and be given up to so many others, all committed; fewer or none if no more may be sent now.

        Raises LedgerError if the ledger could not be written for a long time. To settle twice does no harm: the second finds it done.
        """
        mine = _Visit(settled, wanted)
        with self._queueing:
            self._waiting.append(mine)
        with self._turn:
            if not mine.served:
                self._serve()
        if mine.error is not None:
            raise mine.error
        return mine.given

    def sweep(self) -> int:
        """How many letters of dead workers became uncertain for good; their confirmations are queued again."""

        def once() -> int:
            if self._stop.asked:
                return 0
            swept = self._claims.sweep(self._clock())
            return len(set(swept.uncertain) - set(swept.requeued))

        return int(self._retrying(once))

    def put_back(self, letters: Sequence[int], not_before: datetime) -> int:
        """How many of the letters (ids) that had failed are queued again, because the server refused everybody alike."""
        return int(self._retrying(lambda: len(self._claims.put_back(letters, self._clock(), not_before))))

    def _serve(self) -> None:
        with self._queueing:
            visits, self._waiting = self._waiting, []
        try:
            given = self._commit([one for visit in visits for one in visit.settled], sum(visit.wanted for visit in visits))
        except Exception as error:  # noqa: BLE001 - whoever waited is told, whatever it is
            for visit in visits:
                visit.error = error
                visit.served = True
            return
        for visit in visits:
            visit.given, given = given[: visit.wanted], given[visit.wanted :]
            visit.served = True

    def _commit(self, settled: Sequence[Settled], wanted: int) -> list[ClaimedLetter]:
        now = self._clock()
        alone, ending_by = self.only_confirmations(now), self.ending_by(now)

        def once() -> list[ClaimedLetter]:
            if self._stop.asked and not settled:
                return []
            still_wanted = 0 if self._stop.asked else wanted
            return self._claims.settle_and_claim(settled, now, still_wanted, only_confirmations=alone, ending_by=ending_by)[0]

        return list(self._retrying(once))
