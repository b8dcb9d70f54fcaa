"""The reference of a letter: eight characters at its foot, by which anybody can ask whether the letter is real (design §10).

A reference is a keyed hash of the notice and the address. So nobody without the campaign's secret can make up one that exists, and a
database that was restored from a backup gives the same letter the same reference.
"""

from __future__ import annotations

import hmac
import re
from typing import Final

ALPHABET: Final = "23456789BCDFGHJKMNPQRSTVWXYZ"
"""No characters that are taken for each other (0 O, 1 I L), and no vowels, so that no reference spells a word."""

LENGTH: Final = 8
_ALL: Final = len(ALPHABET) ** LENGTH
"""How many references there are."""


def reference(secret: str, key: tuple[object, ...], address: str, salt: int = 0) -> str:
    """The reference of a letter; another `salt` gives another one where the first is taken."""
    text = "\x1f".join([*(str(part) for part in key), address, str(salt)])
    number = int.from_bytes(hmac.digest(secret.encode(), text.encode(), "sha256"), "big") % _ALL  # a small number is divided faster
    characters = []
    for _ in range(LENGTH):
        number, place = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[place])
    return "".join(characters)


def as_typed(text: str) -> str:
    """A reference as a person typed it or read it out: in either case, in groups, with spaces around."""
    return re.sub(r"[\s-]", "", text).upper()
