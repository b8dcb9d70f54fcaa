"""One letter handed over, and what is to be written down about it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import chain, count
from typing import Final, NamedTuple

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt, stop_after_delay, wait_exponential, wait_random

from migrate.delivery.shutdown import Shutdown
from migrate.ledger.states import SERVER_REFUSED
from migrate.mail.compose import Composer, UnrenderableError
from migrate.mail.facts import Facts
from migrate.mail.letter import Letter
from migrate.mail.refusals import Refusal
from migrate.mail.transport import Connection, Receipt
from migrate.outbox.claims import Bounce, ClaimedLetter, Settlement, Verdict
from migrate.outside import log

TRIES: Final = 8
"""How often a letter is tried, over all runs, before it has failed."""
FIRST_PAUSE: Final = timedelta(minutes=15)
LONGEST_PAUSE: Final = timedelta(hours=24)
ASIDE: Final = timedelta(minutes=90)
"""A letter refused for good, but not for its own sake, lets others go first at the next hourly start: one of them may be taken."""
LONGEST_ASIDE: Final = timedelta(hours=6)
UNRENDERABLE: Final = "unrenderable"
GIVEN_UP: Final = "tries_used_up"
_LONGEST_REASON: Final = 1_000


class Attempt(NamedTuple):
    """What is to be settled about a letter, and the receipt."""

    settlement: Settlement
    receipt: Receipt


def attempt(
    claimed: ClaimedLetter,
    letter: Letter,
    then: Letter | None,
    connection: Connection,
    composer: Composer,
    now: datetime,
    *,
    bounce_days: int,
    retrying: Retrying,
    again: Callable[[], bool],
) -> Attempt:
    """Hands a letter over; `then` is the one that will be next. Over a connection that broke it is tried again while `again` says so.

    Raises MailServerError if no letter can be handed over at all; nothing was said of it then.
    """
    receipt = connection.send(letter, then)
    if _broke(receipt):
        receipts = chain([receipt], (connection.send(letter) if again() else receipt for _ in count()))
        receipt = retrying(next, receipts)
    if receipt.bad_address and composer.redirect_to is not None:
        # In a rehearsal the server spoke of the one address that all letters go to, and not of the account's.
        receipt = receipt._replace(refusal=Refusal("letter"))
    return Attempt(_settlement(claimed, receipt, letter, composer, now, bounce_days), receipt)


def unrenderable(claimed: ClaimedLetter, error: UnrenderableError, composer: Composer, now: datetime) -> Settlement:
    """What is to be settled about a letter that cannot be composed: an operator may mend the template."""
    return _again(claimed, Receipt("temporary", log(str(error), _LONGEST_REASON)), None, composer, now, reason=UNRENDERABLE)


def quickly(stop: Shutdown) -> Retrying:
    """Tries a letter again at once whose connection broke before it was handed over, over another; three tries in half a minute at most.

    No exception is retried: a break is a receipt, and MailServerError says that no connection can be had.
    """
    return Retrying(
        retry=retry_if_result(_broke),
        stop=stop_after_attempt(3) | stop_after_delay(30),
        wait=wait_exponential(multiplier=0.25, max=2) + wait_random(0, 0.25),
        sleep=stop.pause,
        retry_error_callback=_as_it_is,
    )


def _broke(receipt: Receipt) -> bool:
    return receipt.verdict == "temporary" and receipt.bad_connection


def _as_it_is(state: RetryCallState) -> Receipt:
    assert state.outcome is not None  # called after an attempt
    receipt: Receipt = state.outcome.result()
    return receipt


def composed(claimed: ClaimedLetter, composer: Composer, now: datetime) -> Letter:
    """The letter, composed from what was stored when it was decided on; days left are counted afresh.

    Raises UnrenderableError, also where what was stored is damaged: that holds this letter, and no other.
    """
    try:
        facts = Facts.from_json(claimed.facts)
        cutoff = datetime.fromisoformat(claimed.told_cutoff) if claimed.told_cutoff else facts.cutoff
    except ValueError:
        raise UnrenderableError(f"what the ledger holds of letter {claimed.reference} is damaged: type `migrate ledger check`.") from None
    return composer.compose(
        claimed.kind,
        facts,
        to=claimed.address,
        reference=claimed.reference,
        message_id=claimed.message_id,
        occasion=claimed.occasion,
        now=now,
        cutoff=cutoff,
    )


def _settlement(
    claimed: ClaimedLetter, receipt: Receipt, letter: Letter, composer: Composer, now: datetime, bounce_days: int
) -> Settlement:
    if receipt.verdict == "sent":
        return _of(letter, composer, receipt)("sent")
    settled = _of(letter, composer, receipt)
    if receipt.about_server:
        return settled("released", reason=SERVER_REFUSED, not_before=aside(claimed, receipt, now))
    match receipt.verdict:
        case "permanent":
            bounce = Bounce(receipt.code or receipt.reply, now + timedelta(days=bounce_days)) if receipt.bad_address else None
            return settled(_at_last(claimed), reason=receipt.code, bounce=bounce)
        case "uncertain":
            return settled("uncertain")
        case "temporary":
            return _again(claimed, receipt, letter, composer, now)


def _of(letter: Letter | None, composer: Composer, receipt: Receipt) -> Callable[..., Settlement]:
    """A settlement with what is kept of a letter's words: enough to make and prove them again."""
    subject, digest = (letter.subject, sha256(letter.message).hexdigest()) if letter else (None, None)
    return partial(Settlement, reply=receipt.reply, subject=subject, mail_digest=composer.digest, message_digest=digest)


def aside(claimed: ClaimedLetter, receipt: Receipt, now: datetime) -> datetime:
    """Until when a letter waits that was refused for the server's sake or ours: the longer the older it is, and never past its end."""
    least = ASIDE if receipt.verdict == "permanent" else FIRST_PAUSE
    pause = min(max((now - claimed.queued_at) / 4, least), LONGEST_ASIDE)
    return now + (min(pause, (claimed.ends - now) / 2) if claimed.ends else pause)


def _at_last(claimed: ClaimedLetter) -> Verdict:
    """What a letter is that will not be tried any more. Of one that went out again because nobody could know, still nobody can."""
    return "uncertain" if claimed.resent else "failed"


def _again(
    claimed: ClaimedLetter, receipt: Receipt, letter: Letter | None, composer: Composer, now: datetime, reason: str | None = None
) -> Settlement:
    """A temporary failure: back to the queue for later, twice as long each time with some jitter, until the tries are used up."""
    settled = _of(letter, composer, receipt)
    if claimed.attempts + 1 >= TRIES:
        return settled(_at_last(claimed), reason=reason or GIVEN_UP)
    pause = min(FIRST_PAUSE * 2**claimed.attempts, LONGEST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    return settled("temporary", reason=reason, not_before=now + pause)
