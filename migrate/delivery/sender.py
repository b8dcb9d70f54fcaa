"""The sender: what one connection does. It takes letters, sends and settles them, until none is left, the server fails, or it must end."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tenacity import Retrying

from migrate.core.words import PAST_CUTOFF
from migrate.delivery.attempt import aside, attempt, composed, unrenderable
from migrate.delivery.batcher import Batcher, Place
from migrate.delivery.circuit_breaker import CircuitBreaker
from migrate.delivery.composed_ahead import ComposedAhead
from migrate.delivery.cpu_affinity import CpuAffinity
from migrate.delivery.delivered import Clock, Delivered, Progress
from migrate.delivery.rate_limiter import RateLimiter
from migrate.delivery.send_times import SendTimes
from migrate.delivery.shutdown import Shutdown
from migrate.errors import ConfigError, LedgerError, MailServerError
from migrate.mail.compose import Composer, UnrenderableError
from migrate.mail.letter import Letter
from migrate.mail.transport import Connection, Transport
from migrate.outbox.claims import ClaimedLetter, Claims, Settlement

REACH: Final = timedelta(hours=1)
"""With `until_empty`, how long a delivery waits for letters to be tried again, or for room in the day's limit."""
SHORT: Final = timedelta(minutes=5)
"""How long any delivery waits for room in the day's limit: a daily run may begin slightly earlier than the one of the day before."""
_LOOK_AGAIN: Final = 1.0
_SHARE: Final = 4
"""The letters in hand should last so many times as long as an exchange with the ledger takes."""
_SMOOTH: Final = 0.3
"""The weight of the last letter in the moving average of the time that a letter takes."""
_SOON: Final = 1.0
"""A letter may be in hand for so many seconds before its slot. If the wait is longer, the sender waits first and takes the letter after."""


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How a process delivers.

    `connections` is how many it opens to the mail server. An address that the server calls unknown or disabled counts as bounced for
    `bounce_days`. With `until_empty` the delivery waits for letters that are to be tried again soon. `number` is which of several
    processes this is, from 0; None if it is the only one.
    """

    bounce_days: int
    connections: int = 1
    until_empty: bool = False
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """What the senders of one process share. Without a `limiter` they send as fast as they can; without `affinity` their threads run on
    any processor."""

    settings: DeliverySettings
    claims: Claims
    batcher: Batcher
    composer: Composer
    ahead: ComposedAhead
    transport: Transport
    limiter: RateLimiter | None
    clock: Clock
    times: SendTimes
    stop: Shutdown
    breaker: CircuitBreaker
    watch: Progress
    retrying: Retrying
    affinity: CpuAffinity | None

    def waiting(self) -> int:
        """How many letters may go now."""
        now = self.clock()
        return self.claims.waiting(now, only_confirmations=self.times.only_confirmations(now), ending_by=self.times.ending_by(now))

    @property
    def used_up(self) -> bool:
        """Whether the day's limit is used up for so long that the remaining letters are left to a later delivery."""
        patience = REACH if self.settings.until_empty else SHORT
        return self.limiter is not None and self.limiter.seconds_until_room() > patience.total_seconds()


