"""A read beside the image of the one before: whose record carries over as it is, and who is to be decided anew."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.core.accounts import ACCOUNT_COLUMNS, ADDRESS_SEPARATOR, METHODS, RECORD_COLUMNS, conform
from migrate.core.already_told import by_only_letter
from migrate.core.moment import Moment
from migrate.core.standing import found_in
from migrate.directory.snapshot import RANGE, Range, Snapshot, holding, settled
from migrate.directory.translate import Translator
from migrate.incremental.carried import Records
from migrate.incremental.rows import Rows

_SETTLED: Final = ("inactive", "exempt_sso", "not_reminded")
"""Outcomes that follow from the standing alone."""
_UNDER_WAY: Final = ("queued", "claimed", "sending", "uncertain")
"""Reasons of nothing_due that name the state of a letter which may have gone on since."""
_FOR_GOOD: Final = ("", "sent")
"""Reasons of nothing_due that stay while the stage does: no stage is due, or its letter was sent."""


_TOLD: Final = 4 * RANGE
"""Records of which only the outcome is new are handed on so many at a time."""
_FOUND_IN: Final = np.array([found_in(word) for word in METHODS], "int32")
"""For each of `METHODS` the methods (bits) any of which makes it a default that is registered."""
_HOLDING: Final = ("account_id", "email", "gone_at", "plain")


@dataclass(frozen=True, slots=True)
class Part:
    """An id range to be decided: its rows, and what the ledger has of them (`RECORD_COLUMNS`), of those who are gone from it too.

    `carried` are records of others in it as they are now (`RECORD_COLUMNS`, `plain`): nothing of them is new but what became of a letter.
    """

    range: Range
    recorded: pd.DataFrame
    carried: pa.Table | None = None


class Ids:
    """Ids of accounts, of which those of a range can be had."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        every = pa.array(list(ids), pa.large_string())
        self._in_order = every.take(pc.sort_indices(every))

    def between(self, low: str | None, high: str | None) -> pa.Array:
        """Those in [low, high), in order."""
        begin, end = (bisect_left(self._in_order, at, key=lambda id_: id_.as_py()) if at is not None else None for at in (low, high))
        return self._in_order[begin:end]


