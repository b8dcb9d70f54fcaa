"""Counts of a campaign's accounts, as the last run recorded them. Accounts that are gone do not count."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from migrate.core.standing import OUT_OF_SCOPE
from migrate.ledger.schema import account


class CutoffCount(NamedTuple):
    """Counts of the accounts that have the same `at_cutoff` and are all in scope, or all out of it.

    `accounts` counts all of them. `stuck` are not compliant and may register no accepted method. `moved` migrated within the time asked
    for. `hit` lose something at the campaign's cutoff; `not_back` are those of `hit` that are not compliant. `later` are not compliant
    and in a wave with a later cutoff.
    """

    at_cutoff: str
    in_scope: bool
    accounts: int
    stuck: int
    moved: int
    hit: int
    not_back: int
    later: int


class WaveCount(NamedTuple):
    """How many accounts a wave has, and how many of them are reminded. '' counts the accounts without a wave."""

    wave: str
    accounts: int
    reminded: int


def by_cutoff(
    connection: sa.Connection, campaign_id: int | None, hurtful: Collection[str], since: datetime, until: datetime, later: Collection[str]
) -> list[CutoffCount]:
    """Counts by `at_cutoff` and scope. `hurtful` are the values of `at_cutoff` that take something from an account. An account has `moved`
    if a read after `since`, and not after `until` (UTC), was the first to see it migrated. `later` names the waves with a later cutoff
    than the campaign's."""
    a = account.c
    in_scope = a.standing.not_in(sorted(OUT_OF_SCOPE))
    stuck = sa.and_(in_scope, a.compliant.is_(False), a.destination == "no")
    moved = sa.and_(a.migrated_at > since, a.migrated_at <= until)
    in_later, left = a.wave.in_(sorted(later)), sa.and_(in_scope, a.compliant.is_(False))
    hit = sa.and_(in_scope, a.at_cutoff.in_(hurtful), sa.not_(in_later))
    conditions = (stuck, moved, hit, sa.and_(hit, left), sa.and_(left, in_later))
    counts = (sa.func.count(), *map(_how_many, conditions))
    there = (a.campaign_id == campaign_id, a.gone_at.is_(None))
    rows = connection.execute(sa.select(a.at_cutoff, in_scope.label("scope"), *counts).where(*there).group_by(a.at_cutoff, in_scope))
    return [CutoffCount(word, bool(scope), *map(int, counted)) for word, scope, *counted in rows]


def by_wave(connection: sa.Connection, campaign_id: int | None, remind: Collection[str], *, without_destination: bool) -> list[WaveCount]:
    """Counts by wave. `remind` are the standings that are reminded; `without_destination` says whether accounts that can register no
    accepted method are reminded as well."""
    a = account.c
    wanted = reminded(remind)
    if not without_destination:
        wanted = sa.and_(wanted, a.destination != "no")
    counted = sa.select(a.wave, sa.func.count(), _how_many(wanted))
    rows = connection.execute(counted.where(a.campaign_id == campaign_id, a.gone_at.is_(None)).group_by(a.wave))
    return [WaveCount(wave, int(accounts), int(some or 0)) for wave, accounts, some in rows]


def rejected(connection: sa.Connection, campaign_id: int | None) -> int:
    """How many accounts keep an earlier record because the last run rejected their row."""
    a = account.c
    there = (a.campaign_id == campaign_id, a.outcome == "rejected", a.gone_at.is_(None))
    return int(connection.execute(sa.select(sa.func.count()).select_from(account).where(*there)).scalar_one())


def reminded(remind: Collection[str]) -> sa.ColumnElement[bool]:
    """The condition that an account is reminded, whether or not a stage is due: its standing is in `remind`, or it was reminded before the
    cutoff and is still not compliant."""
    a = account.c
    carried_over = sa.and_(a.reminded, sa.not_(a.compliant), a.standing.not_in(sorted(OUT_OF_SCOPE)))
    return sa.or_(a.standing.in_(sorted(remind)), carried_over)


def _how_many(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0))
