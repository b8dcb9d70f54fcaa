"""The batcher: what the senders of one process ask of the ledger, settled and claimed in one commit for all of them.

A commit that is safe against a power cut costs a write to the disk. So a sender that comes during a commit waits, and is served by the next
one together with all who wait; each sender still holds only its own letters. A sender that runs low says so and goes on; its letters come
with the next commit, whoever makes it.

What a sender is given is `sending`, committed. The batcher claims letters ahead of that, so that few commits have to look for them; those
are `claimed`, and go back into the queue when nobody begins with them.
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

from migrate.delivery.delivered import Clock
from migrate.delivery.rate_limiter import Counted, RateLimiter
from migrate.delivery.send_times import SendTimes
from migrate.delivery.shutdown import Shutdown, patiently
from migrate.ledger.schema import EPOCH
from migrate.outbox.claims import ClaimedLetter, Claims, Settlement
from migrate.outbox.transitions import Claim

Settled = tuple[ClaimedLetter, Settlement]

_AHEAD: Final = 4
"""How many times what senders want at once is claimed at once, where they want more than one letter each."""
_IN_HAND: Final = 2
"""Letters in a sender's hand: the one that it says, and the one that is announced with it."""
_LOW: Final = 5
"""With what part of the letters left the batcher is filled again, so that nobody waits for it."""
_KEPT: Final = timedelta(seconds=30)
"""How long letters are held that nobody begins with; then others may be more urgent, and another process idle."""
_SEVERAL: Final = 32
_FIRST: Final = 8
"""Exchanges of which the shortest tells what one takes: that the ledger was waited for at times, or its statements had to be put together
first, is no reason to begin with more letters."""


@dataclass(eq=False, slots=True)
class Place:
    """A sender's place at the batcher: its letters in `hand`, and how much `room` it makes for letters that are `sending`.

    It holds two at most, the one that it says and the one that it announces; the rest of the room is for letters that whoever comes
    first takes.
    """

    hand: list[ClaimedLetter] = field(default_factory=list)
    room: int = 0