@dataclass(slots=True)
class Beside:
    """`parts` are the accounts that must be decided; the others' records carry over, and are only counted.

    A record carries over if its row is the same as before and nothing else could have changed what is made of it: no exemption, pause, open
    change or letter of another stage that waits (`excepted`), and no outcome that a day may change. Nor a letter of this stage that waits
    (`awaiting`), unless the outcome was that the account has it: then that letter, of the `letters` that count in a range, says which
    outcome there is now. `staying` are the waves ('' is everybody else) for which the same stage counts at this `moment` as when the image
    was made. A method that was last used within `crossed` [from, before) said then, or says now, what an account uses, and not both.
    """

    records: Records
    snapshot: Snapshot
    rows: Rows
    translator: Translator
    excepted: Ids
    awaiting: Ids
    letters: Callable[[str | None, str | None], pd.DataFrame | None]
    moment: Moment
    staying: frozenset[str]
    crossed: tuple[datetime, datetime]
    max_addresses: int
    standings: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    not_certain: Counter[str] = field(default_factory=Counter)
    defaults_not_registered: int = 0
    too_many_addresses: int = 0
    carried: int = 0
    known: int = 0

    def parts(self) -> Iterator[Part]:
        """Those to be decided, lowest ids first; the counts are complete once the last part was taken."""
        cuts = sorted({*self.records.firsts[1:], *self.snapshot.cuts()})
        start: str | None = None
        held = _Held()
        for low, high in zip([None, *cuts], [*cuts, None], strict=True):
            self._sift(low, high, held)
            if held.size >= RANGE or held.told >= _TOLD or high is None:
                yield held.part(start, high)
                start, held = high, _Held()

    def _sift(self, low: str | None, high: str | None, held: _Held) -> None:
        base = self.records.between(low, high).combine_chunks()
        fresh = self.snapshot.between(low, high)
        missing = self.rows.missing.between(low, high)
        ids = base["account_id"]
        there = pc.is_null(base["gone_at"])
        in_fresh = _among(ids, None if fresh is None else fresh["account_id"])
        same = pc.and_(base["plain"], pc.invert(_among(ids, None if missing is None else missing["account_id"])))
        stays, under_way = self._stays(base)
        same_but_letters = pc.and_(same, pc.invert(_among(ids, self.excepted.between(low, high))))
        carries = pc.and_(pc.and_(same_but_letters, stays), pc.invert(_among(ids, self.awaiting.between(low, high))))
        carries = pc.and_(pc.invert(in_fresh), pc.or_(carries, pc.invert(there)))
        told = pc.and_(pc.and_(same_but_letters, under_way), pc.and_(there, pc.invert(in_fresh)))
        told, base, differs = self._told(base, told, low, high)
        carries = pc.or_(carries, told)
        names = ["standing", "outcome", "certain", "default_method", "methods", "email", "notification_emails"]
        counted = base.select(names).filter(pc.and_(carries, there))
        self.known += pc.sum(there).as_py() or 0
        self.carried += counted.num_rows
        self.standings.update(_count(counted["standing"]))
        self.outcomes.update(_count(counted["outcome"]))
        self.not_certain.update(_count(counted["standing"].filter(pc.invert(counted["certain"]))))
        self.defaults_not_registered += _not_registered(counted["default_method"], counted["methods"])
        self.too_many_addresses += _more_addresses_than(counted["email"], counted["notification_emails"], self.max_addresses)
        again = pc.and_(pc.and_(same, there), pc.invert(carries))
        doubled = ids.filter(pc.and_(again, in_fresh))
        if len(doubled):
            fresh = pa.concat_tables([fresh, self._twins(doubled, fresh)])
        held.add(fresh, base.filter(pc.invert(carries)), base.filter(pc.and_(again, pc.invert(in_fresh))), base.filter(differs))

    def _told(
        self, base: pa.Table, which: pa.ChunkedArray, low: str | None, high: str | None
    ) -> tuple[pa.ChunkedArray, pa.Table, pa.ChunkedArray]:
        """Of some records of a range those whose letter alone says which outcome there is; `base` with it; and where it is a new one."""
        none = _among(base["account_id"], None)
        if not pc.any(which).as_py() or (letters := self.letters(low, high)) is None:
            return none, base, none
        rows = np.flatnonzero(which.to_numpy())
        state = by_only_letter(base.select(["account_id", "tenure", "wave"]).take(rows).to_pandas(), letters, self.moment)
        known = (state != "").to_numpy()
        said = np.full(len(base), None, dtype=object)
        said[rows[known]] = state[known]
        reason, outcome = pa.array(said, base["outcome_reason"].type), base["outcome"]
        told = pc.is_valid(reason)
        now = pc.if_else(told, pa.scalar("nothing_due", outcome.type), outcome)
        because = pc.coalesce(reason, base["outcome_reason"])
        differs = pc.and_(told, pc.or_(pc.not_equal(now, outcome), pc.not_equal(because, base["outcome_reason"])))
        for name, column in (("outcome", now), ("outcome_reason", because)):
            base = base.set_column(base.schema.get_field_index(name), base.schema.field(name), column)
        return told, base, differs

    def _stays(self, base: pa.Table) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
        """Where a record would be decided as it was, if the row is the same; and where it would be, but for what became of a letter."""
        outcome, reason = base["outcome"], base["outcome_reason"]
        under_way = _among(base["account_id"], None)
        stays = pc.is_in(outcome, pa.array(_SETTLED, outcome.type))
        if self.staying:
            for_good = pc.is_in(reason, pa.array(_FOR_GOOD, reason.type))
            waves = base["wave"]
            in_stage = pc.is_in(waves, pa.array(sorted(self.staying), waves.type))
            nothing_due = pc.and_(pc.equal(outcome, "nothing_due"), in_stage)
            stays = pc.or_(stays, pc.and_(nothing_due, for_good))
            # A letter that was queued in that run is of this stage, or a mandatory one.
            queued = pc.and_(pc.and_(pc.equal(outcome, "queued"), in_stage), pc.is_in(reason, pa.array(self.moment.occasions, reason.type)))
            under_way = pc.or_(queued, pc.and_(nothing_due, pc.is_in(reason, pa.array(_UNDER_WAY, reason.type))))
        as_it_was = pc.is_null(base["exempt_until"])
        used = base["last_used_at"]
        if used.null_count < len(used):
            begin, end = (pa.scalar(each, used.type) for each in self.crossed)
            crossed = pc.and_(pc.greater_equal(used, begin), pc.less(used, end))
            as_it_was = pc.and_(as_it_was, pc.invert(pc.fill_null(crossed, False)))
        return pc.and_(pc.fill_null(stays, False), as_it_was), pc.and_(pc.fill_null(under_way, False), as_it_was)

    def _twins(self, ids: pa.ChunkedArray, fresh: pa.Table) -> pa.Table:
        """The rows that were passed over as unchanged, of accounts that have another row as well."""
        found = self.rows.find(ids.combine_chunks())
        found = found[~found["position"].isin(fresh["position"].to_pylist())]
        rows = self.translator.again(found).assign(plain=True)
        return pa.Table.from_pandas(rows, schema=fresh.schema, preserve_index=False)

    def holders(self, wanted: frozenset[str]) -> pd.DataFrame:
        """Whose primary address is one of the wanted ones (lower case) now: `account_id`, `folded`.

        Of the records those count whose row was passed over as unchanged: every other row of the read is in the snapshot.
        """
        carried = pd.concat([holding(None, wanted), *(self._holding(batch, wanted) for batch in self.records.batches(_HOLDING))])
        if len(carried):
            carried = carried[~carried["account_id"].isin(self.rows.missing.having(pa.array(carried["account_id"], pa.large_string())))]
        return pd.concat([carried, self.snapshot.holders(wanted)]).drop_duplicates()

    @staticmethod
    def _holding(batch: pa.RecordBatch, wanted: frozenset[str]) -> pd.DataFrame:
        return holding(batch, wanted, pc.and_(batch.column("plain"), pc.is_null(batch.column("gone_at"))))


