"""Delivery: claim, send, settle (design §9, §11). One letter at a time, each moment of danger written down before it happens.

A letter is `sending` in the ledger, committed, before the transport is spoken to, and settled right after. Whatever happens in between,
a letter is never sent twice for not knowing: it becomes `uncertain`, and a person is shown it.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from migrate.errors import MailServerError
from migrate.ledger.claims import ClaimedLetter, Claims, Settlement
from migrate.mail.compose import Composer, UnrenderableError
from migrate.mail.facts import Facts
from migrate.mail.letters import Letter
from migrate.mail.transport import Connection, Receipt, Transport

TRIES: Final = 8
"""How often a letter is tried before it has failed."""
FIRST_PAUSE: Final = timedelta(minutes=15)
LONGEST_PAUSE: Final = timedelta(hours=24)
UNRENDERABLE: Final = "unrenderable"
GIVEN_UP: Final = "tries_used_up"

Clock = Callable[[], datetime]
Watch = Callable[[int], None]


@dataclass(slots=True)
class Delivered:
    """What a delivery did: how many letters ended sent, failed and uncertain, went back to the queue for later, or were withdrawn.

    `stopped` is why it ended before the outbox was empty, if it did: the rest stays queued. `stale` is how many letters stay queued
    because the directory was last read too long ago.
    """

    sent: int = 0
    failed: int = 0
    uncertain: int = 0
    postponed: int = 0
    stale: int = 0
    stopped: MailServerError | None = None


@dataclass(slots=True)
class Pace:
    """At most `per_second` letters a second, measured at the point of sending; None is as fast as it goes."""

    per_second: float | None
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    _next: float = 0.0

    def wait(self) -> None:
        """Returns when the next letter may go."""
        if self.per_second is None:
            return
        now = self.monotonic()
        if self._next > now:
            self.sleep(self._next - now)
        self._next = max(self._next, now) + 1 / self.per_second


def worker() -> str:
    """A name for a worker that no other will ever have."""
    return f"send-{secrets.token_hex(8)}"


def deliver(
    claims: Claims,
    composer: Composer,
    transport: Transport,
    pace: Pace,
    clock: Clock,
    *,
    bounce_days: int,
    stale_at: datetime,
    watch: Watch = lambda _: None,
) -> Delivered:
    """Sends what is queued and may go now, until nothing is left or no letter can be handed over at all.

    An address that the server calls unknown or disabled counts as bounced for `bounce_days`. `watch` hears of each letter done.

    From `stale_at` on the directory was read too long ago to remind anybody by: nothing but confirmations goes out.
    Letters are claimed only once a connection stands, so that an unreachable server leaves every letter queued.
    """
    done = Delivered()
    swept = claims.sweep(clock())
    done.uncertain += len(set(swept.uncertain) - set(swept.requeued))
    claimed: list[ClaimedLetter] = []
    settled: list[tuple[ClaimedLetter, Settlement]] = []
    try:
        with transport.connect() as connection:
            now = clock()
            claimed = claims.claim(now, transport.at_once, only_confirmations=now >= stale_at)
            while claimed:
                for letter in claimed:
                    pace.wait()
                    settlement, bounced = _send(letter, connection, composer, clock(), done)
                    settled.append((letter, settlement))
                    if bounced:
                        claims.bounced(letter.address, bounced, clock(), clock() + timedelta(days=bounce_days))
                watch(len(claimed))
                now = clock()
                claimed, _ = claims.settle_and_claim(settled, now, transport.at_once, only_confirmations=now >= stale_at)
                settled = []
    except MailServerError as error:
        # Nothing was said about the letters still in hand, so they go back as they were.
        said = len(settled)
        for letter, settlement in [*settled, *((letter, Settlement("released")) for letter in claimed[said:])]:
            claims.settle(letter, settlement, clock())
        done.stopped = error
    return done


def _send(
    claimed: ClaimedLetter, connection: Connection, composer: Composer, now: datetime, done: Delivered
) -> tuple[Settlement, str | None]:
    """What became of a letter; and the server's code if it refused the very address."""
    try:
        letter = composed(claimed, composer, now)
    except UnrenderableError as error:
        return _again(claimed, Receipt("temporary", str(error)), None, composer, now, done, reason=UNRENDERABLE), None
    receipt = connection.send(letter)
    return _settlement(claimed, receipt, letter, composer, now, done), (receipt.code or receipt.reply) if receipt.bad_address else None


def _settlement(claimed: ClaimedLetter, receipt: Receipt, letter: Letter, composer: Composer, now: datetime, done: Delivered) -> Settlement:
    settled = partial(Settlement, reply=receipt.reply, subject=letter.subject, mail_digest=composer.digest)
    match receipt.verdict:
        case "sent":
            done.sent += 1
            return settled("sent")
        case "permanent":
            done.failed += 1
            return settled("failed", reason=receipt.code)
        case "uncertain":
            done.uncertain += 1
            return settled("uncertain")
        case "temporary":
            return _again(claimed, receipt, letter, composer, now, done)


def composed(claimed: ClaimedLetter, composer: Composer, now: datetime) -> Letter:
    """The letter, composed from what was stored when it was decided on; days left are counted afresh."""
    return composer.compose(
        claimed.kind,
        Facts.from_json(claimed.facts),
        to=claimed.address,
        reference=claimed.reference,
        message_id=claimed.message_id,
        occasion=claimed.occasion,
        now=now,
        cutoff=datetime.fromisoformat(claimed.told_cutoff) if claimed.told_cutoff else None,
    )


def _again(
    claimed: ClaimedLetter,
    receipt: Receipt,
    letter: Letter | None,
    composer: Composer,
    now: datetime,
    done: Delivered,
    reason: str | None = None,
) -> Settlement:
    """A temporary failure: back to the queue for later, twice as long each time with some jitter, until the tries are used up."""
    subject, tries = (letter.subject if letter else None), claimed.attempts + 1
    if tries >= TRIES:
        done.failed += 1
        return Settlement("failed", reason=reason or GIVEN_UP, reply=receipt.reply, subject=subject, mail_digest=composer.digest)
    done.postponed += 1
    pause = min(FIRST_PAUSE * 2**claimed.attempts, LONGEST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    return Settlement("temporary", reason=reason, reply=receipt.reply, not_before=now + pause, subject=subject, mail_digest=composer.digest)
