"""Whether accounts, their versions and their changes agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa

from migrate.core.words import CONFIRMATION
from migrate.ledger.consistency.database import Check, rows
from migrate.ledger.schema import account, account_history, change, notice, run


def _changes(connection: sa.Connection) -> Iterator[str]:
    mine = [notice.c[name] == change.c[name] for name in ("campaign_id", "account_id")]
    told = sa.exists().where(*mine, notice.c.change_seq == change.c.seq, notice.c.kind == CONFIRMATION)
    columns = (change.c.account_id, change.c.seq, change.c.state)
    order = (change.c.campaign_id, change.c.account_id, change.c.seq)
    for wrong, sentence in (
        (sa.and_(change.c.state != "confirmed", told), "has a confirmation"),
        (sa.and_(change.c.state == "confirmed", ~told), "has none"),
    ):
        found = sa.select(*columns).where(wrong).order_by(*order)
        yield from rows(connection, found, f"change {{seq}} of account {{account_id!r}} is {{state}}, and {sentence}")
    closed = change.c.state.in_(("confirmed", "unsaid"))
    for wrong, sentence in (
        (closed != change.c.closed_at.is_not(None), "its closed_at says otherwise"),
        (sa.and_(~change.c.mailed, change.c.state != "recorded"), "such a change is never mailed"),
    ):
        found = sa.select(*columns).where(wrong).order_by(*order)
        yield from rows(connection, found, f"change {{seq}} of account {{account_id!r}} is {{state}}, and {sentence}")
    seen = sa.exists().where(*mine, notice.c.change_seq == change.c.seq, notice.c.tenure == change.c.tenure)
    made_up = sa.select(notice.c.id, notice.c.account_id, notice.c.change_seq).where(notice.c.kind == CONFIRMATION, ~seen)
    sentence = "notice {id} confirms change {change_seq} of account {account_id!r}, which was never seen"
    yield from rows(connection, made_up.order_by(notice.c.id), sentence)


def _numbers(connection: sa.Connection) -> Iterator[str]:
    last = sa.select(change.c.campaign_id, change.c.account_id, sa.func.max(change.c.seq).label("last"))
    newest = last.group_by(change.c.campaign_id, change.c.account_id).subquery()
    mine = sa.and_(newest.c.campaign_id == account.c.campaign_id, newest.c.account_id == account.c.account_id)
    behind = sa.select(account.c.account_id, account.c.change_count, newest.c.last).select_from(account.join(newest, mine))
    behind = behind.where(account.c.change_count < newest.c.last)
    return rows(connection, behind, "account {account_id!r} counts {change_count} changes; its last one is number {last}")


def _versions(connection: sa.Connection) -> Iterator[str]:
    for table in (account, account_history):
        foreign = sa.select(table.c.account_id, table.c.since_run).select_from(
            table.outerjoin(run, sa.and_(run.c.seq == table.c.since_run, run.c.campaign_id == table.c.campaign_id))
        )
        sentence = f"{table.name} {{account_id!r}} is recorded as of run {{since_run}}, which its campaign does not have"
        yield from rows(connection, foreign.where(run.c.seq.is_(None)), sentence)
    h = account_history.c
    backward = sa.select(h.account_id, h.since_run, h.until_run).where(h.until_run <= h.since_run)
    yield from rows(
        connection, backward, "account {account_id!r}: its version of run {since_run} ends at run {until_run}, which is not later"
    )

    def key(table: sa.Table, of_run: str) -> sa.Select[Any]:
        return sa.select(table.c.campaign_id, table.c.account_id, table.c[of_run].label("run_seq"))

    begun = sa.union_all(key(account, "since_run"), key(account_history, "since_run")).subquery()
    ended = key(account_history, "until_run").except_(sa.select(begun)).subquery()
    torn = sa.and_(h.campaign_id == ended.c.campaign_id, h.until_run == ended.c.run_seq, h.account_id == ended.c.account_id)
    last = sa.select(h.account_id, h.since_run, h.until_run).select_from(account_history.join(ended, torn))
    yield from rows(connection, last, "account {account_id!r}: no version follows that of run {since_run}, which ends at run {until_run}")


CHECKS: Final[dict[str, tuple[str, Check]]] = {
    "changes": ("a change is confirmed if, and only if, there is a confirmation of it", _changes),
    "change-numbers": ("an account's count of changes includes every change of it", _numbers),
    "versions": ("the versions of an account follow each other without a gap, and each begins with a run of its campaign", _versions),
}
