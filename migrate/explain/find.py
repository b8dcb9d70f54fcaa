"""Finds the account that is meant by an id, a username, an address or a letter's reference."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from migrate import outbox, outside
from migrate.config.rehearsal import is_rehearsal
from migrate.errors import ConfigError
from migrate.ledger import account_lookup
from migrate.ledger.references import ALPHABET, LENGTH, as_typed
from migrate.outbox import account_letters

_LISTED: Final = 20
_LONGEST: Final = 400
"""No name has more characters. Databases refuse to look for very long ones."""


@dataclass(frozen=True, slots=True)
class Match:
    """The account that is meant: its id, and the `reference` if one was asked for.

    `besides` is a sentence on what else the same text may mean: somebody can choose a username that looks like a reference, and show it in
    a mail of their own.
    """

    account_id: str
    reference: str | None = None
    besides: str | None = None


def find(connection: sa.Connection, campaign_id: int, asked: str) -> Match:
    """Finds the account that is meant by what was asked.

    An id goes first, so that it can be typed where several accounts match; a reference goes second. An address matches everybody who has or
    had it, and everybody whom a letter to it was about, since it may have passed from one person to another. Raises ConfigError if nobody
    or several match.
    """
    if account_lookup.known(connection, campaign_id, [asked]):
        return Match(asked, None, _as_reference(connection, campaign_id, asked))
    asked = asked.strip()
    if len(asked) > _LONGEST:
        raise _nobody(asked)
    letter = outbox.find(connection, asked)
    if letter is not None and letter["campaign_id"] == campaign_id:
        return Match(str(letter["account_id"]), str(letter["reference"]), _as_name(_matches(connection, campaign_id, asked), asked))
    if letter is not None:
        raise elsewhere(letter)
    matches = sorted(_matches(connection, campaign_id, asked))
    if len(matches) == 1:
        return Match(matches[0], None, _as_reference(connection, campaign_id, asked))
    if matches:
        shown = ", ".join(each if each.isprintable() else repr(each) for each in matches[:_LISTED])
        more = f" and {len(matches) - _LISTED:,} more" if len(matches) > _LISTED else ""
        raise ConfigError(
            f"{asked!r} belongs or belonged to {len(matches):,} accounts: {shown}{more}.",
            hint=f"Type one id, as in `migrate explain {shlex.quote(matches[0])}`." if matches[0].isprintable() else None,
        )
    if reason := account_lookup.last_rejection(connection, campaign_id, asked):
        raise ConfigError(
            f"the row of {asked!r} was rejected in the last run, and nothing is known of it from before: {reason}.",
            hint="`migrate check` says what to do about rejected rows.",
        )
    if _looks_like_one(asked):
        raise ConfigError(
            f"there is no letter {as_typed(asked)}, and no account of that name. A mail that carries this reference is not genuine.",
            hint="Compare it with the mail once more, character by character.",
        )
    raise _nobody(asked)


def _nobody(asked: str) -> ConfigError:
    shown = outside.cut(asked, _LONGEST)
    return ConfigError(f"no account matches {shown!r}.", hint="Type an account id, a username, an address or the reference of a letter.")


def _looks_like_one(asked: str) -> bool:
    """Whether a text has the form of a reference."""
    return len(as_typed(asked)) == LENGTH and set(as_typed(asked)) <= set(ALPHABET)


def _as_reference(connection: sa.Connection, campaign_id: int, asked: str) -> str | None:
    """A sentence on the reference that is spelt like an account's name; None if the name does not have the form of a reference."""
    if not _looks_like_one(asked):
        return None
    ref, letter = as_typed(asked), outbox.find(connection, asked)
    if letter is not None and letter["campaign_id"] == campaign_id:
        return f"{ref} is also the reference of a letter, about the account {letter['account_id']}."
    if letter is not None:
        return f"{ref} is also the reference of a letter of another campaign, {letter['campaign']}."
    return f"This is an account's name. There is no letter {ref}: a mail that carries it as its reference is not genuine."


def _as_name(matches: Collection[str], asked: str) -> str | None:
    """A sentence on the accounts whose name or address is spelt like a reference; None if there are none."""
    if not matches:
        return None
    whose = ", ".join(sorted(matches)[:_LISTED])
    return f"{asked} is also a name or an address of the account {whose}: whoever has it may have chosen it."


def elsewhere(letter: sa.RowMapping) -> ConfigError:
    """The error for a letter of another campaign."""
    ref, campaign = letter["reference"], letter["campaign"]
    if is_rehearsal(campaign):
        return ConfigError(
            f"{ref} is a letter of a rehearsal, {campaign}: it went to whoever rehearsed. "
            "A mail to anybody else that carries it is not genuine.",
            hint="With [safety] redirect_to set the same command shows it.",
        )
    return ConfigError(f"{ref} is a letter of another campaign, {campaign}.", hint="Type the same with --config and that one's file.")


def _matches(connection: sa.Connection, campaign_id: int, asked: str) -> frozenset[str]:
    named = account_lookup.named(connection, campaign_id, asked)
    return named | account_letters.accounts_written_to(connection, campaign_id, asked)
