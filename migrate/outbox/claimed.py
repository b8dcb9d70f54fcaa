"""What a worker is given of a letter, and what it says became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

Verdict = Literal["sent", "temporary", "released", "failed", "uncertain", "withdrawn"]


class ClaimedLetter(NamedTuple):
    """A letter in a worker's hands, with all that composing and sending it needs. `facts` is JSON; `ends` is when it is too late.

    `lease_until` is when its lease ends by the ledger's clock, `held_until` the same by the worker's own.
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
    """A mail server called the very address unknown or disabled, with its `code`; it is not mailed before `until`."""

    code: str
    until: datetime


class Settlement(NamedTuple):
    """What became of a claimed letter.

    `temporary` (tried, and to be tried again) and `released` (not tried) go back to the queue, not before `not_before`. `reply` is the
    server's last words, `reason` a word for the reports. `subject` and `mail_digest` say what was sent, and with which templates;
    `message_digest` is the SHA-256 of the message.
    `bounce` is what was learnt about the address.
    """

    verdict: Verdict
    reason: str | None = None
    reply: str | None = None
    not_before: datetime | None = None
    subject: str | None = None
    mail_digest: str | None = None
    message_digest: str | None = None
    bounce: Bounce | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """Ids of letters that became uncertain, of confirmations that went back into the queue by themselves, and of letters only claimed."""

    uncertain: tuple[int, ...]
    requeued: tuple[int, ...]
    returned: tuple[int, ...] = ()


class Exchange(NamedTuple):
    """Letters that are `sending` now, those that are `claimed` still, and those to be settled whose lease was lost."""

    begun: list[ClaimedLetter]
    held: list[ClaimedLetter]
    lost: list[ClaimedLetter]
