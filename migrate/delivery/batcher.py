"""The batcher: it settles and claims letters for all senders of a process, with as few commits as possible.

A durable commit costs a write to the disk. If a sender comes while another one's commit is running, it waits; the next commit serves all
senders that wait. Each sender holds its own letters only. A sender with few letters left asks for more and goes on sending; they come with
the next commit, whichever sender makes it.

A letter that a sender is given is `sending`, committed, and composed if there was time for it (`composed_ahead`). The batcher also claims
letters in advance, so that not every commit has to search the queue. Those are `claimed`; if no sender begins with them, they go back into
the queue.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from tenacity import Retrying

from migrate.delivery.composed_ahead import ComposedAhead
from migrate.delivery.delivered import Clock
from migrate.delivery.rate_limiter import Counted, RateLimiter
from migrate.delivery.send_times import SendTimes
from migrate.delivery.shutdown import Shutdown, patiently
from migrate.errors import LedgerError
from migrate.ledger.schema import EPOCH
from migrate.outbox.claims import ClaimedLetter, Claims, Settlement
from migrate.outbox.transitions import Claim

Settled = tuple[ClaimedLetter, Settlement]

_AHEAD: Final = 4
"""If senders want more than one letter each, this many times what they want is claimed in advance."""
_IN_HAND: Final = 2
"""Letters in a sender's hand: the one that it sends, and the next one, which it announces."""
_LOW: Final = 5
"""The batcher asks for more letters when one part in so many is left, early enough that no sender waits."""
_KEPT: Final = timedelta(seconds=30)
"""How long claimed letters are held if no sender begins with them. After that others may be more urgent, or another process idle."""
_SEVERAL: Final = 32
"""How many of the last exchanges are timed. The shortest of them counts: longer ones waited for a lock or compiled their statements,
which is no reason to put more letters in hand."""
_FIRST: Final = 8
"""Until so many exchanges were timed, the time that one takes counts as not known."""


@dataclass(eq=False, slots=True)
class Place:
    """A sender's place at the batcher: the letters in its `hand`, and how many `sending` letters it `wants`.

    A hand holds two letters at most. The other letters that were made `sending` because a sender wants them stay with the batcher, and any
    sender may take them.
    """

    hand: list[ClaimedLetter] = field(default_factory=list)
    wants: int = 0


