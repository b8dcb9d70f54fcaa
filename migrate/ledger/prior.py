"""Reads what earlier runs recorded, one range of account ids at a time.

A range is `[low, high)`, compared byte by byte; None is no bound. A run and a dry run read through the same methods. Several threads may
read through one `Prior`: they take turns, since a connection serves one statement at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property
from threading import RLock
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from migrate.core.accounts import INSTANT, RECORD_COLUMNS, conform, empty
from migrate.core.changes import OPEN_COLUMNS
from migrate.core.kinds import GAP, MANDATORY
from migrate.core.letters import COUNTING_COLUMNS, LAST_TOLD_COLUMNS, TOLD_COLUMNS, WAITING_COLUMNS, Mailed
from migrate.core.words import CONFIRMATION, CUTOFF_MOVED, MOVED, WAITING
from migrate.ledger import campaigns, outcomes, schema
from migrate.ledger.exemptions import TABLES, Kind
from migrate.ledger.frames import as_frame, fetch
from migrate.ledger.listed import batches, in_list

Bound = str | None
_Within = Callable[[Any], list[sa.ColumnElement[bool]]]
"""The columns of a table → conditions that narrow its rows to those of some accounts."""

_IGNORED_KINDS: Final = tuple(sorted(MANDATORY - GAP))
"""The kinds that a plan need not know: they hold no other letter back, and are never withdrawn."""

_IDS_AT_ONCE: Final = 5000
"""How many ids one statement names; SQLite takes 32,766 parameters, older versions fewer."""


_MAILED_COLUMNS: Final = {**WAITING_COLUMNS, **TOLD_COLUMNS, "spoken_at": INSTANT}


class Prior:
    """What is recorded of one campaign, read through one connection. Before its first run `campaign_id` is None and all is empty."""

    def __init__(self, connection: sa.Connection, campaign: str) -> None:
        self._connection = connection
        self._turn = RLock()
        self.campaign_id = campaigns.find(connection, campaign)

    def accounts(self, low: Bound, high: Bound) -> pd.DataFrame:
        """`RECORD_COLUMNS` of the range, in order of id, including accounts that are gone."""
        return _in_order(self.records(low, high))

    def records(self, low: Bound, high: Bound) -> pa.Table:
        """`RECORD_COLUMNS` of the range, in any order, including accounts that are gone."""
        return self._records(lambda of: self._within(of, low, high))

    def cuts(self, rows: int) -> list[str]:
        """Account ids that divide all accounts, also those that are gone, into ranges of `rows` accounts; the last has what is left."""
        a, cuts = schema.account.c, list[str]()
        while True:
            beyond = sa.select(a.account_id).where(*self._within(a, cuts[-1] if cuts else None, None)).order_by(a.account_id)
            found = self._rows(beyond.limit(1).offset(rows))
            if not found:
                return cuts
            cuts.append(found[0][0])

    def accounts_with(self, ids: Sequence[str]) -> pd.DataFrame:
        """`RECORD_COLUMNS` of the accounts with some ids, including accounts that are gone."""
        found = [_in_order(self._records(self._these, {"ids": some})) for some in batches(ids, _IDS_AT_ONCE)]
        return pd.concat([empty(RECORD_COLUMNS), *found], ignore_index=True)

    def _records(self, within: _Within, given: Mapping[str, Any] | None = None) -> pa.Table:
        wanted = sa.select(*outcomes.version(schema.account)).where(*within(schema.account.c))
        with self._turn:
            return outcomes.fetched(self._connection, wanted, outcomes.newest(self.campaign_id, within), given)

    def account_count(self) -> int:
        """How many accounts the last accepted read had."""
        a = schema.account.c
        there = sa.select(sa.func.count()).select_from(schema.account).where(a.campaign_id == self.campaign_id, a.gone_at.is_(None))
        return int(self._rows(there)[0][0])

    def mailed(self, low: Bound, high: Bound, occasions: Sequence[str], only: Sequence[str] | None = None) -> Mailed:
        """The letters of the range that a plan must know: those of some stages (`occasions`) and all corrections of the cutoff, the last
        letter of each account, and those that still wait.

        `only` limits the result to a few accounts of the range.
        """
        if not self._mailed_anybody:
            return Mailed(*(empty(of) for of in (TOLD_COLUMNS, LAST_TOLD_COLUMNS, WAITING_COLUMNS)))
        if only is None:
            return self._mailed(lambda of: list(self._within(of, low, high)), occasions)
        found = [self._mailed(self._these, occasions, {"ids": ids}) for ids in batches(only, _IDS_AT_ONCE)]
        parts = {name: [getattr(each, name) for each in found] for name in ("told", "last_told", "waiting")}
        columns = (TOLD_COLUMNS, LAST_TOLD_COLUMNS, WAITING_COLUMNS)
        return Mailed(*(pd.concat([empty(of), *each], ignore_index=True) for of, each in zip(columns, parts.values(), strict=True)))

    @cached_property
    def _mailed_anybody(self) -> bool:
        c = schema.letter.c
        return bool(self._rows(sa.select(c.id).where(c.campaign_id == self.campaign_id).limit(1))) or self._told_before

    @cached_property
    def _told_before(self) -> bool:
        c = schema.told_before.c
        return bool(self._rows(sa.select(c.reference).where(c.campaign_id == self.campaign_id).limit(1)))

    def _these(self, of: Any) -> list[sa.ColumnElement[bool]]:
        """Conditions that narrow rows to those of the accounts whose ids are passed as the parameter `ids`."""
        return [of.campaign_id == self.campaign_id, in_list(of.account_id, "ids")]

    def _mailed(self, within: _Within, occasions: Sequence[str], given: Mapping[str, Any] | None = None) -> Mailed:
        letter, notice = schema.letter.c, schema.notice.c
        counts = letter.state.in_(("sent", "uncertain", *WAITING))
        wanted = sa.or_(
            letter.occasion.in_(occasions),
            schema.written_out(letter.kind, (CUTOFF_MOVED,)),
            sa.and_(~schema.written_out(letter.kind, _IGNORED_KINDS), counts),
        )
        columns = [letter.id.label("letter_id"), letter.account_id, notice.tenure, letter.occasion, notice.told_cutoff]
        columns += [letter.ends, letter.kind, letter.address, letter.state, letter.reason, letter.settled_at]
        columns.append(sa.func.coalesce(letter.claimed_at, letter.settled_at, type_=schema.UtcInstant).label("spoken_at"))
        joined = schema.letter.join(schema.notice, letter.notice_id == notice.id)
        found = self._fetch(sa.select(*columns).select_from(joined).where(*within(letter), wanted), _MAILED_COLUMNS, given)
        if self._told_before:
            found = pd.concat([found, self._of_others(within, occasions, given)], ignore_index=True)
        told = found[found["kind"].isin(GAP) & found["state"].isin(("sent", "uncertain"))]
        return Mailed(
            told=conform(found[found["occasion"].isin(occasions) | (found["kind"] == CUTOFF_MOVED)], TOLD_COLUMNS),
            last_told=_last_told(told),
            waiting=conform(found[~found["kind"].isin(MANDATORY) & found["state"].isin(WAITING)], WAITING_COLUMNS),
        )

    def _of_others(self, within: _Within, occasions: Sequence[str], given: Mapping[str, Any] | None) -> pd.DataFrame:
        """`_MAILED_COLUMNS` of letters that another ledger sent (`told_before`). They count for the present holder of the id."""
        t, a = schema.told_before.c, schema.account.c
        theirs = sa.and_(a.campaign_id == t.campaign_id, a.account_id == t.account_id)
        joined = schema.told_before.outerjoin(schema.account, theirs)
        nobodys, never = sa.literal(-1).label("letter_id"), sa.type_coerce(sa.null(), sa.BigInteger).label("ends")
        columns = [nobodys, t.account_id, sa.func.coalesce(a.tenure, 1).label("tenure"), t.occasion, t.told_cutoff]
        columns += [never, t.kind, t.address, t.state, t.reason, t.told_at.label("settled_at"), t.told_at.label("spoken_at")]
        wanted = sa.or_(t.occasion.in_(occasions), t.kind == CUTOFF_MOVED, t.state.in_(("sent", "uncertain")))
        return self._fetch(sa.select(*columns).select_from(joined).where(*within(t), wanted), _MAILED_COLUMNS, given)

    def changing(self) -> list[str]:
        """The ids of accounts with a change that is still to be confirmed."""
        c = schema.change.c
        return [id_ for (id_,) in self._rows(sa.select(c.account_id).where(c.campaign_id == self.campaign_id, c.state == "open"))]

    def awaiting(self, occasions: Sequence[str], *, others: bool = False) -> list[str]:
        """The ids of accounts with a waiting letter of one of the stages `occasions`, or with `others` of any other stage. Mandatory
        letters do not count."""
        letter = schema.letter.c
        named = schema.written_out(letter.occasion, occasions)
        mine = (letter.campaign_id == self.campaign_id, ~schema.mandatory(schema.letter), ~named if others else named)
        # One select for each index, as in `outbox.counts`.
        waits = sa.union_all(*(sa.select(letter.account_id).where(*mine, *which) for which in schema.WAITS))
        return [id_ for (id_,) in self._rows(waits)]

    def counting(self, low: Bound, high: Bound, occasions: Sequence[str]) -> pd.DataFrame | None:
        """`COUNTING_COLUMNS` of the range's letters of the stages `occasions` and of all corrections, in any state;
        None where letters of another ledger count as well."""
        if self._told_before:
            return None
        letter, notice = schema.letter.c, schema.notice.c
        moved = sa.and_(letter.occasion >= MOVED, letter.occasion < MOVED + "\uffff")
        columns = [letter.account_id, notice.tenure, letter.occasion, notice.told_cutoff, letter.state, letter.ends]
        wanted = sa.select(*columns).select_from(schema.letter.join(schema.notice, letter.notice_id == notice.id))
        # The index that finds the accounts holds the occasion as well, so no other letter is read.
        wanted = wanted.where(*self._within(letter, low, high), sa.or_(letter.occasion.in_(occasions), moved))
        return self._fetch(wanted, COUNTING_COLUMNS)

    def open_changes(self, low: Bound, high: Bound) -> pd.DataFrame:
        """`OPEN_COLUMNS` of the mailed changes that have no confirmation yet."""
        c = schema.change.c
        return self._fetch(
            sa.select(*(c[name] for name in OPEN_COLUMNS)).where(*self._within(c, low, high), c.state == "open"), OPEN_COLUMNS
        )

    def confirmations(self, ids: Sequence[str], since: datetime) -> pd.DataFrame:
        """`account_id`, `created_at` of the confirmations queued for some accounts at or after `since`, a row for each change."""
        n = schema.notice.c
        columns = {"account_id": "str", "created_at": INSTANT}
        wanted = sa.select(n.account_id, n.created_at)
        wanted = wanted.where(n.campaign_id == self.campaign_id, n.kind == CONFIRMATION, n.created_at >= since)
        wanted = wanted.where(in_list(n.account_id, "ids"))
        found = [self._fetch(wanted, columns, {"ids": some}) for some in batches(ids, _IDS_AT_ONCE)]
        return pd.concat([empty(columns), *found], ignore_index=True)

    def earlier_addresses(self, ids: Sequence[str], since: datetime) -> pd.DataFrame:
        """`account_id`, `tenure`, `email`, `notification_emails` of versions of some accounts, superseded at or after `since`."""
        h, run = schema.account_history.c, schema.run.c
        first = sa.select(sa.func.min(run.seq)).where(run.campaign_id == self.campaign_id, run.as_of >= since).scalar_subquery()
        since_then = sa.select(run.seq).where(run.campaign_id == self.campaign_id, run.seq >= first)
        columns = {"account_id": "str", "tenure": "int32", "email": "str", "notification_emails": "str"}
        versions = (
            sa.select(*(h[name] for name in columns)).where(h.campaign_id == self.campaign_id, h.until_run.in_(since_then)).distinct()
        )
        versions = versions.where(in_list(h.account_id, "ids"))
        found = [self._fetch(versions, columns, {"ids": some}) for some in batches(ids, _IDS_AT_ONCE)]
        return pd.concat([empty(columns), *found], ignore_index=True)

    def confirmed_elsewhere(self, low: Bound, high: Bound, seen: pd.DataFrame, accounts: pd.DataFrame) -> pd.Series:
        """Which of the changes `seen` in the range another ledger has confirmed already: the account has the methods that it had then,
        and no later change of them is known. `accounts` are the accounts that were read."""
        c = schema.confirmed_before.c
        if seen.empty or not self._confirmed_before:
            return pd.Series(False, index=seen.index)
        columns = {"account_id": "str", "has": "int32", "seen_at": INSTANT}
        wanted = sa.select(*(c[name] for name in columns)).where(*self._within(c, low, high))
        there = self._fetch(wanted, columns).set_index("account_id")
        changed = accounts.set_index("account_id")["methods_changed_at"]
        ids = seen["account_id"]
        later = ids.map(changed) > ids.map(there["seen_at"])
        return ids.isin(there.index) & (ids.map(there["has"]) == seen["has"]) & ~later

    @cached_property
    def _confirmed_before(self) -> bool:
        c = schema.confirmed_before.c
        return bool(self._rows(sa.select(c.account_id).where(c.campaign_id == self.campaign_id).limit(1)))

    def exceptions(self, kind: Kind, today: date) -> pd.Series:
        """Account id → the last day (ISO) of the longest exemption or pause that is in force on a day."""
        t = TABLES[kind].c
        found = self._rows(
            sa.select(t.account_id, sa.func.max(t.until))
            .where(t.campaign_id == self.campaign_id, t.removed_at.is_(None), t.until >= today.isoformat())
            .group_by(t.account_id)
        )
        return pd.Series(dict(tuple(row) for row in found), dtype="str")

    def bounced(self, now: datetime) -> frozenset[str]:
        """Addresses (lower case) that mail servers called unknown or disabled, and that nobody has cleared."""
        b = schema.bounce.c
        dead = sa.select(b.address).where(b.campaign_id == self.campaign_id, b.hard, b.until > now, b.cleared_at.is_(None))
        return frozenset(address.lower() for (address,) in self._rows(dead))

    def _within(self, columns: Any, low: Bound, high: Bound) -> list[sa.ColumnElement[bool]]:
        bounds = [columns.account_id >= low] if low is not None else []
        bounds += [columns.account_id < high] if high is not None else []
        return [columns.campaign_id == self.campaign_id, *bounds]

    def _fetch(self, statement: sa.Select[Any], columns: dict[str, str], given: Mapping[str, Any] | None = None) -> pd.DataFrame:
        with self._turn:
            return fetch(self._connection, statement, columns, given)

    def _rows(self, statement: sa.Executable) -> Sequence[sa.Row[Any]]:
        with self._turn:
            return self._connection.execute(statement).all()


def _in_order(records: pa.Table) -> pd.DataFrame:
    """Records as a frame, in order of id."""
    frame = as_frame(records, RECORD_COLUMNS)
    return frame if frame["account_id"].is_monotonic_increasing else frame.sort_values("account_id", ignore_index=True)


def _last_told(told: pd.DataFrame) -> pd.DataFrame:
    """`LAST_TOLD_COLUMNS` of letters that were sent or are uncertain. `told_cutoff` is that of the letter handed over last: a person may
    settle an older one later."""
    person = ["account_id", "tenure"]
    last = told.sort_values("settled_at").drop_duplicates(person, keep="last").rename(columns={"settled_at": "last_told_at"})
    said = told.sort_values(["spoken_at", "letter_id"]).drop_duplicates(person, keep="last")[[*person, "told_cutoff"]]
    found = last[[*person, "last_told_at"]].merge(said, on=person).assign(moves=0)
    if (moved := told["kind"] == CUTOFF_MOVED).any():
        moves = told[moved].groupby(person).size().reset_index(name="moves")
        found = found.drop(columns="moves").merge(moves, on=person, how="left").fillna({"moves": 0})
    return conform(found, LAST_TOLD_COLUMNS)
