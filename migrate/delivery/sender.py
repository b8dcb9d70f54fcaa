"""One connection's work: claim, send, settle, until nothing is left, no letter can be handed over, or it is asked to end."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tenacity import Retrying

from migrate.delivery.attempt import aside, attempt, composed, unrenderable
from migrate.delivery.delivered import Clock, Delivered, Watch
from migrate.delivery.desk import Desk, Settled
from migrate.delivery.processor import Processor
from migrate.delivery.rate_limiter import Counted, RateLimiter
from migrate.delivery.stop import Stop
from migrate.delivery.trouble import Trouble
from migrate.errors import LedgerError, MailServerError
from migrate.ledger.claims import ClaimedLetter, Claims, Settlement
from migrate.ledger.schema import EPOCH
from migrate.mail.compose import Composer, UnrenderableError
from migrate.mail.letters import Letter
from migrate.mail.transport import Connection, Transport

REACH: Final = timedelta(hours=1)
"""How far ahead `until_empty` looks for letters that are to be tried again, and for room in the day's limit."""
SHORT: Final = timedelta(minutes=5)
"""How long any delivery waits for room in the day's limit: a daily run may begin a moment earlier than the day before."""
_LOOK_AGAIN: Final = 1.0
_SHARE: Final = 4
"""How many times the wait for a commit a hand of letters may last."""
_SOON: Final = 1.0
"""Seconds that a letter may lie claimed before its slot comes; a longer wait is waited before it is claimed."""


@dataclass(frozen=True, slots=True)
class Round:
    """What the senders of one process share.

    `limiter` None is as fast as it goes, `processor` None anywhere; `until_empty` waits for letters to be tried again.
    """

    claims: Claims
    desk: Desk
    composer: Composer
    transport: Transport
    limiter: RateLimiter | None
    clock: Clock
    stop: Stop
    trouble: Trouble
    watch: Watch
    retrying: Retrying
    processor: Processor | None
    bounce_days: int
    until_empty: bool

    @property
    def used_up(self) -> bool:
        """Whether the day's letters are used up for so long that the rest is left to a later delivery."""
        patience = REACH if self.until_empty else SHORT
        return self.limiter is not None and self.limiter.seconds_until_room() > patience.total_seconds()