class _Held:
    """Rows of several ranges, until they are enough to be decided together."""

    def __init__(self) -> None:
        self._fresh: list[pa.Table] = []
        self._recorded: list[pa.Table] = []
        self._again: list[pa.Table] = []
        self._told: list[pa.Table] = []
        self.size = 0
        self.told = 0

    def add(self, fresh: pa.Table | None, recorded: pa.Table, again: pa.Table, told: pa.Table) -> None:
        if fresh is not None:
            self._fresh.append(fresh)
        self._recorded.append(recorded)
        self._again.append(again)
        self._told.append(told)
        self.size += (0 if fresh is None else fresh.num_rows) + again.num_rows
        self.told += told.num_rows

    def part(self, low: str | None, high: str | None) -> Part:
        read = settled(low, high, pa.concat_tables(self._fresh) if self._fresh else None)
        recorded = conform(pa.concat_tables(self._recorded).to_pandas(), RECORD_COLUMNS)
        again = pa.concat_tables(self._again)
        if again.num_rows:
            rows: Any = again.to_pandas()
            rows = conform(rows.assign(last_sign_in_at=pd.NaT), ACCOUNT_COLUMNS).assign(plain=True)
            both = pd.concat([read.accounts.assign(plain=read.plain), rows]).sort_values("account_id", ignore_index=True)
            read = replace(read, accounts=both[list(ACCOUNT_COLUMNS)], plain=both["plain"])
        return Part(read, recorded, pa.concat_tables(self._told))


def _among(ids: pa.ChunkedArray, values: pa.ChunkedArray | pa.Array | None) -> pa.ChunkedArray:
    if values is None or not len(values):
        return pa.chunked_array([pa.array(np.zeros(len(ids), dtype=bool))])
    return pc.is_in(ids, (values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values).cast(ids.type))


def _not_registered(defaults: pa.ChunkedArray, methods: pa.ChunkedArray) -> int:
    """`standing.default_not_registered`, counted in Arrow columns."""
    if defaults.null_count == len(defaults):
        return 0
    place = pc.index_in(defaults, pa.array(METHODS, defaults.type))
    named = pc.is_valid(place).to_numpy()
    found_in = _FOUND_IN[pc.fill_null(place, 0).to_numpy()]
    return int((named & (found_in != 0) & (found_in & methods.to_numpy() == 0)).sum())


def _more_addresses_than(emails: pa.ChunkedArray, lists: pa.ChunkedArray, most: int) -> int:
    """`changes.more_addresses_than`, counted in Arrow columns."""
    several = pc.fill_null(pc.greater(pc.binary_length(lists), 0), False)
    if not pc.any(several).as_py():
        return 0
    primary = pc.cast(pc.is_valid(emails.filter(several)), pa.int32())
    listed = pc.cast(pc.count_substring(lists.filter(several), ADDRESS_SEPARATOR), pa.int32())
    return pc.sum(pc.greater(pc.add(primary, listed), most - 1)).as_py() or 0


def _count(words: pa.ChunkedArray) -> dict[str, int]:
    return {each["values"]: each["counts"] for each in pc.value_counts(words).to_pylist()}
