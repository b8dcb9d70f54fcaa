"""What the ledger's accounts come to, counted in one look: who is hurt at the cutoff, who cannot move, who was told, who moved lately."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from migrate.core.standing import OUT_OF_SCOPE
from migrate.ledger import schema
from migrate.ledger.schema import account, letter
from migrate.report.words import HURT

LATELY: Final = timedelta(days=7)
_TOLD: Final = ("sent", "uncertain")


@dataclass(frozen=True, slots=True)
class Tallies:
    """Accounts that are there, counted: `at_cutoff` (word → how many in scope), `without_destination` those that must move and can not,
    `notified` those that a letter other than a confirmation went to (sent or uncertain), `moved_lately` those that a read of the last seven
    days first saw migrated, `hit` those whom the campaign's cutoff takes or took something from, `not_back` those of them that are not
    compliant, and `later` the ones that are not compliant in waves with a later cutoff."""

    at_cutoff: dict[str, int] = field(default_factory=dict)
    without_destination: int = 0
    notified: int = 0
    moved_lately: int = 0
    hit: int = 0
    not_back: int = 0
    later: int = 0


def tallies(connection: sa.Connection, campaign_id: int | None, now: datetime, later: Collection[str] = ()) -> Tallies:
    """Of a campaign's accounts as the last run recorded them. `now` is a UTC instant; `later` are the waves with a later cutoff."""
    a = account.c
    there = sa.and_(a.campaign_id == campaign_id, a.gone_at.is_(None))
    in_scope = a.standing.not_in(sorted(OUT_OF_SCOPE))
    stuck = sa.and_(in_scope, a.compliant.is_(False), a.destination == "no")
    moved = sa.and_(a.migrated_at > now - LATELY, a.migrated_at <= now)
    of_later, left = a.wave.in_(sorted(later)), sa.and_(in_scope, a.compliant.is_(False))
    hit = sa.and_(in_scope, a.at_cutoff.in_(HURT), sa.not_(of_later))
    asked = (stuck, moved, hit, sa.and_(hit, left), sa.and_(left, of_later))
    counted = sa.select(a.at_cutoff, in_scope.label("scope"), sa.func.count(), *map(_how_many, asked))
    rows = connection.execute(counted.where(there).group_by(a.at_cutoff, in_scope)).all()
    at_cutoff = {str(word): int(count) for word, scope, count, *_ in rows if scope}
    return Tallies(
        at_cutoff=dict(sorted(at_cutoff.items())),
        without_destination=sum(int(row[3]) for row in rows),
        notified=_notified(connection, campaign_id),
        moved_lately=sum(int(row[4]) for row in rows),
        hit=sum(int(row[5]) for row in rows),
        not_back=sum(int(row[6]) for row in rows),
        later=sum(int(row[7]) for row in rows),
    )


def _how_many(of: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((of, 1), else_=0))


def _notified(connection: sa.Connection, campaign_id: int | None) -> int:
    """Accounts that are there. Digests and summaries are of no account, confirmations say what somebody did by themselves."""
    c, a = letter.c, account.c
    told = sa.and_(c.campaign_id == campaign_id, c.state.in_(_TOLD), sa.not_(schema.mandatory(letter)))
    of_accounts = letter.join(account, sa.and_(a.campaign_id == c.campaign_id, a.account_id == c.account_id))
    wanted = sa.select(sa.func.count(c.account_id.distinct())).select_from(of_accounts).where(told, a.gone_at.is_(None))
    return int(connection.execute(wanted).scalar_one())
