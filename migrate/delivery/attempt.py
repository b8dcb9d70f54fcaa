"""One try at a letter: hands it over and works out its settlement."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
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
from migrate.outbox.claims import Bounce, ClaimedLetter, SettledAs, Settlement
from migrate.outside import log

TRIES: Final = 8
"""Tries at a letter, over all runs, before it has failed."""
FIRST_PAUSE: Final = timedelta(minutes=15)
LONGEST_PAUSE: Final = timedelta(hours=24)
ASIDE: Final = timedelta(minutes=90)
"""The least wait of a letter that was refused permanently because of the server. It is longer than an hour, so that at the next hourly
start other letters go first: the server may take one of them."""
LONGEST_ASIDE: Final = timedelta(hours=6)
UNRENDERABLE: Final = "unrenderable"
GIVEN_UP: Final = "tries_used_up"
_LONGEST_REASON: Final = 1_000


class Attempt(NamedTuple):
    """The settlement of a letter, and the receipt that it follows from."""

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
    """Hands a letter over; `then` is the letter that will be next. If the connection broke, tries again while `again` returns true.

    Raises MailServerError if no letter at all can be handed over; the server did not hear of this one then.
    """
    receipt = connection.send(letter, then)
    if _broke(receipt):
        receipts = chain([receipt], (connection.send(letter) if again() else receipt for _ in count()))
        receipt = retrying(next, receipts)
    if receipt.bad_address and composer.redirect_to is not None:
        # In a rehearsal the server refused the one address that all letters go to, not the account's.
        receipt = receipt._replace(refusal=Refusal("letter"))
    return Attempt(_settlement(claimed, receipt, letter, composer, now, bounce_days), receipt)


def unrenderable(claimed: ClaimedLetter, error: UnrenderableError, composer: Composer, now: datetime) -> Settlement:
    """The settlement of a letter that cannot be composed. It is tried again later, since an operator may correct the template."""
    return _again(claimed, Receipt("temporary", log(str(error), _LONGEST_REASON)), None, composer, now, reason=UNRENDERABLE)


def quickly(stop: Shutdown) -> Retrying:
    """If the connection breaks before a letter was handed over, tries at once over another one: at most three tries in half a minute.

    Exceptions are not retried: a broken connection is a receipt, and a MailServerError means that no connection can be opened.
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
    """The letter, composed from the facts that were stored when it was decided; the days left are counted from `now`.

    Raises UnrenderableError, also if the stored facts are damaged: that holds back this letter alone.
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
    settled = _settling(letter, composer, receipt)
    if receipt.verdict == "sent":
        return settled("sent")
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


def _settling(letter: Letter | None, composer: Composer, receipt: Receipt) -> Callable[..., Settlement]:
    """Makes settlements that keep what the letter said: its subject and the digests by which its text can be composed again and proved."""
    subject, digest = (letter.subject, letter.digest) if letter else (None, None)
    return partial(Settlement, reply=receipt.reply, subject=subject, mail_digest=composer.digest, message_digest=digest)


def aside(claimed: ClaimedLetter, receipt: Receipt, now: datetime) -> datetime:
    """The instant before which a letter that was refused because of the server or us is not tried again. The older a letter, the longer it
    waits; it never waits past its end."""
    least = ASIDE if receipt.verdict == "permanent" else FIRST_PAUSE
    pause = min(max((now - claimed.queued_at) / 4, least), LONGEST_ASIDE)
    return now + (min(pause, (claimed.ends - now) / 2) if claimed.ends else pause)


def _at_last(claimed: ClaimedLetter) -> SettledAs:
    """The state of a letter after its last try: `failed`. A letter that was already resent after `uncertain` is `uncertain` again: its
    first try may have reached somebody."""
    return "uncertain" if claimed.resent else "failed"


def _again(
    claimed: ClaimedLetter, receipt: Receipt, letter: Letter | None, composer: Composer, now: datetime, reason: str | None = None
) -> Settlement:
    """The settlement after a temporary failure: back to the queue with exponential backoff and jitter, until the tries are used up."""
    settled = _settling(letter, composer, receipt)
    if claimed.attempts + 1 >= TRIES:
        return settled(_at_last(claimed), reason=reason or GIVEN_UP)
    pause = min(FIRST_PAUSE * 2**claimed.attempts, LONGEST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    return settled("temporary", reason=reason, not_before=now + pause)
