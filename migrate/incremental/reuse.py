"""Which records of the cache carry over unchanged, and which accounts must be decided anew (docs/decisions/0007).

What goes in: the `Records` that the last run left; the `Snapshot` of this read, which holds only the rows that have changed, or all rows
if there were none to compare with; the `Rows`, which know the rows of the last read that are missing now; and what else may change an
outcome: exemptions, pauses, open changes and letters from the ledger, the stage that counts, the days between the two runs. What comes out:
`Part`s to decide, by range of account ids; and the counts of the accounts that carry over, of which nothing else is needed. For each range
(`Reuse._sift`):

1. a record carries over if its row is the same as in the last read (`_same`) and its outcome cannot have changed (`_stays`);
2. if its row is the same, and its outcome was the state of a letter, the letter's state of now gives the new outcome (`_by_letter`): the
   record carries over with it, and is recorded only if the outcome is another one;
3. if its row is the same but something else may have changed, the account is decided again, from its record instead of its row;
4. every other account is decided from its new row.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.core.accounts import ACCOUNT_COLUMNS, RECORD_COLUMNS, conform
from migrate.core.already_told import by_only_letter
from migrate.core.moment import Moment
from migrate.directory.snapshot import Range, Snapshot, holding, settled
from migrate.directory.translate import Translator
from migrate.incremental.account_digests import AS_READ, DIGEST
from migrate.incremental.carried_counts import how_often, more_addresses_than, not_registered
from migrate.incremental.records import Records
from migrate.incremental.rows import Rows, equal_rows
from migrate.process.prefetch import ahead

_BY_STANDING: Final = ("inactive", "exempt_sso", "not_reminded")
"""Outcomes that follow from the standing alone."""
_LETTER_MAY_MOVE: Final = ("queued", "claimed", "sending", "uncertain")
"""Reasons of nothing_due that are the state of a letter, and a state that can change."""
_WHILE_STAGE_LASTS: Final = ("", "sent")
"""Reasons of nothing_due that hold as long as the same stage counts: no stage is due, or its letter was sent."""
RANGE: Final = 16384
"""About how many accounts are decided together: fewer than in a first run, since their records and letters are in memory as well."""
_NEW_OUTCOMES: Final = 65536
"""A part holds at most about this many records of which only the outcome is new."""
_HOLDING: Final = ("account_id", "email", "gone_at", "plain")
"""Columns of a record that tell who holds an address."""


Comparison = Literal["rows", "accounts", "nothing"]
"""What of this read is compared with the last one: its raw rows (the snapshot has only those that differ); its accounts with the records,
because the last read's rows are not there; or nothing, because rules of reading have changed. With the last two the snapshot has all."""


@dataclass(frozen=True, slots=True)
class Part:
    """The accounts of an id range that must be decided: their rows, and their records (`RECORD_COLUMNS`), also of accounts that are gone.

    `carried`: records (`RECORD_COLUMNS`, `plain`) of other accounts of the range, of which only the outcome is new: their letter moved on.
    `was_plain`: aligned with the accounts, the `plain` of each one's record, false where it has none; None if nothing is known of the last
    read. An account whose record and `plain` come out as they were is not recorded again.
    """

    range: Range
    recorded: pd.DataFrame
    carried: pa.Table | None = None
    was_plain: pd.Series | None = None


