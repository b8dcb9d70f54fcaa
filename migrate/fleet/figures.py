"""The figures of a tenant's campaign, read from the output of `migrate status --json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from migrate.fleet.counts import Counts
from migrate.report.words import HURT


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures(Counts):
    """A tenant's campaign after its last run. Before the first run `run_id`, `as_of` and `read_at` are None and all counts are 0.

    `read_at` is the instant of the directory's data. `stale` is true if that is too long ago to send reminders, and before the first run.
    `held` counts the reminders that a guard held.
    """

    organization: str
    campaign: str
    days_to_cutoff: int
    run_id: str | None
    as_of: datetime | None
    completed: bool
    read_at: datetime | None
    stale: bool
    held: int
    caveats: tuple[str, ...]

    @classmethod
    def of(cls, facts: Mapping[str, Any] | None) -> Self | None:
        """The figures in what `migrate status --json` printed; None if it printed something else."""
        try:
            return cls._of(facts) if facts else None
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    @classmethod
    def _of(cls, facts: Mapping[str, Any]) -> Self:
        run, parts, tallies = facts["last_run"] or {}, facts.get("accounts") or {}, facts["tallies"]
        return cls(
            organization=str(facts["organization"]),
            campaign=str(facts["campaign"]),
            days_to_cutoff=int(facts["days_left"]),
            run_id=run.get("run_id"),
            as_of=_instant(run.get("as_of")),
            completed=bool(run.get("completed")),
            read_at=_instant(run.get("directory_as_of")),
            stale=bool(facts["stale"]),
            accounts=int(parts.get("total", 0)),
            standing=dict(run.get("standing", {})),
            compliant=int(parts.get("compliant", 0)),
            not_compliant=int(parts.get("not_compliant", 0)),
            out_of_scope=int(parts.get("out_of_scope", 0)),
            not_certain=int(parts.get("not_certain", 0)),
            at_cutoff=sum(tallies["at_cutoff"].get(word, 0) for word in HURT),
            without_destination=int(tallies["without_destination"]),
            notified=int(tallies["notified"]),
            unreachable=sum(facts["unreachable"]["counts"].values()),
            moved=int(tallies["moved_lately"]),
            held=int(run.get("outcomes", {}).get("held", 0)),
            caveats=tuple(run.get("caveats", ())),
        )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
