"""Prefilled letters: a letter is rendered once for everybody who gets the same, and each person's values are filled in (decision 0008).

`PrefilledLetters` is the one way in, and `migrate.mail.compose` the one place that uses it. Without this folder and those lines every
letter is written by `migrate.mail.plain`, with the same bytes and more slowly; `tests/mail/prefilled` compares the two.
"""

from migrate.mail.prefilled.letters import PrefilledLetters

__all__ = ["PrefilledLetters"]
