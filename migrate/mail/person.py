"""The personal values of a letter: what a template is told of the one person that it writes to (design §10)."""

from __future__ import annotations

from typing import Final

from migrate import outside
from migrate.mail.addresses import invited_as
from migrate.mail.facts import Facts
from migrate.outside import LetterText

OF_ACCOUNT: Final = ("name", "username", "phone")
OF_LETTER: Final = ("reference", "to")
"""The names of all personal values. Templates reach the first as `account.name` and so on, the others as `reference` and `to`."""
_LONGEST: Final = 254
"""Characters of a username or an address that a letter shows."""

Person = dict[str, LetterText | None]
"""The personal values by name, each one line; None or empty where the account has none."""


def person_of(facts: Facts, to: str, reference: str) -> Person:
    """The personal values of a letter to the address `to`, cleaned for letters."""
    return {
        "name": facts.greeting_name,
        "username": outside.letter(invited_as(facts.username) or facts.username, _LONGEST),
        "phone": outside.shared_letter(facts.phone) if facts.phone else None,
        "reference": LetterText(reference),
        "to": outside.letter(to, _LONGEST),
    }
