"""Whether the ledger agrees with itself: what the schema alone cannot hold, a named check each (design §9)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

import sqlalchemy as sa

from migrate.ledger import schema
from migrate.ledger.schema import account, account_history, change, letter, letter_event, notice, run
from migrate.ledger.states import TRANSITIONS
from migrate.plan import CONFIRMATION

SHOWN: Final = 20
"""How many of the rows that one check finds are named."""

_SETTLED: Final = ("sent", "failed", "uncertain", "withdrawn")


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check found: how many things are `wrong`, and the first `SHOWN` of them, a sentence each."""

    check: str
    means: str
    wrong: int
    examples: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """An element of `migrate ledger check --json`."""
        return asdict(self)


def check(connection: sa.Connection) -> Iterator[Checked]:
    """Every check of `CHECKS` in turn, over all campaigns of a ledger; a damaged file is not looked at further."""
    for name, (means, looks) in CHECKS.items():
        wrong, examples = 0, []
        for said in looks(connection):
            wrong += 1
            if wrong <= SHOWN:
                examples.append(said)
        yield Checked(name, means, wrong, tuple(examples))
        if wrong and name == "integrity":
            return


def _rows(connection: sa.Connection, statement: sa.Select[Any], sentence: str) -> Iterator[str]:
    """The sentence for each row of a statement, whose columns it names."""
    return (sentence.format(**row) for row in connection.execute(statement).mappings())


def _integrity(connection: sa.Connection) -> Iterator[str]:
    if connection.dialect.name == "sqlite":
        try:
            said = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
            yield from (line for line in said if line != "ok")
        except sa.exc.DatabaseError as error:
            # A file may be too damaged to be looked at to the end.
            yield str(error.orig)


def _foreign_keys(connection: sa.Connection) -> Iterator[str]:
    for table in schema.metadata.sorted_tables:
        for key in table.foreign_keys:
            parent = key.column.table.alias()
            here, there = key.parent, parent.c[key.column.name]
            lost = sa.select(here.label("value")).where(here.is_not(None), ~sa.exists().where(there == here)).distinct()
            yield from _rows(connection, lost, f"{table.name}.{here.name} is {{value}}, which no row of {key.column.table.name} has")


def _last_event(connection: sa.Connection) -> Iterator[str]:
    newest = sa.select(letter_event.c.letter_id, sa.func.max(letter_event.c.id).label("id")).group_by(letter_event.c.letter_id).subquery()
    last = letter_event.alias()
    joined = letter.outerjoin(newest, newest.c.letter_id == letter.c.id).outerjoin(last, last.c.id == newest.c.id)
    said = sa.func.coalesce(last.c.to_state, "nothing").label("said")
    differs = sa.select(letter.c.reference, letter.c.state, said).select_from(joined)
    differs = differs.where(sa.or_(last.c.to_state.is_(None), last.c.to_state != letter.c.state)).order_by(letter.c.id)
    return _rows(connection, differs, "letter {reference} is {state}; its last event says {said}")


def _chain(connection: sa.Connection) -> Iterator[str]:
    event = letter_event.c
    previous = sa.func.lag(event.to_state).over(partition_by=event.letter_id, order_by=event.id).label("before")
    steps = sa.select(event.id, event.letter_id, event.from_state, event.to_state, previous).subquery()
    was, now, before = (sa.func.coalesce(steps.c[name], "nothing") for name in ("from_state", "to_state", "before"))
    drawn = sa.or_(*(sa.and_(was == first, now == then) for first, then in (*TRANSITIONS, ("nothing", "queued"))))
    named = (letter.c.reference, was.label("was"), now.label("now"), before.label("before"))
    broken = sa.select(steps.c.id, *named).select_from(steps.join(letter, letter.c.id == steps.c.letter_id))
    broken = broken.where(sa.or_(was != before, ~drawn)).order_by(steps.c.id)
    return _rows(connection, broken, "event {id} moves letter {reference} from {was} to {now}; it was {before} before")


def _of_notice(connection: sa.Connection) -> Iterator[str]:
    same = [letter.c[name] == notice.c[name] for name in ("campaign_id", "account_id", "kind", "occasion")]
    joined = letter.outerjoin(notice, notice.c.id == letter.c.notice_id)
    lost = sa.select(letter.c.reference, letter.c.notice_id).select_from(joined)
    lost = lost.where(sa.or_(notice.c.id.is_(None), ~sa.and_(*same))).order_by(letter.c.id)
    return _rows(connection, lost, "letter {reference} names notice {notice_id}, which is not there or about something else")


def _silent(connection: sa.Connection) -> Iterator[str]:
    silent = sa.select(notice.c.id, notice.c.account_id, notice.c.occasion).where(~sa.exists().where(letter.c.notice_id == notice.c.id))
    return _rows(connection, silent.order_by(notice.c.id), "notice {id} ({occasion} for {account_id!r}) has no letter")


