"""When a mail server refuses everybody, and when a domain does (design §11).

One bad address never stops a delivery, nor do a thousand: they say nothing about the server. A server that takes no letter from us does, so
that the outbox is not worn out against it. A domain that says "not now" again and again while others take our letters is left alone for
a moment. What a refusal is about is decided in `mail.refusals`; what follows from several, here.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from migrate.errors import MailServerError
from migrate.mail.refusals import wording
from migrate.mail.transport import Receipt

REFUSALS: Final = 20
"""So many different addresses in a row without one letter taken, and the trouble is the server's or ours, not theirs."""
STREAK: Final = 10
"""So many are enough if the server speaks of itself or of us, or says the same to all."""
LATELY: Final = STREAK // 2
"""So many of a delivery before are enough to try one letter first: those under way over other connections when the server took its last
one do not count as refused since."""
ALIKE_AT_LAST: Final = 5
"""So many refused with the same words are enough if the delivery has ended and none was taken."""
DEFERRALS: Final = 5
"""So many letters to a domain put off in a row, while other domains take theirs, and it is left alone."""
MOMENT: Final = timedelta(minutes=5)


class CircuitBreaker:
    """What the mail server said lately. Any thread may tell it and ask it.

    `lately` is what it said to the letters that it refused for its own sake since it last took one, in deliveries before this one: while
    `probing`, one more refusal of that kind is enough. `failed` are the letters refused for good since it last took one; if `error` is
    set, it was for no reason of their own.
    """

    def __init__(self, lately: Sequence[str] = ()) -> None:
        self._turn = threading.Lock()
        self._refused: set[str] = set()
        self._ours: set[str] = set()
        self._alike: set[str] = set()
        self._words = ""
        self._last: Receipt | None = None
        self._taken = False
        self._standing = 1
        self._limited: set[int] = set()
        self._put_off: Counter[str] = Counter()
        self._left_alone: dict[str, datetime] = {}
        self._lately = lately if len(lately) >= LATELY else ()
        self.failed: dict[int, datetime] = {}
        self.error: MailServerError | None = None

    @property
    def probing(self) -> bool:
        """Whether the server refused everybody when it was last asked, and has taken no letter since."""
        return bool(self._lately) and not self._taken

    def hear(self, letter_id: int, address: str, receipt: Receipt, now: datetime, aside: datetime) -> MailServerError | None:
        """Takes note of an answer; the error that ends the delivery if it was one refusal too many.

        `aside` is until when the letter is to wait if it turns out to have been refused for no reason of its own.
        """
        with self._turn:
            if receipt.verdict == "sent":
                self._hear_taken(address, now)
                return None
            about = receipt.refusal
            if about and about.alone:
                return None
            if receipt.about_server or not self._ours:
                self._last = receipt
            self._refused.add(address)
            if receipt.about_server:
                self._ours.add(address)
                return self._open(self.probing or len(self._ours) >= STREAK)
            if receipt.verdict == "temporary":
                self._put_off[_domain(address)] += 1
            known = False
            if receipt.verdict == "permanent":
                self.failed[letter_id] = aside
                words = wording(receipt.reply, address)
                if words != self._words:
                    self._words, self._alike = words, set()
                self._alike.add(address)
                known = self.probing and words in {wording(reply, "") for reply in self._lately}
            return self._open(known or len(self._alike) >= STREAK or len(self._refused) >= REFUSALS)

    def at_last(self) -> MailServerError | None:
        """Takes note that the delivery has ended by itself; the error if the server took no letter, and spoke of itself or of us."""
        with self._turn:
            return self._open(not self._taken and (bool(self._ours) or len(self._alike) >= ALIKE_AT_LAST))

    def stand(self, connections: int) -> None:
        """So many connections are at work from now on."""
        with self._turn:
            self._standing = connections

    def leave(self) -> None:
        """A connection has ended."""
        with self._turn:
            self._standing -= 1

    def may_close(self, letter_id: int) -> bool:
        """Whether a connection that the server limits is to close: others stand, and it was not this letter that another one closed for."""
        with self._turn:
            if self._standing < 2 or letter_id in self._limited:
                return False
            self._limited.add(letter_id)
            self._standing -= 1
            return True

    def left_alone_until(self, address: str, now: datetime) -> datetime | None:
        """Until when a letter to the address should wait, or None if it may go."""
        with self._turn:
            until = self._left_alone.get(_domain(address)) if self._left_alone else None
            return until if until is not None and until > now else None

    def _hear_taken(self, address: str, now: datetime) -> None:
        self._taken = True
        if self.error is None and self._refused:
            self._refused.clear()
            self._ours.clear()
            self._alike.clear()
            self.failed.clear()
        if not self._put_off:
            return
        del self._put_off[_domain(address)]
        for other, times in self._put_off.items():
            if times >= DEFERRALS:
                self._left_alone[other] = now + MOMENT
        self._put_off = Counter({other: times for other, times in self._put_off.items() if times < DEFERRALS})

    def _open(self, enough: bool) -> MailServerError | None:
        if not enough or self.error is not None or self._last is None:
            return self.error if enough else None
        self.error = _refuses_everybody(self._last, len(self._refused))
        return self.error


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


def _refuses_everybody(receipt: Receipt, letters: int) -> MailServerError:
    said = receipt.reply.rstrip(".")
    sender = receipt.refusal.sender if receipt.refusal else ""
    first = "The next `migrate send` tries one letter before it goes on with the others."
    if sender:
        return MailServerError(
            f"the mail server refuses our sender's address {sender}, and no recipient's; it said: {said}.",
            where="[mail] from",
            hint="The letters stay queued, and nobody counts as unreachable for it. Let the server take this sender, or set another one. "
            + first,
        )
    took = "did not take a letter" if letters == 1 else f"took none of the last {letters} letters, each to another address"
    return MailServerError(
        f"the mail server {took}; it last said: {said}.",
        where="[mail.smtp]",
        hint="Sending has stopped; these letters stay queued with the rest. Look at what it says (notices.csv has it for each letter). "
        + first,
    )
