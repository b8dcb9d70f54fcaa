"""A letter's exact words: composed again from what the ledger stored, and proven by the digest kept when it was sent (design §15)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from migrate import outbox
from migrate.delivery.attempt import composed
from migrate.errors import ConfigError, LedgerError, TemplateError
from migrate.files.spill import scratch_folder
from migrate.ledger import kept_texts, runs
from migrate.mail.compose import Composer, UnrenderableError
from migrate.mail.letter import Letter
from migrate.mail.recompose import recomposer
from migrate.outbox import claims
from migrate.outbox.claims import ClaimedLetter

_SECOND: Final = timedelta(seconds=1)
_LONGEST: Final = 86_400
"""At most so many seconds are tried between the beginning and the end of a letter: its Date is one of them."""
PROVEN: Final = "These are the words that were sent: their digest is the one that was kept then."
NOT_KEPT: Final = "Nothing proves that these are the words that were sent: no digest was kept of this letter."
_CHECK: Final = "Type `migrate ledger check`; put a backup in the ledger's place if it was edited."


@dataclass(frozen=True, slots=True)
class Text:
    """What a letter said. `message` is the whole message as the mail server got it, `digest` its SHA-256. `proven` is true if a digest
    was kept when it was sent: `digest` is then the same."""

    reference: str
    to: str
    subject: str
    text: str
    html: str
    message: str
    digest: str
    proven: bool


def text_of(connection: sa.Connection, reference: str) -> Text:
    """Composes a letter anew, as it was at the last try to send it. `reference` is one that the ledger gave.

    Raises ConfigError if the letter was never tried or its templates were not kept, and LedgerError if the result is not what was sent.
    """
    row = outbox.find(connection, reference)
    assert row is not None
    if row["mail_digest"] is None or row["settled_at"] is None:
        raise ConfigError(
            f"letter {reference} has not been sent, so there are no words of it: they are composed when it goes.",
            where="--text",
            hint="`migrate preview` shows what a letter of its kind says today.",
        )
    kept = kept_texts.content(connection, row["mail_digest"])
    if kept is None:
        raise ConfigError(
            f"the templates with which letter {reference} was written were not kept (digest {row['mail_digest'][:12]}…).", where="--text"
        )
    # A letter that names no cutoff may still print that of the campaign.
    cutoffs = runs.cutoffs_since(connection, row["campaign_id"], row["notice_id"])
    letter = _again(row, claims.looked_up(connection, row["id"]), kept, cutoffs)
    message = letter.message.decode("utf-8")
    proven = row["message_digest"] is not None
    return Text(reference, letter.to, letter.subject, letter.text, letter.html, message, letter.digest, proven)


def _again(row: sa.RowMapping, claimed: ClaimedLetter, kept: str, cutoffs: Iterable[datetime]) -> Letter:
    """Composes letters until one has the digest that was kept. If none was kept, the first is the answer: the letter as of the second in
    which a worker began with it."""
    wanted, tried = row["message_digest"], False
    try:
        with scratch_folder() as scratch:
            for number, cutoff in enumerate(cutoffs):
                composer = recomposer(kept, scratch / str(number), cutoff)
                for letter in _possible(row, claimed, composer):
                    tried = True
                    if wanted is None or letter.digest == wanted:
                        return letter
    except (ValueError, KeyError, TypeError, TemplateError, UnrenderableError) as error:
        what = f"letter {row['reference']} cannot be composed again: {error}"
        raise LedgerError(what.rstrip(".") + ".", where="--text", hint=_CHECK) from error
    assert tried  # there is at least one second to try
    raise LedgerError(
        f"letter {row['reference']}, composed again, is not what was sent: the digest that was kept then is {wanted[:12]}…. "
        "What the ledger holds of it was edited, or this version of migrate composes otherwise.",
        where="--text",
        hint=_CHECK,
    )


def _possible(row: sa.RowMapping, claimed: ClaimedLetter, composer: Composer) -> Iterator[Letter]:
    """The letter as composed in each second between the one in which a worker began with it and the one in which it was settled."""
    first: datetime = (row["claimed_at"] or row["settled_at"]).replace(microsecond=0)
    for seconds in range(min(max(0, (row["settled_at"] - first) // _SECOND) + 1, _LONGEST)):
        yield composed(claimed, composer, first + seconds * _SECOND)