class Batcher:
    """One worker's claims, shared by its senders. Once `stop` is asked, it settles letters and gives out none.

    Letters that become `sending` count towards the `limiter`'s limit of a day, if there is one. They are composed `ahead`.
    `retrying` limits the tries when the ledger cannot be written; tests do not wait.
    """

    def __init__(
        self,
        claims: Claims,
        clock: Clock,
        *,
        times: SendTimes | None = None,
        stop: Shutdown | None = None,
        limiter: RateLimiter | None = None,
        ahead: ComposedAhead | None = None,
        retrying: Retrying | None = None,
    ) -> None:
        self._claims, self._clock, self._ahead = claims, clock, ahead
        self._daily = limiter if limiter is not None and limiter.limits_day else None
        self._times = times or SendTimes()
        self._stop = stop or Shutdown()
        self._retrying = patiently(self._stop) if retrying is None else retrying
        self._turn = threading.Lock()
        self._moving = threading.Lock()  # guards moves: a letter is in one hand, or with the batcher, or settled
        self._places: list[Place] = []
        self._begun: deque[ClaimedLetter] = deque()
        self._settled: list[Settled] = []
        self._error: Exception | None = None
        self._held: list[ClaimedLetter] = []
        self._held_since = datetime.min.replace(tzinfo=UTC)
        self._took: deque[float] = deque(maxlen=_SEVERAL)
        self._shortest = 0.0
        self._low = 0  # with fewer letters than this, ask for more; stored, since every letter needs it
        self._counted: dict[Claim, datetime] = {}
        """The minute in which each `sending` letter is counted. The key is the claim, since a letter that lost its lease may be claimed
        again."""
        self.day_is_full = False
        """Whether the day's limit was used up when letters were last asked for."""

    @property
    def seconds(self) -> float:
        """Seconds that the ledger takes for one exchange of every sender, one after the other; 0 until that is known."""
        return len(self._places) * self._shortest

    def place(self) -> Place:
        """Adds a place for one more sender."""
        mine = Place()
        with self._moving:
            self._places.append(mine)
        return mine

    def leave(self, mine: Place) -> None:
        """Removes the place of a sender that has ended with nothing in hand."""
        with self._moving:
            if mine in self._places:
                self._places.remove(mine)

    def settle(self, mine: Place, settlement: Settlement) -> ClaimedLetter:
        """Notes what became of the first letter in hand; the letter. The next exchange writes it to the ledger."""
        with self._moving:
            done = mine.hand.pop(0)
            self._settled.append((done, settlement))
        self._let_go(done, settlement)
        return done

    @property
    def unwritten(self) -> Sequence[Settled]:
        """Settlements that are not in the ledger yet."""
        return tuple(self._settled)

    def fill(self, mine: Place) -> None:
        """Fills a hand with `sending` letters, committed. The hand stays empty if no letter may be sent now.

        Raises LedgerError if the ledger could not be written for a long time.
        """
        while not self._take(mine):
            with self._turn:
                if self._take(mine):  # another sender's exchange brought letters
                    break
                if self._exchange():
                    self._take(mine)
                    break
        if mine.hand and len(self._begun) < self._low and self._turn.acquire(blocking=False):
            try:
                self._exchange()
            finally:
                self._turn.release()

    def flush(self) -> None:
        """Writes all settlements to the ledger, and puts back letters that no sender wants. Raises LedgerError as `fill` does.

        Settling is idempotent: a second time changes nothing.
        """
        with self._turn:
            self._put_down(all_=False)
            self._exchange()

    def rest(self) -> None:
        """Writes all settlements and puts claimed letters back, before all senders wait for a long time."""
        with self._turn:
            self._put_down(all_=False)
            self._exchange(closing=True)

    def close(self) -> None:
        """Writes all settlements and puts every letter back into the queue that is in no hand."""
        with self._turn:
            self._put_down()
            if self._settled or self._held:
                self._exchange(closing=True)

    def sweep(self) -> int:
        """Sweeps up after dead workers: their `sending` letters become `uncertain`, and confirmations are queued again by themselves. How
        many letters stay `uncertain`."""

        def once() -> int:
            if self._stop.asked:
                return 0
            swept = self._claims.sweep(self._clock())
            return len(set(swept.uncertain) - set(swept.requeued))

        return int(self._retrying(once))

    def withdraw_late(self) -> None:
        """Withdraws letters that have waited past their end."""
        self._retrying(lambda: None if self._stop.asked else self._claims.withdraw_late(self._clock()))

    def put_back(self, letters: Sequence[int], not_before: datetime) -> int:
        """Queues failed letters (ids) again, because the server refused everybody; how many were queued."""
        return int(self._retrying(lambda: len(self._claims.put_back(letters, self._clock(), not_before))))

    def _take(self, mine: Place) -> bool:
        """Moves letters from the batcher into a hand; whether the hand has any then."""
        with self._moving:
            while self._begun and len(mine.hand) < min(mine.wants, _IN_HAND):
                mine.hand.append(self._begun.popleft())
            return bool(mine.hand)

    def _put_down(self, *, all_: bool = True) -> None:
        """Releases the letters with the batcher; unless `all_`, only those that no sender wants. They go back unchanged, untried."""
        with self._moving:
            kept = 0 if all_ else sum(self._lacking())
            back = [(self._begun.pop(), Settlement("released")) for _ in range(len(self._begun) - kept)]
            self._settled += back
        for each, settlement in back:
            self._let_go(each, settlement)

    def _lacking(self) -> list[int]:
        """For each sender, how many letters it wants besides those in its hand."""
        return [max(0, each.wants - len(each.hand)) for each in self._places]

    def _let_go(self, done: ClaimedLetter, settlement: Settlement) -> None:
        """Corrects the day's count: a letter that the server took counts in the minute of its reply, any other not at all. Drops what was
        composed ahead for a letter that was not tried."""
        if self._ahead is not None:
            self._ahead.forget(done)
        if self._daily is not None:
            minute = self._counted.pop((done.letter_id, done.lease_until))
            if settlement.verdict in ("sent", "uncertain"):
                self._daily.went(minute)
            else:
                self._daily.give_back(1, minute)

    def _count(self, wanted: int) -> Counted:
        """Counts letters towards the day's limit: as many of the `wanted` as there is room for."""
        if self._daily is None or not wanted:
            return Counted(wanted, EPOCH)
        counted = self._daily.count(wanted)
        self.day_is_full = not counted.letters
        return counted

    def _exchange(self, *, closing: bool = False) -> bool:
        """Settles everything and makes as many letters `sending` as the senders want, in one commit.

        True if the queue had too few letters, or none were wanted.
        """
        if self._error is not None:
            raise self._error
        if self._stop.asked:
            self._put_down()
        with self._moving:
            settled, self._settled = self._settled, []
            lacking = self._lacking()
            wanted = 0 if closing else max(0, sum(lacking) - len(self._begun))
            self._low = sum(each.wants - _IN_HAND for each in self._places if each.wants > _IN_HAND) // _LOW
        try:
            counted = self._count(wanted)
            begun = self._commit(settled, counted.letters, _AHEAD * (wanted - sum(map(bool, lacking))), closing=closing)
        except Exception as error:
            self._error = error
            with self._moving:
                self._settled[:0] = settled
            raise
        if self._ahead is not None:
            self._ahead.compose(begun)
        with self._moving:
            if self._daily is not None:
                self._daily.give_back(counted.letters - len(begun), counted.minute)
                self._counted |= dict.fromkeys(((each.letter_id, each.lease_until) for each in begun), counted.minute)
            self._begun.extend(begun)
        return len(begun) < wanted or not wanted

    def _commit(self, settled: Sequence[Settled], wanted: int, ahead: int, *, closing: bool) -> list[ClaimedLetter]:
        def once() -> list[ClaimedLetter]:
            now = self._clock()  # read at each try: waiting for the ledger may take minutes
            ends = closing or self._stop.asked
            if ends and not settled and not self._held:
                return []
            start = time.perf_counter()
            stays = not ends and (not self._held or now < self._held_since + _KEPT)
            done = self._claims.exchange(
                settled,
                now,
                0 if ends else wanted,
                held=self._held,
                ahead=max(0, ahead) if stays else None,
                only_confirmations=self._times.only_confirmations(now),
                ending_by=self._times.ending_by(now),
            )
            if done.held and (not self._held or done.held[-1] is not self._held[-1]):
                self._held_since = now
            self._held = done.held
            if done.begun:
                self._took.append(time.perf_counter() - start)
                self._shortest = min(self._took) if len(self._took) >= _FIRST else 0.0
            return done.begun

        try:
            return once()
        except LedgerError:  # from here on patiently; nearly always the first try succeeds, and a retrier costs as much as the rest
            return list(self._retrying(once))