class Batcher:
    """One worker's claims, shared by its senders. Once `stop` was asked letters are settled and none is given any more.

    What is begun with is counted among the letters of the `limiter`'s day, if that has a limit.
    `retrying` bounds the tries at a ledger that cannot be written; tests do not wait.
    """

    def __init__(
        self,
        claims: Claims,
        clock: Clock,
        *,
        times: SendTimes | None = None,
        stop: Shutdown | None = None,
        limiter: RateLimiter | None = None,
        retrying: Retrying | None = None,
    ) -> None:
        self._claims, self._clock = claims, clock
        self._daily = limiter if limiter is not None and limiter.limits_day else None
        self._times = times or SendTimes()
        self._stop = stop or Shutdown()
        self._retrying = patiently(self._stop) if retrying is None else retrying
        self._turn = threading.Lock()
        self._moving = threading.Lock()  # a letter is always in one hand, with the batcher, or settled, and counted once
        self._places: list[Place] = []
        self._begun: deque[ClaimedLetter] = deque()
        self._settled: list[Settled] = []
        self._error: Exception | None = None
        self._held: list[ClaimedLetter] = []
        self._held_since = datetime.min.replace(tzinfo=UTC)
        self._took: deque[float] = deque(maxlen=_SEVERAL)
        self._shortest = 0.0
        self._low = 0  # with fewer letters than this it is filled again; looked at for every letter, so kept
        self._counted: dict[Claim, datetime] = {}
        """Letters that are `sending`, and the minute in which each is counted. One whose lease was lost may be begun with a second time."""
        self.day_is_full = False
        """Whether the day had no room when letters were last asked for."""

    @property
    def seconds(self) -> float:
        """What the ledger takes for an exchange of each sender, one after the other; nothing until that is known."""
        return len(self._places) * self._shortest

    def place(self) -> Place:
        """A place for one more sender."""
        mine = Place()
        with self._moving:
            self._places.append(mine)
        return mine

    def leave(self, mine: Place) -> None:
        """The sender of a place has ended, with nothing in hand."""
        with self._moving:
            if mine in self._places:
                self._places.remove(mine)

    def settle(self, mine: Place, settlement: Settlement) -> ClaimedLetter:
        """Take down what became of the first letter in hand; the letter. It is written with the next exchange."""
        with self._moving:
            done = mine.hand.pop(0)
            self._settled.append((done, settlement))
        if self._daily is not None:
            self._tell_limiter(done, settlement)
        return done

    @property
    def unwritten(self) -> Sequence[Settled]:
        """What was settled and is not written down yet."""
        return tuple(self._settled)

    def fill(self, mine: Place) -> None:
        """Fill a hand with letters that are `sending`, committed; none are given if no more may be sent now.

        Raises LedgerError if the ledger could not be written for a long time.
        """
        while not self._take(mine):
            with self._turn:
                if self._take(mine):  # another sender's exchange brought it
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
        """Write down everything that was settled, and put back what nobody has room for any more. Raises LedgerError as `fill` does.

        To settle twice does no harm: the second finds it done.
        """
        with self._turn:
            self._put_down(all_=False)
            self._exchange()

    def rest(self) -> None:
        """Settle everything and put back what is claimed: nobody begins with it for a while."""
        with self._turn:
            self._put_down(all_=False)
            self._exchange(closing=True)

    def close(self) -> None:
        """Put back into the queue what nobody has begun to say."""
        with self._turn:
            self._put_down()
            if self._settled or self._held:
                self._exchange(closing=True)

    def sweep(self) -> int:
        """How many letters of dead workers became uncertain for good; their confirmations are queued again."""

        def once() -> int:
            if self._stop.asked:
                return 0
            swept = self._claims.sweep(self._clock())
            return len(set(swept.uncertain) - set(swept.requeued))

        return int(self._retrying(once))

    def withdraw_late(self) -> None:
        """Withdraw what has waited past its end."""
        self._retrying(lambda: None if self._stop.asked else self._claims.withdraw_late(self._clock()))

    def put_back(self, letters: Sequence[int], not_before: datetime) -> int:
        """How many of the letters (ids) that had failed are queued again, because the server refused everybody alike."""
        return int(self._retrying(lambda: len(self._claims.put_back(letters, self._clock(), not_before))))

    def _take(self, mine: Place) -> bool:
        """Take letters from the batcher in hand; whether there are any then."""
        with self._moving:
            while self._begun and len(mine.hand) < min(mine.room, _IN_HAND):
                mine.hand.append(self._begun.popleft())
            return bool(mine.hand)

    def _put_down(self, *, all_: bool = True) -> None:
        """Nothing will be said about the letters with the batcher, or those that nobody has room for, so they go back as they were."""
        with self._moving:
            kept = 0 if all_ else sum(self._room())
            back = [(self._begun.pop(), Settlement("released")) for _ in range(len(self._begun) - kept)]
            self._settled += back
        for each, settlement in back:
            self._tell_limiter(each, settlement)

    def _room(self) -> list[int]:
        """How many letters each sender has room for besides those in its hand."""
        return [max(0, each.room - len(each.hand)) for each in self._places]

    def _tell_limiter(self, done: ClaimedLetter, settlement: Settlement) -> None:
        """What the server did not take does not count among the day's, and what it took counts from now on."""
        if self._daily is not None:
            minute = self._counted.pop((done.letter_id, done.lease_until))
            if settlement.verdict in ("sent", "uncertain"):
                self._daily.went(minute)
            else:
                self._daily.give_back(1, minute)

    def _count(self, wanted: int) -> Counted:
        """How many of the letters wanted the day has room for."""
        if self._daily is None or not wanted:
            return Counted(wanted, EPOCH)
        counted = self._daily.count(wanted)
        self.day_is_full = not counted.letters
        return counted

    def _exchange(self, *, closing: bool = False) -> bool:
        """Settle everything and fill everybody's room, in one commit; whether there were too few letters for that."""
        if self._error is not None:
            raise self._error
        if self._stop.asked:
            self._put_down()
        with self._moving:
            settled, self._settled = self._settled, []
            room = self._room()
            wanted = 0 if closing else max(0, sum(room) - len(self._begun))
            self._low = sum(each.room - _IN_HAND for each in self._places if each.room > _IN_HAND) // _LOW
        try:
            counted = self._count(wanted)
            begun = self._commit(settled, counted.letters, _AHEAD * (wanted - sum(map(bool, room))), closing=closing)
        except Exception as error:
            self._error = error
            with self._moving:
                self._settled[:0] = settled
            raise
        with self._moving:
            if self._daily is not None:
                self._daily.give_back(counted.letters - len(begun), counted.minute)
                self._counted |= dict.fromkeys(((each.letter_id, each.lease_until) for each in begun), counted.minute)
            self._begun.extend(begun)
        return len(begun) < wanted or not wanted

    def _commit(self, settled: Sequence[Settled], wanted: int, ahead: int, *, closing: bool) -> list[ClaimedLetter]:
        def once() -> list[ClaimedLetter]:
            now = self._clock()  # each time: the ledger may have kept us waiting for minutes
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

        return list(self._retrying(once))
