"""The values that claims exchange with a worker: the letters that it is given, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

SettledAs = Literal["sent", "temporary", "released", "failed", "uncertain", "withdrawn"]


class ClaimedLetter(NamedTuple):
    """A letter that a worker has claimed, with everything that is needed to compose and send it. `facts` is JSON; at `ends` it is too late.

    `lease_until` is the end of its lease by the ledger's clock, `held_until` the same instant by the worker's clock.
    """

    letter_id: int
    owner: str
    lease_until: datetime
    held_until: datetime
    account_id: str
    tenure: int
    kind: str
    occasion: str
    told_cutoff: str
    change_seq: int | None
    address: str
    role: str
    reference: str
    message_id: str
    language: str
    standing: str | None
    days_left: int | None
    facts: str
    ends: datetime | None
    attempts: int
    resent: bool
    queued_at: datetime


@dataclass(frozen=True, slots=True)
class Bounce:
    """A mail server called the address unknown or disabled, with this `code`. The address is not mailed before `until`."""

    code: str
    until: datetime


class Settlement(NamedTuple):
    """What became of a claimed letter.

    `temporary` (tried, to be tried again) and `released` (not tried) letters go back into the queue and wait until `not_before`. `reply` is
    the server's last words, `reason` a word for the reports. `subject` is what was sent, `mail_digest` names the templates it was made
    with, and `message_digest` is the SHA-256 of the message. `bounce` is what the server said about the address.
    """

    verdict: SettledAs
    reason: str | None = None
    reply: str | None = None
    not_before: datetime | None = None
    subject: str | None = None
    mail_digest: str | None = None
    message_digest: str | None = None
    bounce: Bounce | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did, as ids of letters. `uncertain`: they became uncertain. `requeued`: uncertain confirmations that were queued again.
    `returned`: they were `claimed` and went back into the queue."""

    uncertain: tuple[int, ...]
    requeued: tuple[int, ...]
    returned: tuple[int, ...] = ()


class Exchange(NamedTuple):
    """What an exchange did: letters that are now `sending` (`begun`), letters that stay `claimed` (`held`), and letters that could not be
    settled because their lease was lost."""

    begun: list[ClaimedLetter]
    held: list[ClaimedLetter]
    lost: list[ClaimedLetter]
