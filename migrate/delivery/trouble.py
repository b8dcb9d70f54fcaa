"""When a mail server refuses everybody, and when a domain does (design §11).

One bad address never stops a delivery; a server that takes no letter from us at all does, so that the outbox is not worn out against it.
A domain that says "not now" again and again while others take our letters is left alone for a moment.
"""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from migrate.errors import MailServerError
from migrate.mail.transport import Receipt

REFUSALS: Final = 20
"""So many different addresses in a row without one letter taken, and the trouble is the server's or ours, not theirs."""
DEFERRALS: Final = 5
"""So many letters to a domain put off in a row, while other domains take theirs, and it is left alone."""
MOMENT: Final = timedelta(minutes=5)


class Trouble:
    """What the mail server said lately. Any thread may tell it and ask it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._refused: set[str] = set()
        self._put_off: Counter[str] = Counter()
        self._left_alone: dict[str, datetime] = {}

    def hear(self, address: str, receipt: Receipt, now: datetime) -> MailServerError | None:
        """Takes note of an answer; the error that ends the delivery if it was one refusal too many."""
        with self._turn:
            if receipt.verdict == "sent":
                self._refused.clear()
                if not self._put_off:
                    return None
                del self._put_off[_domain(address)]
                for other, times in self._put_off.items():
                    if times >= DEFERRALS:
                        self._left_alone[other] = now + MOMENT
                self._put_off = Counter({other: times for other, times in self._put_off.items() if times < DEFERRALS})
                return None
            if receipt.verdict == "temporary":
                self._put_off[_domain(address)] += 1
            self._refused.add(address)
            return _refuses_everybody(receipt) if len(self._refused) >= REFUSALS else None

    def left_alone_until(self, address: str, now: datetime) -> datetime | None:
        """Until when a letter to the address should wait, or None if it may go."""
        with self._turn:
            until = self._left_alone.get(_domain(address)) if self._left_alone else None
            return until if until is not None and until > now else None


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


def _refuses_everybody(receipt: Receipt) -> MailServerError:
    return MailServerError(
        f"the mail server took none of the last {REFUSALS} letters, each to another address; it last said: {receipt.reply.rstrip('.')}.",
        where="[mail.smtp]",
        hint="Sending has stopped and the rest stays queued. Look at what it says (notices.csv has it for each letter), then type "
        "`migrate send`.",
    )
