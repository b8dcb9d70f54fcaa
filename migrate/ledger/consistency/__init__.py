"""Whether the ledger agrees with itself: what the schema alone cannot hold, a named check each (design §9)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import sqlalchemy as sa

from migrate.ledger.consistency import accounts, books, database, letters

SHOWN: Final = 20
"""How many of the rows that one check finds are named."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check found: how many things are `wrong`, and the first `SHOWN` of them, a sentence each."""

    check: str
    means: str
    wrong: int
    examples: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """An element of `migrate ledger check --json`."""
        return asdict(self)


def check(connection: sa.Connection) -> Iterator[Checked]:
    """Every check of `CHECKS` in turn, over all campaigns of a ledger; a damaged file is not looked at further."""
    for name, (means, looks) in CHECKS.items():
        wrong, examples = 0, []
        for said in looks(connection):
            wrong += 1
            if wrong <= SHOWN:
                examples.append(said)
        yield Checked(name, means, wrong, tuple(examples))
        if wrong and name == "integrity":
            return


CHECKS: Final = database.CHECKS | letters.CHECKS | accounts.CHECKS | books.CHECKS
"""Check → what holds where nothing is wrong, and how to find where it does not."""
