"""The roll-up: a row for each tenant, those that need a person first, and sums over the tenants that were assessed.

A tenant is assessed if its numbers come from an accepted read of its directory in this round. Other tenants count nowhere: their numbers
are also left out of the table, so that the sum of a column never mixes old numbers with today's.
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
"""The columns of fleet.csv; docs/fleet.md explains each."""


@dataclass(frozen=True, slots=True)
class Row:
    """One tenant's result: its `state`, the `exit_code` of its command, and what it `said` in one line. `figures` is None if its ledger
    could not be read; the figures count only if the tenant was `assessed`."""

    tenant: str
    state: str
    exit_code: int
    said: str
    figures: Figures | None = None
    assessed: bool = False

    @property
    def counted(self) -> Figures | None:
        """The figures if they count, else None."""
        return self.figures if self.assessed else None

    def cells(self) -> dict[str, Any]:
        """A row of fleet.csv (`COLUMNS`). If the tenant was not assessed, it has no numbers but the days to the cutoff."""
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
    """Sums over the `assessed` tenants; `tenants` is the number of all."""

    tenants: int
    assessed: int


@dataclass(frozen=True, slots=True)
class Rollup:
    """All tenants of a fleet at an instant. The `rows` that need a person most are first. `command` is what was run for each tenant."""

    fleet: str
    command: str
    at: datetime
    rows: tuple[Row, ...]

    @property
    def states(self) -> dict[str, int]:
        """State → how many tenants are in it, in the order of `STATES`."""
        found = Counter(row.state for row in self.rows)
        return {state: found[state] for state in STATES if found[state]}

    @property
    def exit_code(self) -> int:
        """The exit code of the fleet's command, unless a signal ended it."""
        return exit_code((row.state, _done_elsewhere(row)) for row in self.rows)

    @property
    def totals(self) -> Totals:
        counted = [row.counted for row in self.rows if row.counted]
        return Totals(tenants=len(self.rows), assessed=len(counted), **summed(counted))

    @property
    def days_to_first_cutoff(self) -> int | None:
        """Days to the next cutoff of any tenant that is still to come; None if there is none."""
        return min((row.figures.days_to_cutoff for row in self.rows if row.figures and row.figures.days_to_cutoff >= 0), default=None)

    def facts(self) -> dict[str, Any]:
        """The object of `--json`, which is also fleet.json."""
        totals = self.totals
        tenants = {"tenants": totals.tenants, "assessed": totals.assessed}
        sums = tenants | totals.facts() | {"share_compliant": totals.share}
        rows = [row.facts() for row in self.rows]
        return {"fleet": self.fleet, "command": self.command, "at": self.at, "states": self.states, "totals": sums, "tenants": rows}


def rolled_up(fleet: str, command: str, at: datetime, rows: Sequence[Row]) -> Rollup:
    """The roll-up of some rows, in any order."""
    return Rollup(fleet, command, at, tuple(sorted(rows, key=_needed)))


def _done_elsewhere(row: Row) -> int:
    """The exit code of a row. A busy tenant that was assessed counts as done, by another host: 0."""
    return 0 if row.state == "busy" and row.assessed else row.exit_code


def _needed(row: Row) -> tuple[Any, ...]:
    """The key to sort by: the state, then the accounts that cannot move, those that the cutoff hurts, those not compliant, and the days
    left."""
    found = row.counted
    hurt = (-found.without_destination, -found.at_cutoff, -found.not_compliant, found.days_to_cutoff) if found else (0, 0, 0, 0)
    return (list(STATES).index(row.state), *hurt, row.tenant)
