"""Counts of accounts: those of one tenant, and their sums over several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from migrate.core.standing import STANDINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Numbers of accounts.

    `standing` is word → accounts. `compliant`, `not_compliant` and `out_of_scope` are its parts; `not_certain` is a part of `compliant`.
    `at_cutoff` counts the accounts that the cutoff hurts, `without_destination` those that must move and have no method to move to,
    `notified` those that a letter other than a confirmation went to, `unreachable` those that are to be reminded and cannot be mailed,
    `moved` those that migrated in the last seven days.
    """

    accounts: int
    compliant: int
    not_compliant: int
    out_of_scope: int
    not_certain: int
    at_cutoff: int
    without_destination: int
    notified: int
    unreachable: int
    moved: int
    standing: Mapping[str, int]

    @property
    def share(self) -> float | None:
        """The compliant accounts as a share of those in scope, 0 to 1; None if none is in scope."""
        in_scope = self.compliant + self.not_compliant
        return self.compliant / in_scope if in_scope else None

    def facts(self) -> dict[str, Any]:
        """Name → number, and `standing`."""
        return {each.name: getattr(self, each.name) for each in fields(Counts)}


def summed(parts: Iterable[Counts]) -> dict[str, Any]:
    """The sums, by name; `standing` has every word."""
    each = list(parts)
    numbers = [field.name for field in fields(Counts) if field.name != "standing"]
    standing = {word: sum(one.standing.get(word, 0) for one in each) for word in STANDINGS}
    return {name: sum(getattr(one, name) for one in each) for name in numbers} | {"standing": standing}