@dataclass(slots=True)
class Sender:
    """One connection, the letters in its hand, and what it has done so far. With `probe` it ends once the server has taken a letter."""

    shared: Shared
    probe: bool = False
    done: Delivered = field(default_factory=Delivered)
    _place: Place = field(init=False)
    _written: dict[int, Letter | UnrenderableError] = field(default_factory=dict)
    _slots: deque[datetime] = field(default_factory=deque)
    _slots_due: int = 0
    _seconds_a_letter: float = 0.0
    _closed: bool = False

    def __post_init__(self) -> None:
        self._place = self.shared.batcher.place()

    @property
    def _hand(self) -> list[ClaimedLetter]:
        return self._place.hand

    def work(self) -> Delivered:
        """Connects, and takes letters only then: if the server cannot be reached, every letter stays queued.

        On an error that is not the mail server's, the letter that was being tried stays `sending`: nobody knows what became of it.
        """
        try:
            self._work()
        except LedgerError as error:
            # The batcher has tried for minutes. Letters whose settlement cannot be written become uncertain.
            self.shared.stop.ask()
            raise self._unwritten(error) from error
        return self.done

    def _work(self) -> None:
        try:
            with self.shared.transport.connect() as connection:
                at_once = 1 if self.probe else connection.at_once
                while self._goes_on() and self._next(at_once):
                    self._send_hand(connection, at_once)
                self._end()  # before QUIT, which may take long
        except MailServerError as error:
            # If the delivery was asked to end, that is why connecting was given up; it is not the server's fault.
            self.done.stopped = None if self.shared.stop.asked else error
            self._end()
        except ConfigError:
            # A token or a certificate file has become unusable. The server did not hear of the letters in hand.
            self.shared.stop.ask()
            self._end()
            raise
        except LedgerError:
            raise
        except BaseException:
            self.shared.stop.ask()
            del self._hand[:1]
            self._end()
            raise

    def _goes_on(self) -> bool:
        if self.shared.stop.asked or self._closed:
            return False
        return not self.probe or self.shared.breaker.probing

    def _next(self, at_once: int) -> bool:
        """Takes the next letters in hand, once their slots have come; false if there are none left."""
        while not self._hand and not self.shared.stop.asked:
            wants = self._wanted(at_once)
            if self.shared.limiter:
                wants = self._due(self.shared.limiter, wants)
                if not self._slots:
                    continue
            if self._seconds_left() > _SOON:
                self._place.wants = 0
                self.shared.batcher.flush()
                self.shared.stop.wait(self._seconds_left())
                continue
            self._place.wants = wants
            self.shared.batcher.fill(self._place)
            if not self._hand:
                self._place.wants = 0
                if self.shared.batcher.day_is_full and self.shared.used_up:
                    return False
                if self._waits_for_room():
                    continue
                if not self._more_to_come():
                    return False
                self.shared.stop.wait(_LOOK_AGAIN)
        return bool(self._hand)

    def _wanted(self, at_once: int) -> int:
        """How many letters should be `sending`. As few as possible, since all of them are uncertain if the process is killed.

        One if the mail server is the slower part. Two (one of them announced) if the ledger takes nearly as long as the server. If the
        ledger takes longer, enough that commits take less time than SMTP: `_SHARE` times as many as go out during one exchange, at most
        `at_once`.
        """
        if not self._seconds_a_letter:
            return 1
        ratio = self.shared.batcher.seconds / self._seconds_a_letter
        return min(at_once, 1 + int(_SHARE * ratio) if ratio >= 1 else 1 + round(ratio))

    def _due(self, limiter: RateLimiter, wanted: int) -> int:
        """Takes slots; how many of the wanted letters have a slot whose time has come, but at least 1. If it is asked to end, it may be
        left without a slot."""
        while True:
            while self._slots_due < len(self._slots) and not limiter.seconds_until(self._slots[self._slots_due]):
                self._slots_due += 1
            if self._slots and (len(self._slots) >= wanted or self._slots_due < len(self._slots)):
                break
            slot = limiter.take()
            if slot is None:
                break
            self._slots.append(slot)
        return min(wanted, max(1, self._slots_due))

    def _seconds_left(self) -> float:
        """Seconds until the slot of the next letter in hand."""
        return self.shared.limiter.seconds_until(self._slots[0]) if self.shared.limiter and self._slots and not self._slots_due else 0.0

    def _use_slot(self) -> None:
        if self._slots:
            self._slots.popleft()
            self._slots_due = max(0, self._slots_due - 1)

    def _refill(self, at_once: int) -> None:
        """Takes more letters in hand, so that the next one can be announced together with the one that is being sent. Does nothing if the
        hand is empty: then there is no letter to announce it with."""
        wants = self._wanted(at_once) if self._goes_on() else 0
        if self.shared.limiter and wants > 1:
            wants = self._due(self.shared.limiter, wants)
        self._place.wants = wants
        if self._hand and wants > 1:
            self.shared.batcher.fill(self._place)

    def _waits_for_room(self) -> bool:
        """If letters wait only for room in the day's limit, waits until there is room; whether it did."""
        limiter, batcher = self.shared.limiter, self.shared.batcher
        if limiter is None or not batcher.day_is_full:
            return False
        batcher.rest()  # first, for the letters that are claimed here wait as well
        if not self.shared.waiting():
            return False
        self.shared.stop.wait(limiter.seconds_until_room())
        return True

    def _more_to_come(self) -> bool:
        """With `until_empty`: whether a letter can be tried within `REACH`. Sweeps up after dead workers, whose letters may be among
        them."""
        if not self.shared.settings.until_empty:
            return False
        now, times = self.shared.clock(), self.shared.times
        self.done.uncertain += self.shared.batcher.sweep()
        at = self.shared.claims.next_at(now, only_confirmations=times.only_confirmations(now), ending_by=times.ending_by(now))
        return at is not None and at <= now + REACH

    def _send_hand(self, connection: Connection, at_once: int) -> None:
        while self._hand:
            if left := self._seconds_left():
                self.shared.stop.wait(left)
            if self.shared.affinity:
                self.shared.affinity.keep()
            start = time.perf_counter()
            self._send(connection)
            took = time.perf_counter() - start
            self._seconds_a_letter += (took - self._seconds_a_letter) * _SMOOTH if self._seconds_a_letter else took
            self._refill(at_once)

    def _send(self, connection: Connection) -> None:
        """Sends the first letter in hand, or puts it back if it should not go now."""
        this, shared = self._hand[0], self.shared
        now = shared.clock()
        if shared.stop.asked:
            self._release()
            return
        if until := shared.breaker.left_alone_until(this.address, now):
            self._settle(Settlement("released", not_before=until))
            return
        if this.ends is not None and this.ends <= now:
            self._settle(Settlement("withdrawn", reason=PAST_CUTOFF))
            return
        if not shared.claims.in_time(this, now):
            # The letter was in hand for long. Its lease may expire during this try, or has expired: somebody else may decide on it.
            self._settle(Settlement("released"))
            return
        letter = self._write(this, now)
        self._use_slot()
        if isinstance(letter, UnrenderableError):
            self._settle(unrenderable(this, letter, shared.composer, now))
            shared.watch(1)
            return
        tried = attempt(
            this,
            letter,
            self._announced(now),
            connection,
            shared.composer,
            now,
            bounce_days=shared.settings.bounce_days,
            retrying=shared.retrying,
            again=lambda: shared.claims.in_time(this, shared.clock()),
        )
        receipt = tried.receipt
        if receipt.refusal and receipt.refusal.limited and shared.breaker.may_close(this.letter_id, new=not self.done.sent):
            # The server wants fewer connections: this one closes, and another one sends the letter.
            self._closed = True
            self._settle(Settlement("released", reply=receipt.reply))
            self._release()
            return
        self._settle(tried.settlement)
        shared.watch(1)
        if receipt.about_server:
            self.done.postponed += 1
        if receipt.verdict == "sent" and this.ends is not None and shared.times.ending_by(now) is not None:
            self.done.outside_hours += 1
        until = now if receipt.verdict == "sent" else aside(this, receipt, now)
        if error := shared.breaker.hear(this.letter_id, this.address, receipt, now, until):
            shared.stop.ask(error)

    def _announced(self, now: datetime) -> Letter | None:
        """The next letter in hand, to be announced; None if there is none, it cannot be composed, or its slot has not come."""
        if len(self._hand) < 2 or self._seconds_left():
            return None
        letter = self._write(self._hand[1], now)
        return letter if isinstance(letter, Letter) else None

    def _write(self, claimed: ClaimedLetter, now: datetime) -> Letter | UnrenderableError:
        """Composes a letter in hand, once; the letter, or why it cannot be composed."""
        found = self._written.get(claimed.letter_id)
        if found is None:
            try:
                found = self.shared.ahead.take(claimed, now) or composed(claimed, self.shared.composer, now)
            except UnrenderableError as error:
                found = error
            self._written[claimed.letter_id] = found
        return found

    def _settle(self, settlement: Settlement) -> None:
        done = self.shared.batcher.settle(self._place, settlement)
        self._written.pop(done.letter_id, None)
        self.done.count(settlement.verdict)

    def _unwritten(self, error: LedgerError) -> LedgerError:
        """The error, with the number of letters that it leaves uncertain."""
        tried = sum(settlement.verdict != "released" for _, settlement in self.shared.batcher.unwritten)
        if not tried:
            return error
        some = f"{tried} letter{'s' if tried > 1 else ''}"
        what = f"{error.what} What became of {some} just handed over could not be written down, and is uncertain once the lease has ended."
        return LedgerError(what, where=error.where, hint=error.hint)

    def _release(self) -> None:
        """Puts the letters in hand back into the queue, untried."""
        self._place.wants = 0
        while self._hand:
            self._settle(Settlement("released"))

    def _end(self) -> None:
        """Releases the letters in hand, writes all settlements, and gives up the place at the batcher."""
        self._release()
        self.shared.batcher.flush()
        self.shared.batcher.leave(self._place)
        if not self._closed:
            self.shared.breaker.leave()