@dataclass(slots=True)
class Sender:
    """One connection with its letters in hand, and what it has done so far. With `probe` it ends once the server has taken a letter."""

    round: Round
    probe: bool = False
    done: Delivered = field(default_factory=Delivered)
    _hand: list[ClaimedLetter] = field(default_factory=list)
    _settled: list[Settled] = field(default_factory=list)
    _written: dict[int, Letter | UnrenderableError] = field(default_factory=dict)
    _slots: deque[datetime] = field(default_factory=deque)
    _come: int = 0
    _counted: Counted = field(default_factory=lambda: Counted(1, EPOCH))
    _trading: float = 0.0
    _sending: float = 0.0
    _closed: bool = False

    def work(self) -> Delivered:
        """Claims only once its connection stands, so that an unreachable server leaves every letter queued.

        On any other error than the mail server's the letter just tried stays `sending`: nobody knows what became of it.
        """
        try:
            with self.round.transport.connect() as connection:
                while self._goes_on() and self._next(1 if self.probe else connection.at_once):
                    self._send_hand(connection)
        except MailServerError as error:
            # Whoever was asked to end gave up on the server for that.
            self.done.stopped = None if self.round.stop.asked else error
            self._release()
        except LedgerError as error:
            # It was tried for a long time already; what cannot be written down becomes uncertain.
            self.round.stop.ask()
            raise self._unwritten(error) from error
        except BaseException:
            self.round.stop.ask()
            del self._hand[:1]
            self._release()
            self._trade(0)
            raise
        self._trade(0)
        if not self._closed:
            self.round.trouble.leave()
        return self.done

    def _goes_on(self) -> bool:
        if self.round.stop.asked or self._closed:
            return False
        return not self.probe or self.round.trouble.probing

    def _next(self, at_once: int) -> bool:
        """Settles what was sent and takes the next letters in hand, once their time has come; false if there are none any more."""
        if self.round.processor:
            self.round.processor.keep()
        while not self.round.stop.asked:
            wanted = self._wanted(at_once)
            if self.round.limiter:
                wanted = self._due(self.round.limiter, wanted)
                if not self._slots:
                    continue
            if self._seconds_left() > _SOON:
                self._trade(0)
                self.round.stop.wait(self._seconds_left())
                continue
            start = time.perf_counter()
            self._hand = self._claim(wanted)
            self._trading = time.perf_counter() - start
            if self._hand:
                return True
            if not self._counted.letters and self.round.used_up:
                return False
            if self._waits_for_room():
                continue
            if not self._more_to_come():
                return False
            self.round.stop.wait(_LOOK_AGAIN)
        return False

    def _wanted(self, at_once: int) -> int:
        """How many letters to take in hand: no more than it takes for the ledger to be waited for less than for the mail server.

        If this process is killed, all of them are uncertain; so there is one, unless a commit takes longer than several letters.
        """
        return min(at_once, 1 + int(_SHARE * self._trading / self._sending)) if self._sending else 1

    def _due(self, limiter: RateLimiter, wanted: int) -> int:
        """For how many of the letters wanted, one at least, there are slots whose time has come; there is none if it is asked to end."""
        while True:
            while self._come < len(self._slots) and not limiter.seconds_until(self._slots[self._come]):
                self._come += 1
            if self._slots and (len(self._slots) >= wanted or self._come < len(self._slots)):
                break
            slot = limiter.take()
            if slot is None:
                break
            self._slots.append(slot)
        return min(wanted, max(1, self._come))

    def _seconds_left(self) -> float:
        """Until the time of the next letter in hand has come."""
        return self.round.limiter.seconds_until(self._slots[0]) if self.round.limiter and self._slots and not self._come else 0.0

    def _use_slot(self) -> None:
        if self._slots:
            self._slots.popleft()
            self._come = max(0, self._come - 1)

    def _claim(self, wanted: int) -> list[ClaimedLetter]:
        """Up to so many letters, counted among the day's; nothing but the letters that were sent is settled if these are used up."""
        limiter = self.round.limiter
        if limiter is None:
            return self._trade(wanted)
        self._counted = limiter.count(wanted)
        given = self._trade(self._counted.letters)
        limiter.give_back(self._counted.letters - len(given), self._counted.minute)
        return given

    def _waits_for_room(self) -> bool:
        """Waits until the day has room again, if that is what letters wait for."""
        limiter, now = self.round.limiter, self.round.clock()
        if limiter is None or self._counted.letters:
            return False
        if not self.round.claims.waiting(now, only_confirmations=self.round.desk.only_confirmations(now)):
            return False
        self.round.stop.wait(limiter.seconds_until_room())
        return True

    def _trade(self, wanted: int) -> list[ClaimedLetter]:
        given = self.round.desk.trade(self._settled, wanted)
        self._settled = []
        return given

    def _more_to_come(self) -> bool:
        """Whether a letter will be queued again within reach; the leases of workers that died end meanwhile."""
        if not self.round.until_empty:
            return False
        now = self.round.clock()
        self.done.uncertain += self.round.desk.sweep()
        desk = self.round.desk
        at = self.round.claims.next_at(only_confirmations=desk.only_confirmations(now), ending_by=desk.ending_by(now))
        return at is not None and at <= now + REACH

    def _send_hand(self, connection: Connection) -> None:
        letters, start = len(self._hand), time.perf_counter()
        while self._hand:
            if left := self._seconds_left():
                self.round.stop.wait(left)
            self._send(connection)
        self._sending = (time.perf_counter() - start) / letters
        self._written.clear()

    def _send(self, connection: Connection) -> None:
        """Send the first letter in hand, or put it back if it is not to be sent now."""
        this, shared = self._hand[0], self.round
        now = shared.clock()
        if shared.stop.asked:
            self._release()
            return
        if until := shared.trouble.left_alone_until(this.address, now):
            self._settle(Settlement("released", not_before=until))
            return
        letter = self._write(this, now)
        self._use_slot()
        if isinstance(letter, UnrenderableError):
            self._settle(unrenderable(this, letter, shared.composer, now))
            shared.watch(1)
            return
        tried = attempt(
            this, letter, self._announced(now), connection, shared.composer, now, bounce_days=shared.bounce_days, retrying=shared.retrying
        )
        receipt = tried.receipt
        if receipt.refusal and receipt.refusal.limited and shared.trouble.may_close(this.letter_id):
            # The server wants fewer connections: another one takes this letter.
            self._closed = True
            self._settle(Settlement("released", reply=receipt.reply))
            self._release()
            return
        self._settle(tried.settlement)
        shared.watch(1)
        if receipt.about_server:
            self.done.postponed += 1
        if receipt.verdict == "sent" and this.ends is not None and shared.desk.ending_by(now) is not None:
            self.done.outside_hours += 1
        until = now if receipt.verdict == "sent" else aside(this, receipt, now)
        if error := shared.trouble.hear(this.letter_id, this.address, receipt, now, until):
            shared.stop.ask(error)

    def _announced(self, now: datetime) -> Letter | None:
        """The letter that will be next, if one can be and its time has come."""
        if len(self._hand) < 2 or self._seconds_left():
            return None
        letter = self._write(self._hand[1], now)
        return letter if isinstance(letter, Letter) else None

    def _write(self, claimed: ClaimedLetter, now: datetime) -> Letter | UnrenderableError:
        """The letter, composed once while it is in hand."""
        found = self._written.get(claimed.letter_id)
        if found is None:
            try:
                found = composed(claimed, self.round.composer, now)
            except UnrenderableError as error:
                found = error
            self._written[claimed.letter_id] = found
        return found

    def _settle(self, settlement: Settlement) -> None:
        self._settled.append((self._hand.pop(0), settlement))
        self.done.count(settlement.verdict)
        if self.round.limiter and settlement.verdict not in ("sent", "uncertain"):
            self.round.limiter.give_back(1, self._counted.minute)

    def _unwritten(self, error: LedgerError) -> LedgerError:
        """The error, with how many letters of this sender it leaves in doubt."""
        tried = sum(settlement.verdict != "released" for _, settlement in self._settled)
        if not tried:
            return error
        some = f"{tried} letter{'s' if tried > 1 else ''}"
        what = f"{error.what} What became of {some} just handed over could not be written down, and is uncertain once the lease has ended."
        return LedgerError(what, where=error.where, hint=error.hint)

    def _release(self) -> None:
        """Nothing was said about the letters still in hand, so they go back as they were."""
        while self._hand:
            self._settle(Settlement("released"))
