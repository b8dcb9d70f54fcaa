"""Whether the counts of runs are right, and exemptions and pauses are for known accounts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Final

import sqlalchemy as sa

from migrate.ledger import outcomes
from migrate.ledger.consistency.database import Check, rows
from migrate.ledger.schema import account, exemption, pause, rejection, run


def _counts(connection: sa.Connection) -> Iterator[str]:
    for row in connection.execute(sa.select(run.c.run_id, run.c.read, run.c.rejected, run.c.counts).order_by(run.c.seq)):
        counted = json.loads(row.counts).get("outcomes", {})
        if sum(counted.values()) != row.read or counted.get("rejected", 0) != row.rejected:
            yield f"run {row.run_id} read {row.read} rows and rejected {row.rejected}; its outcomes are {counted}"


def _last_counts(connection: sa.Connection) -> Iterator[str]:
    newest = sa.select(sa.func.max(run.c.seq)).group_by(run.c.campaign_id)
    for this in connection.execute(sa.select(run).where(run.c.seq.in_(newest)).order_by(run.c.seq)):
        said = json.loads(this.counts)
        there = sa.and_(account.c.campaign_id == this.campaign_id, account.c.gone_at.is_(None))
        # A known account whose row was rejected keeps its standing; its outcome is counted with the rejected rows.
        accepted = sa.and_(there, account.c.outcome != "rejected")
        for subject, column, counting in (("outcomes", account.c.outcome, accepted), ("standing", account.c.standing, there)):
            counted = Counter(
                dict(tuple(row) for row in connection.execute(sa.select(column, sa.func.count()).where(counting).group_by(column)))
            )
            if subject == "outcomes":
                counted.update(_since(connection, this.campaign_id, accepted))
            found = {str(word): int(number) for word, number in counted.items() if number}
            wanted = {word: number for word, number in said.get(subject, {}).items() if word != "rejected" and number}
            if found != wanted:
                yield f"run {this.run_id}, the last one, counted the {subject} {_listed(wanted)}; its accounts have {_listed(found)}"
        rejected = connection.execute(sa.select(sa.func.count()).where(rejection.c.run_seq == this.seq)).scalar_one()
        if rejected != this.rejected:
            yield f"run {this.run_id} rejected {this.rejected} rows, of which {rejected} are recorded"


def _since(connection: sa.Connection, campaign_id: int, accepted: sa.ColumnElement[bool]) -> Counter[str]:
    """What to add to the counts of the versions' outcomes, for outcomes that changed without a new version."""
    newest = outcomes.newest(campaign_id, lambda _: [])
    theirs = sa.and_(account.c.campaign_id == campaign_id, account.c.account_id == newest.c.account_id)
    moved = sa.select(account.c.outcome, newest.c.outcome, sa.func.count()).select_from(newest.join(account, theirs))
    moved = moved.where(accepted, newest.c.run_seq > account.c.since_run).group_by(account.c.outcome, newest.c.outcome)
    found: Counter[str] = Counter()
    for before, now, number in connection.execute(moved):
        found[before] -= number
        found[now] += number
    return found


def _ended(connection: sa.Connection) -> Iterator[str]:
    completed, reported = run.c.state == "completed", run.c.manifest_digest.is_not(None)
    for wrong, sentence in (
        (completed != run.c.finished_at.is_not(None), "its finished_at says otherwise"),
        (reported != run.c.evidence.is_not(None), "has evidence without a manifest, or a manifest without evidence"),
        (sa.and_(reported, ~completed), "has evidence all the same"),
        (sa.and_(reported, run.c.evidence_at.is_(None)), "its evidence has no date"),
    ):
        found = sa.select(run.c.run_id, run.c.state).where(wrong).order_by(run.c.seq)
        yield from rows(connection, found, f"run {{run_id}} is {{state}}, and {sentence}")


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{word} {count}" for word, count in sorted(counts.items())) or "none"


def _exceptions(connection: sa.Connection) -> Iterator[str]:
    for table in (exemption, pause):
        t = table.c
        there = sa.exists().where(account.c.campaign_id == t.campaign_id, account.c.account_id == t.account_id)
        yield from rows(
            connection,
            sa.select(t.id, t.account_id).where(~there),
            f"{table.name} {{id}} is for {{account_id!r}}, which is no known account",
        )
        taken_back = sa.or_(t.removed_by.is_not(None), t.removed_reason.is_not(None))
        undated = sa.select(t.id, t.account_id).where(t.removed_at.is_(None), taken_back)
        yield from rows(connection, undated, f"{table.name} {{id}} of {{account_id!r}} was taken back, but has no removed_at")
        for row in connection.execute(sa.select(t.id, t.until)):
            if not _is_day(row.until):
                yield f"{table.name} {row.id} ends on {row.until!r}, which is no day"


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


CHECKS: Final[dict[str, tuple[str, Check]]] = {
    "counts": ("the outcomes of a run add up to the rows it read", _counts),
    "last-counts": ("the counts of the last run agree with its accounts", _last_counts),
    "runs": ("a run is completed if, and only if, it has an end; its evidence has a manifest and a date", _ended),
    "exceptions": ("exemptions and pauses are for known accounts, and end on a day", _exceptions),
}
