"""The roll-up: a row a tenant, what needs a person first, and sums over those that were assessed.

A tenant is assessed if this round has its numbers from a read of its directory that was accepted. What was not read counts nowhere: its
numbers are left out of the table as well, so that no sum over a column takes last week's for today's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from migrate.core.standing import STANDINGS
from migrate.fleet.counts import Counts, summed
from migrate.fleet.figures import Figures
from migrate.fleet.states import STATES, exit_code

if TYPE_CHECKING:
    from migrate.report.cells import CellType

_PARTS: Final = ("compliant", "not_compliant", "out_of_scope", "not_certain")
_COUNTS: Final = ("at_cutoff", "without_destination", "notified", "unreachable", "moved")

COLUMNS: Final[dict[str, CellType]] = {
    "tenant": "text",
    "state": "word",
    "assessed": "boolean",
    "read_at": "instant",
    "accounts": "integer",
    **dict.fromkeys(STANDINGS, "integer"),
    "compliant": "integer",
    "not_compliant": "integer",
    "out_of_scope": "integer",
    "not_certain": "integer",
    "share_compliant": "number",
    "at_cutoff": "integer",
    "without_destination": "integer",
    "notified": "integer",
    "unreachable": "integer",
    "moved": "integer",
    "caveats": "text",
    "days_to_cutoff": "integer",
    "organization": "text",
    "said": "text",
}
"""Columns of fleet.csv; docs/fleet.md says what each holds."""


@dataclass(frozen=True, slots=True)
class Row:
    """How one tenant ended: its `state`, the `exit_code` of its command, and what it `said`; `figures` are what its ledger shows, if that
    could be looked at, and count if it was `assessed`."""

    tenant: str
    state: str
    exit_code: int
    said: str
    figures: Figures | None = None
    assessed: bool = False

    @property
    def counted(self) -> Figures | None:
        """The figures, if they count."""
        return self.figures if self.assessed else None

    def cells(self) -> dict[str, Any]:
        """A row of fleet.csv (`COLUMNS`): every number missing where the tenant was not assessed, but for the days that are left."""
        found, last = self.counted, self.figures
        counts = {name: getattr(found, name, None) for name in ("accounts", *_PARTS, *_COUNTS)}
        return {
            "tenant": self.tenant,
            "state": self.state,
            "assessed": self.assessed,
            "read_at": last.read_at if last else None,
            "share_compliant": found and found.share,
            "caveats": "; ".join(found.caveats) if found else "",
            "days_to_cutoff": last.days_to_cutoff if last else None,
            "organization": last.organization if last else "",
            "said": self.said,
        } | counts | {word: found and found.standing.get(word, 0) for word in STANDINGS}  # fmt: skip

    def facts(self) -> dict[str, Any]:
        """An entry of `tenants` in JSON."""
        found, last = self.counted, self.figures
        more = {"exit_code": self.exit_code, "run_id": last and last.run_id, "caveats": list(found.caveats) if found else []}
        return self.cells() | more


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals(Counts):
    """Sums over the tenants that were `assessed`, of `tenants` in all."""

    tenants: int
    assessed: int


@dataclass(frozen=True, slots=True)
class Rollup:
    """All tenants of a fleet at an instant, `rows` in the order in which they need a person. `command` is what was done to each."""

    fleet: str
    command: str
    at: datetime
    rows: tuple[Row, ...]

    @property
    def states(self) -> dict[str, int]:
        """State → how many tenants ended so, in the order of `STATES`."""
        found = Counter(row.state for row in self.rows)
        return {state: found[state] for state in STATES if found[state]}

    @property
    def exit_code(self) -> int:
        """What the fleet's command exits with, unless a signal ended it."""
        return exit_code((row.state, _done_elsewhere(row)) for row in self.rows)

    @property
    def totals(self) -> Totals:
        counted = [row.counted for row in self.rows if row.counted]
        return Totals(tenants=len(self.rows), assessed=len(counted), **summed(counted))

    @property
    def first_cutoff(self) -> int | None:
        """Days to the next cutoff that is still to come."""
        return min((row.figures.days_to_cutoff for row in self.rows if row.figures and row.figures.days_to_cutoff >= 0), default=None)

    def facts(self) -> dict[str, Any]:
        """The object of `--json`, and fleet.json."""
        totals = self.totals
        tenants = {"tenants": totals.tenants, "assessed": totals.assessed}
        sums = tenants | totals.facts() | {"share_compliant": totals.share}
        rows = [row.facts() for row in self.rows]
        return {"fleet": self.fleet, "command": self.command, "at": self.at, "states": self.states, "totals": sums, "tenants": rows}


def rolled_up(fleet: str, command: str, at: datetime, rows: Sequence[Row]) -> Rollup:
    """The roll-up of some rows, in any order."""
    return Rollup(fleet, command, at, tuple(sorted(rows, key=_needed)))


def _done_elsewhere(row: Row) -> int:
    """A busy tenant whose numbers are there is done: by another host."""
    return 0 if row.state == "busy" and row.assessed else row.exit_code


def _needed(row: Row) -> tuple[Any, ...]:
    """The state first; then who cannot move, whom the cutoff hurts, and how soon it is."""
    found = row.counted
    hurt = (-found.without_destination, -found.at_cutoff, -found.not_compliant, found.days_to_cutoff) if found else (0, 0, 0, 0)
    return (list(STATES).index(row.state), *hurt, row.tenant)