def _leases(connection: sa.Connection) -> Iterator[str]:
    held = (letter.c.owner.is_not(None), letter.c.lease_until.is_not(None))
    wrong = sa.or_(sa.and_(letter.c.state == "sending", ~sa.and_(*held)), sa.and_(letter.c.state != "sending", sa.or_(*held)))
    found = sa.select(letter.c.reference, letter.c.state).where(wrong).order_by(letter.c.id)
    return _rows(
        connection, found, "letter {reference} is {state}; only a letter that is sending has an owner and a lease, and it has both"
    )


def _settled(connection: sa.Connection) -> Iterator[str]:
    done, dated = letter.c.state.in_(_SETTLED), letter.c.settled_at.is_not(None)
    found = sa.select(letter.c.reference, letter.c.state).where(sa.or_(sa.and_(done, ~dated), sa.and_(~done, dated))).order_by(letter.c.id)
    return _rows(connection, found, "letter {reference} is {state}, and its settled_at says otherwise")


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
        yield from _rows(connection, found, f"change {{seq}} of account {{account_id!r}} is {{state}}, and {sentence}")


def _numbers(connection: sa.Connection) -> Iterator[str]:
    last = sa.select(change.c.campaign_id, change.c.account_id, sa.func.max(change.c.seq).label("last"))
    newest = last.group_by(change.c.campaign_id, change.c.account_id).subquery()
    mine = sa.and_(newest.c.campaign_id == account.c.campaign_id, newest.c.account_id == account.c.account_id)
    behind = sa.select(account.c.account_id, account.c.change_count, newest.c.last).select_from(account.join(newest, mine))
    behind = behind.where(account.c.change_count < newest.c.last)
    return _rows(connection, behind, "account {account_id!r} counts {change_count} changes; its last one is number {last}")


def _versions(connection: sa.Connection) -> Iterator[str]:
    for table in (account, account_history):
        foreign = sa.select(table.c.account_id, table.c.since_run).select_from(
            table.outerjoin(run, sa.and_(run.c.seq == table.c.since_run, run.c.campaign_id == table.c.campaign_id))
        )
        sentence = f"{table.name} {{account_id!r}} is said to hold since run {{since_run}}, which its campaign never had"
        yield from _rows(connection, foreign.where(run.c.seq.is_(None)), sentence)
    h, later = account_history.c, account_history.alias().c

    def follows(version: Any) -> sa.ColumnElement[bool]:
        return sa.exists().where(version.campaign_id == h.campaign_id, version.account_id == h.account_id, version.since_run == h.until_run)

    torn = sa.select(h.account_id, h.since_run, h.until_run)
    torn = torn.where(sa.or_(h.until_run <= h.since_run, ~sa.or_(follows(account.c), follows(later))))
    yield from _rows(
        connection, torn, "account {account_id!r}: no version follows the one of run {since_run}, which held until {until_run}"
    )


def _counts(connection: sa.Connection) -> Iterator[str]:
    for row in connection.execute(sa.select(run.c.run_id, run.c.read, run.c.rejected, run.c.counts).order_by(run.c.seq)):
        outcomes = json.loads(row.counts).get("outcomes", {})
        if sum(outcomes.values()) != row.read or outcomes.get("rejected", 0) != row.rejected:
            yield f"run {row.run_id} read {row.read} rows and rejected {row.rejected}; its outcomes are {outcomes}"


def _exceptions(connection: sa.Connection) -> Iterator[str]:
    for table in (schema.exemption, schema.pause):
        t = table.c
        there = sa.exists().where(account.c.campaign_id == t.campaign_id, account.c.account_id == t.account_id)
        yield from _rows(
            connection, sa.select(t.id, t.account_id).where(~there), f"{table.name} {{id}} is for {{account_id!r}}, whom nobody knows"
        )
        for row in connection.execute(sa.select(t.id, t.until)):
            if not _is_day(row.until):
                yield f"{table.name} {row.id} ends on {row.until!r}, which is no day"


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


CHECKS: Final[dict[str, tuple[str, Callable[[sa.Connection], Iterable[str]]]]] = {
    "integrity": ("the database file is whole", _integrity),
    "foreign-keys": ("whatever a row names is there", _foreign_keys),
    "last-event": ("a letter is in the state that its last event gave it", _last_event),
    "event-chain": ("each event begins where the one before ended, and is a move a letter can make", _chain),
    "letter-notice": ("a letter says what its notice says", _of_notice),
    "notice-letters": ("a notice has a letter", _silent),
    "leases": ("what is being sent, and nothing else, is held by a worker", _leases),
    "settled": ("what is settled, and nothing else, has the instant", _settled),
    "changes": ("a change is confirmed if, and only if, there is a confirmation of it", _changes),
    "change-numbers": ("an account counts all of its changes", _numbers),
    "versions": ("the versions of an account follow each other, each since a run of its campaign", _versions),
    "counts": ("the outcomes of a run add up to the rows it read", _counts),
    "exceptions": ("exemptions and pauses are for known accounts, and end on a day", _exceptions),
}
"""Check → what holds where nothing is wrong, and how to find where it does not."""
