"""Exemptions and pauses: exceptions for an account, each with an owner, a reason and a last day (design §12).

Of a row, only the three columns that say when, by whom and why it was taken back ever change, and only once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any, Final, Literal

import sqlalchemy as sa

from migrate.ledger import schema
from migrate.ledger.listed import batches

Kind = Literal["exemption", "pause"]
KINDS: Final[tuple[Kind, Kind]] = ("exemption", "pause")

TABLES: Final[dict[Kind, sa.Table]] = {"exemption": schema.exemption, "pause": schema.pause}

OUTCOME: Final[dict[Kind, str]] = {"exemption": "exempt", "pause": "paused"}
"""The reason for which a waiting letter is withdrawn: the outcome that the account has at the next run."""


@dataclass(frozen=True, slots=True)
class Grant:
    """An exemption or a pause as a person granted it; `until` is its last day.

    `removed_at`, `removed_by` and `removed_reason` say when, by whom and why it was taken back, if it was.
    """

    account_id: str
    until: date
    owner: str
    reason: str
    created_at: datetime
    created_by: str
    removed_at: datetime | None = None
    removed_by: str | None = None
    removed_reason: str | None = None

    @property
    def terms(self) -> tuple[str, date, str, str]:
        """What was granted; not by whom it was recorded, nor when."""
        return self.account_id, self.until, self.owner, self.reason


def granted(
    connection: sa.Connection, kind: Kind, campaign_id: int | None, accounts: Collection[str] | None = None, *, removed: bool = False
) -> list[Grant]:
    """The grants that stand, or with `removed` those taken back, of some accounts or of all, by last day; also those that ended."""
    t = TABLES[kind].c
    columns = (t[field.name] for field in fields(Grant))
    there = t.removed_at.is_not(None) if removed else t.removed_at.is_(None)
    wanted = sa.select(*columns).where(t.campaign_id == campaign_id, there).order_by(t.until, t.account_id, t.id)
    parts = [wanted] if accounts is None else [wanted.where(t.account_id.in_(ids)) for ids in batches(sorted(accounts))]
    found = (row for part in parts for row in connection.execute(part).mappings())
    return [Grant(**{**row, "until": date.fromisoformat(row["until"])}) for row in found]


def grant(connection: sa.Connection, kind: Kind, campaign_id: int, grants: Sequence[Grant]) -> None:
    """Records grants. Those that an account has already stay in force beside them."""
    rows = [asdict(each) | {"until": each.until.isoformat(), "campaign_id": campaign_id} for each in grants]
    if rows:
        connection.execute(sa.insert(TABLES[kind]), rows)


def remove(connection: sa.Connection, kind: Kind, campaign_id: int, account_id: str, now: datetime, *, by: str, reason: str) -> int:
    """Takes back all grants of a kind that an account has; returns how many. The rows stay, and say who took them back and why."""
    t = TABLES[kind]
    mine = (t.c.campaign_id == campaign_id, t.c.account_id == account_id, t.c.removed_at.is_(None))
    return connection.execute(sa.update(t).where(*mine).values(removed_at=now, removed_by=by, removed_reason=reason)).rowcount


def spares(letter: sa.Table) -> sa.ColumnElement[Any]:
    """SQL for the `OUTCOME` of the exception that is in force for a letter's account on a day, the parameter `today` (ISO date).

    Null if none is, and for mandatory mail. An exemption goes before a pause.
    """

    def in_force(kind: Kind) -> sa.ColumnElement[bool]:
        t = TABLES[kind].c
        mine = sa.and_(t.campaign_id == letter.c.campaign_id, t.account_id == letter.c.account_id)
        there = sa.exists().where(mine, t.removed_at.is_(None), t.until >= sa.bindparam("today"))
        return sa.and_(~schema.mandatory(letter), there)

    return sa.case(*((in_force(kind), sa.literal_column(f"'{OUTCOME[kind]}'")) for kind in KINDS))
