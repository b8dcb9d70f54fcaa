"""Whether the ledger agrees with itself: a named check for each rule that the schema alone cannot hold (design §9)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import sqlalchemy as sa

from migrate.ledger.consistency import accounts, books, database, letters

SHOWN: Final = 20
"""How many of the faults that a check finds are shown."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check found: the number of faults (`wrong`), and a sentence for each of the first `SHOWN`. `means` is the rule."""

    check: str
    means: str
    wrong: int
    examples: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """An element of `migrate ledger check --json`."""
        return asdict(self)


def check(connection: sa.Connection) -> Iterator[Checked]:
    """Runs every check of `CHECKS` over all campaigns of a ledger; stops after the first if the file is damaged."""
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
"""The name of a check → the rule, and the function that finds where it is broken."""