class Ids:
    """A sorted set of account ids, from which a range can be taken."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        unsorted = pa.array(list(ids), pa.large_string())
        self._in_order = unsorted.take(pc.sort_indices(unsorted))

    def between(self, low: str | None, high: str | None) -> pa.Array:
        """The ids in [low, high), in order; None is no bound."""
        begin, end = (bisect_left(self._in_order, at, key=lambda id_: id_.as_py()) if at is not None else None for at in (low, high))
        return self._in_order[begin:end]


@dataclass(slots=True)
class Reuse:
    """Sorts the accounts of a read: `parts` gives those that must be decided; the records of the others carry over, and are counted here.

    * `excepted`: ids of accounts with an exemption, a pause, an open change, or a waiting letter of another stage. They are always decided.
    * `awaiting`: ids of accounts with a waiting letter of this stage. They are decided, unless the letter alone gives the outcome.
    * `letters`: a range of ids → its letters (`COUNTING_COLUMNS`), None if there are none.
    * `staying`: the waves ('' is everybody else) for which the same stage counts at this `moment` as when the cache was made.
    * `anew`: the rules have changed, so everybody is decided; who is gone stays gone.
    * `crossed`: [from, before). An account whose `last_used_at` lies in it is decided: its last use counted at the one of the two runs and
      not at the other.

    The fields after these are counts of the accounts that carry over (`migrate.decide.decided.Tally`).
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
    anew: bool = False
    compared: Comparison = "rows"
    standings: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    not_certain: Counter[str] = field(default_factory=Counter)
    defaults_not_registered: int = 0
    too_many_addresses: int = 0
    carried: int = 0
    known: int = 0

    def parts(self) -> Iterator[Part]:
        """The accounts that must be decided, lowest ids first; the counts are complete once the last part was taken."""
        start: str | None = None
        collected = _Collected()
        for each in ahead(self._ranges()):
            self._sift(each, collected)
            if collected.size >= RANGE or collected.new_outcomes >= _NEW_OUTCOMES or each.high is None:
                yield collected.part(start, each.high)
                start, collected = each.high, _Collected()

    def _ranges(self) -> Generator[_Between, None, None]:
        """Everything that is known of each range of ids, lowest first."""
        cuts = sorted({*self.records.firsts[1:], *self.snapshot.cuts()})
        for low, high, records in zip([None, *cuts], [*cuts, None], self.records.ranges(cuts), strict=True):
            base = records.combine_chunks()
            stays, letter_may_move = self._stays(base)
            letters = self.letters(low, high) if pc.any(letter_may_move).as_py() else None
            fresh, missing = self.snapshot.between(low, high), self.rows.missing.between(low, high)
            yield _Between(low, high, base, fresh, missing, stays, letter_may_move, letters)

    def _sift(self, of: _Between, collected: _Collected) -> None:
        """Adds to `collected` what must be decided in a range of ids, and counts what carries over."""
        base, ids = of.base, of.base["account_id"]
        there = pc.is_null(base["gone_at"])
        same, fresh = self._same(base, of.fresh, of.missing)
        in_fresh = _among(ids, None if fresh is None else fresh["account_id"])
        same_but_letters = pc.and_(same, pc.invert(_among(ids, self.excepted.between(of.low, of.high))))
        carries = pc.and_(pc.and_(same_but_letters, of.stays), pc.invert(_among(ids, self.awaiting.between(of.low, of.high))))
        # Who was gone stays gone, unless a row came back.
        carries = pc.and_(pc.invert(in_fresh), pc.or_(carries, pc.invert(there)))
        by_letter = pc.and_(pc.and_(same_but_letters, of.letter_may_move), pc.invert(in_fresh))
        by_letter, base, differs = self._by_letter(base, by_letter, of.letters)
        carries = pc.or_(carries, by_letter)
        names = ["standing", "outcome", "certain", "default_method", "methods", "email", "notification_emails"]
        counted = base.select(names).filter(pc.and_(carries, there))
        self.known += pc.sum(there).as_py() or 0
        self.carried += counted.num_rows
        self.standings.update(how_often(counted["standing"]))
        self.outcomes.update(how_often(counted["outcome"]))
        self.not_certain.update(how_often(counted["standing"].filter(pc.invert(counted["certain"]))))
        self.defaults_not_registered += not_registered(counted["default_method"], counted["methods"])
        self.too_many_addresses += more_addresses_than(counted["email"], counted["notification_emails"], self.max_addresses)
        again = pc.and_(pc.and_(same, there), pc.invert(carries))
        doubled = ids.filter(pc.and_(again, in_fresh))
        if len(doubled):
            fresh = pa.concat_tables([fresh, self._unchanged_rows(doubled, fresh)])
        collected.add(fresh, base.filter(pc.invert(carries)), base.filter(pc.and_(again, pc.invert(in_fresh))), base.filter(differs))

    def _same(self, base: pa.Table, fresh: pa.Table | None, missing: pa.Table | None) -> tuple[pa.ChunkedArray, pa.Table | None]:
        """Where a record may be reused because this read says the same as the last one; and the rows of which that is not true."""
        ids = base["account_id"]
        if self.compared == "rows":
            return pc.and_(base["plain"], pc.invert(_among(ids, None if missing is None else missing["account_id"]))), fresh
        if self.compared == "nothing" or fresh is None or not base.num_rows:
            return _among(ids, None), fresh
        place = pc.index_in(fresh["account_id"], ids.combine_chunks())
        known = pc.is_valid(place).to_numpy()
        rows = np.flatnonzero(known)
        at = pc.drop_null(place).to_numpy()
        plain = pc.and_(fresh["plain"], pc.is_null(fresh["rejection"])).to_numpy()[rows]
        once = np.bincount(at, minlength=len(base))[at] == 1
        reusable = plain & once & pc.and_(base["plain"], pc.is_null(base["gone_at"])).to_numpy()[at]
        reusable &= equal_rows(fresh.take(rows), base.take(at), list(AS_READ))
        same, differ = np.zeros(len(base), dtype=bool), np.ones(len(fresh), dtype=bool)
        same[at[reusable]], differ[rows[reusable]] = True, False
        return pa.chunked_array([pa.array(same)]), fresh.filter(pa.array(differ)) if differ.any() else None

    def _by_letter(
        self, base: pa.Table, which: pa.ChunkedArray, letters: pd.DataFrame | None
    ) -> tuple[pa.ChunkedArray, pa.Table, pa.ChunkedArray]:
        """Gives records of a range, where `which` is true, the outcome that their one letter has by now.

        Gives back: where that was possible (the account has just one letter, and it stands in the way); `base` with these outcomes; and
        where an outcome is another one than before.
        """
        none = _among(base["account_id"], None)
        if letters is None or not pc.any(which).as_py():
            return none, base, none
        rows = np.flatnonzero(which.to_numpy())
        state = by_only_letter(base.select(["account_id", "tenure", "wave"]).take(rows).to_pandas(), letters, self.moment)
        known = (state != "").to_numpy()
        said = np.full(len(base), None, dtype=object)
        said[rows[known]] = state[known]
        reason, outcome = pa.array(said, base["outcome_reason"].type), base["outcome"]
        by_letter = pc.is_valid(reason)
        now = pc.if_else(by_letter, pa.scalar("nothing_due", outcome.type), outcome)
        because = pc.coalesce(reason, base["outcome_reason"])
        differs = pc.and_(by_letter, pc.or_(pc.not_equal(now, outcome), pc.not_equal(because, base["outcome_reason"])))
        for name, column in (("outcome", now), ("outcome_reason", because)):
            base = base.set_column(base.schema.get_field_index(name), base.schema.field(name), column)
        return by_letter, base, differs

    def _stays(self, base: pa.Table) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
        """Two columns of true and false, for records whose row is the same: where the outcome is certainly as it was; and where it is so
        unless the account's letter has moved on, which no letter of an account that is gone does."""
        outcome, reason = base["outcome"], base["outcome_reason"]
        letter_may_move = _among(base["account_id"], None)
        if self.anew:
            return letter_may_move, letter_may_move
        stays = pc.is_in(outcome, pa.array(_BY_STANDING, outcome.type))
        if self.staying:
            while_stage_lasts = pc.is_in(reason, pa.array(_WHILE_STAGE_LASTS, reason.type))
            waves = base["wave"]
            in_stage = pc.is_in(waves, pa.array(sorted(self.staying), waves.type))
            nothing_due = pc.and_(pc.equal(outcome, "nothing_due"), in_stage)
            stays = pc.or_(stays, pc.and_(nothing_due, while_stage_lasts))
            # The reason of `queued` is a stage, or for mandatory mail its kind: only a stage's letter is followed.
            queued = pc.and_(pc.and_(pc.equal(outcome, "queued"), in_stage), pc.is_in(reason, pa.array(self.moment.occasions, reason.type)))
            moving = pc.is_in(reason, pa.array(_LETTER_MAY_MOVE, reason.type))
            letter_may_move = pc.or_(queued, pc.and_(nothing_due, moving))
        as_it_was = pc.is_null(base["exempt_until"])
        used = base["last_used_at"]
        if used.null_count < len(used):
            begin, end = (pa.scalar(each, used.type) for each in self.crossed)
            crossed = pc.and_(pc.greater_equal(used, begin), pc.less(used, end))
            as_it_was = pc.and_(as_it_was, pc.invert(pc.fill_null(crossed, False)))
        there = pc.is_null(base["gone_at"])
        return pc.and_(pc.fill_null(stays, False), as_it_was), pc.and_(pc.fill_null(letter_may_move, False), pc.and_(there, as_it_was))

    def _unchanged_rows(self, ids: pa.ChunkedArray, fresh: pa.Table) -> pa.Table:
        """The unchanged rows of accounts that have a changed row as well: all rows of an id must be seen together, to be rejected."""
        raw = self.rows.find(ids.combine_chunks())
        raw = raw[~raw["position"].isin(fresh["position"].to_pylist())]
        rows = self.translator.again(raw).assign(plain=True)
        return pa.Table.from_pandas(rows, schema=fresh.schema, preserve_index=False)

    def holders(self, wanted: frozenset[str]) -> pd.DataFrame:
        """`account_id`, `folded` of the accounts whose primary address is now one of the `wanted` ones (lower case).

        They are looked up in the snapshot, which has the changed rows, and in the records of the accounts whose row is unchanged.
        """
        if not wanted or self.compared != "rows":
            return self.snapshot.holders(wanted)
        carried = pd.concat([holding(None, wanted), *(self._holding(batch, wanted) for batch in self.records.batches(_HOLDING))])
        if len(carried):
            carried = carried[~carried["account_id"].isin(self.rows.missing.having(pa.array(carried["account_id"], pa.large_string())))]
        return pd.concat([carried, self.snapshot.holders(wanted)]).drop_duplicates()

    @staticmethod
    def _holding(batch: pa.RecordBatch, wanted: frozenset[str]) -> pd.DataFrame:
        return holding(batch, wanted, pc.and_(batch.column("plain"), pc.is_null(batch.column("gone_at"))))


