"""The circuit breaker: stops a delivery if the mail server refuses everybody, and pauses a domain that does (design §11).

Bad addresses never stop a delivery, not even a thousand of them: they say nothing about the server. A server that takes no letter from us
does stop it, before every letter has used up its tries. If one domain answers "not now" again and again while others take our letters, its
letters pause for a moment. `mail.refusals` decides what one refusal is about; this module decides what follows from several.
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
"""If so many different addresses in a row are refused and no letter is taken, the cause is the server or us, not the addresses."""
STREAK: Final = 10
"""So many are enough if the refusals are about the server or us, or have the same words."""
LATELY: Final = STREAK // 2
"""If earlier deliveries left so many letters refused because of the server or us, this one probes with one letter first. It is less than
`STREAK`: `Claims.refused_lately` leaves out letters that were begun before the last one that the server took, over another connection."""
AT_LAST: Final = 5
"""At the end of a delivery, so many refusals since a letter was taken are enough if they are about the server or us; if they only have the
same words, no letter may have been taken at all."""
DEFERRALS: Final = 5
"""If so many letters to a domain are put off in a row while another domain takes one, the domain pauses."""
DOMAIN_PAUSE: Final = timedelta(minutes=5)
"""How long a domain pauses."""


class CircuitBreaker:
    """Counts what the mail server answers. Any thread may use it.

    `lately` are the replies to letters that the server refused because of itself or us, in earlier deliveries, since it last took a letter.
    While `probing`, one more such refusal opens the breaker. `error` is set once it is open. `failed` are the letters that were refused
    since the server last took one, and may have failed; if the breaker opened, they were not to blame.
    """

    def __init__(self, lately: Sequence[str] = ()) -> None:
        self._turn = threading.Lock()
        self._refused: set[str] = set()
        self._ours: set[str] = set()
        self._alike: set[str] = set()
        self._words = ""
        self._last: Receipt | None = None
        self._taken = False
        self._broke = False
        self._connections = 1
        self._limited: set[int] = set()
        self._put_off: Counter[str] = Counter()
        self._left_alone: dict[str, datetime] = {}
        self._lately = lately if len(lately) >= LATELY else ()
        self.failed: dict[int, datetime] = {}
        self.error: MailServerError | None = None

    @property
    def probing(self) -> bool:
        """Whether the server refused everybody in the last delivery, and has taken no letter since."""
        return bool(self._lately) and not self._taken

    def hear(self, letter_id: int, address: str, receipt: Receipt, now: datetime, aside: datetime) -> MailServerError | None:
        """Counts an answer. Returns the error that ends the delivery if this answer opened the breaker.

        `aside` is the instant until which the letter waits if it turns out that the letter was not to blame.
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
            self._broke = self._broke or receipt.bad_connection
            if receipt.about_server:
                self._ours.add(address)
                return self._open(self.probing or len(self._ours) >= STREAK)
            if receipt.verdict == "temporary":
                self._put_off[_domain(address)] += 1
                self.failed[letter_id] = aside  # if this was its last try
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
        """To be called at the end of a delivery. Returns the error if the delivery shows that the server refuses everybody, else None.

        Either the server took no letter at all, and broke a connection, refused a letter because of itself or us, or refused `AT_LAST`
        letters with the same words. Or it refused `AT_LAST` letters because of itself or us since it took the last one, as when a day's
        quota is used up shortly before the end.
        """
        with self._turn:
            nothing = not self._taken and (self._broke or bool(self._ours) or len(self._alike) >= AT_LAST)
            return self._open(nothing or len(self._ours) >= AT_LAST)

    def set_connections(self, connections: int) -> None:
        """From now on so many connections are open."""
        with self._turn:
            self._connections = connections

    def leave(self) -> None:
        """One connection has ended."""
        with self._turn:
            self._connections -= 1

    def may_close(self, letter_id: int, *, new: bool) -> bool:
        """Whether a connection should close, since the server wants fewer. The last one stays. If a connection has already closed because
        of this letter, the letter may be to blame: then only a `new` one closes, over which the server has taken no letter yet."""
        with self._turn:
            if self._connections < 2 or (letter_id in self._limited and not new):
                return False
            self._limited.add(letter_id)
            self._connections -= 1
            return True

    def left_alone_until(self, address: str, now: datetime) -> datetime | None:
        """Until when a letter to the address waits because its domain pauses; None if it may go."""
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
                self._left_alone[other] = now + DOMAIN_PAUSE
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