class _Between(NamedTuple):
    """What is known of the ids in [low, high), made in advance by a thread.

    `base`: their records. `fresh`: their rows that have changed. `missing`: the ids whose row is missing now. `stays` and
    `letter_may_move`: `Reuse._stays` of the records. `letters`: all letters of the ids, None if no outcome can follow from one.
    """

    low: str | None
    high: str | None
    base: pa.Table
    fresh: pa.Table | None
    missing: pa.Table | None
    stays: pa.ChunkedArray
    letter_may_move: pa.ChunkedArray
    letters: pd.DataFrame | None


class _Collected:
    """What `_sift` found in several ranges of ids, collected until there are enough accounts to decide together."""

    def __init__(self) -> None:
        self._fresh: list[pa.Table] = []
        self._recorded: list[pa.Table] = []
        self._again: list[pa.Table] = []
        self._carried: list[pa.Table] = []
        self.size = 0
        self.new_outcomes = 0

    def add(self, fresh: pa.Table | None, recorded: pa.Table, again: pa.Table, carried: pa.Table) -> None:
        """Adds a range: its changed rows (`fresh`), the records of all who are decided, the records to decide `again` from, and the records
        that carry over with a new outcome."""
        if fresh is not None:
            self._fresh.append(fresh)
        self._recorded.append(recorded)
        self._again.append(again)
        self._carried.append(carried)
        self.size += (0 if fresh is None else fresh.num_rows) + again.num_rows
        self.new_outcomes += carried.num_rows

    def part(self, low: str | None, high: str | None) -> Part:
        """All that was added, as one part."""
        read = settled(low, high, pa.concat_tables(self._fresh) if self._fresh else None)
        records = pa.concat_tables(self._recorded).drop_columns([DIGEST.name])
        records = records.take(pc.sort_indices(records["account_id"])).to_pandas()
        again = pa.concat_tables(self._again)
        if again.num_rows:
            # A record has no last sign-in. It only assigns waves, and a run that might assign accounts anew uses no cache
            # (`Waves.moves_by_date`, `migrate.run.keeping`).
            rows: Any = again.select([name for name in ACCOUNT_COLUMNS if name in RECORD_COLUMNS]).to_pandas()
            rows = conform(rows.assign(last_sign_in_at=pd.NaT), ACCOUNT_COLUMNS).assign(plain=True)
            both = pd.concat([read.accounts.assign(plain=read.plain), rows]).sort_values("account_id", ignore_index=True)
            read = replace(read, accounts=both[list(ACCOUNT_COLUMNS)], plain=both["plain"])
        held = pd.Index(records["account_id"]).get_indexer(pd.Index(read.accounts["account_id"]))
        was_plain = (held >= 0) & (records["plain"].to_numpy()[held] if len(records) else False)
        return Part(read, conform(records, RECORD_COLUMNS), pa.concat_tables(self._carried), pd.Series(was_plain))


def _among(ids: pa.ChunkedArray, values: pa.ChunkedArray | pa.Array | None) -> pa.ChunkedArray:
    """True where an id is among `values`; None stands for no values."""
    if values is None or not len(values):
        return pa.chunked_array([pa.array(np.zeros(len(ids), dtype=bool))])
    return pc.is_in(ids, (values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values).cast(ids.type))
