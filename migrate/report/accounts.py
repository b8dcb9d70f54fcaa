"""The accounts as rows of a report: what the ledger recorded of them, and the letters they got, in Arrow from end to end.

Pure: some records, their letters, the terms and an instant in; a table out. Columns whose values repeat are dictionaries
(`migrate.report.repeats`) of the declared type. Text is as it was read: `cells.safely` makes it fit for a report.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate.core.accounts import GROUP_SEPARATOR, RECORD_COLUMNS, words_of
from migrate.core.schedule import upcoming
from migrate.core.standing import OUT_OF_SCOPE
from migrate.report import cells, repeats
from migrate.report.tables import ACCOUNTS, ACTION_LIST, NO_DEPARTMENT, TO_FILL_IN
from migrate.report.terms import Terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECORDED: Final = tuple(name for name in RECORD_COLUMNS if name in ACCOUNTS.columns or name in ("tenure", "reminded", "gone_at", "locale"))
"""The columns of a record that a report is made of."""

_NO_DESTINATION: Final = ("no",)
"""The destination of accounts that can register no accepted method."""
_SAID: Final = ("notices_sent", "last_notice", "last_notice_at", "last_notice_state")


def accounts_table(records: pa.Table, told: pa.Table, terms: Terms, as_of: datetime) -> pa.Table:
    """Rows of `ACCOUNTS` for some accounts, in the order of `records`.

    `records` has `RECORDED`; `told` is what these accounts, and maybe others, were told (`migrate.report.told.SCHEMA`). Accounts that are
    gone have no row here: that they went is a row of `CHANGES`. Letters to an earlier person with the same id do not count.
    """
    there = pa.table({name: repeats.shortened(records[name]) for name in RECORDED})
    if there["gone_at"].null_count < there.num_rows:
        there = there.filter(pc.is_null(there["gone_at"]))
    found = {name: _typed(repeats.whole(there[name]), name) for name in RECORDED}
    open_case = ~_true(found["compliant"]) & ~repeats.among(found["standing"], OUT_OF_SCOPE)
    reminded = repeats.among(found["standing"], terms.remind) | (_true(found["reminded"]) & open_case)
    if not terms.remind_without_destination:
        reminded &= ~repeats.among(found["destination"], _NO_DESTINATION)
    found |= {
        "methods": _named(found["methods"]),
        "groups": _listed(found["groups"]),
        "days_left": _days_left(found["cutoff"], terms, as_of),
        **_told(found["account_id"], found["tenure"], told),
        **_next_stage(found["wave"], reminded, terms, as_of),
    }
    return pa.table({name: found[name] for name in ACCOUNTS.columns})


def _next_stage(waves: pa.Array, reminded: NDArray[np.bool_], terms: Terms, as_of: datetime) -> dict[str, pa.Array]:
    """`next_stage` and `next_stage_on` of each account, by its wave; missing for accounts that are not reminded."""
    if not terms.waves:
        stage = upcoming(terms.stages, as_of)
        return {
            "next_stage": repeats.where(reminded, pa.scalar(stage and stage.name, pa.large_string())),
            "next_stage_on": repeats.where(reminded, pa.scalar(stage and stage.on, pa.date32())),
        }
    short = repeats.dictionary(waves)
    ahead = [upcoming(terms.stages_of(wave or ""), as_of) for wave in short.dictionary.to_pylist()]
    place = pc.if_else(pa.array(reminded), short.indices, pa.scalar(None, short.indices.type))
    names = pa.array([stage and stage.name for stage in ahead], pa.large_string())
    days = pa.array([stage and stage.on for stage in ahead], pa.date32())
    return {"next_stage": names.take(place), "next_stage_on": days.take(place)}


def action_rows(accounts: pa.Table) -> pa.Table:
    """The rows of `ACCOUNTS` whose people still have something to do, as rows of `ACTION_LIST` with empty columns to fill in.

    Those without a destination come first, then privileged ones, then by cutoff and department; rows that are equal in these keep their
    order.
    """
    compliant, standing = (repeats.whole(accounts[name]) for name in ("compliant", "standing"))
    rows = accounts.filter(pa.array(~_true(compliant) & ~repeats.among(standing, OUT_OF_SCOPE)))
    found, keys = action_keys(rows)
    rank = np.empty(len(keys), "int64")
    rank[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    rows = rows.take(pa.array(np.argsort(rank[found.number], kind="stable")))
    none = np.zeros(rows.num_rows, dtype=bool)
    empty = {name: repeats.where(none, pa.scalar(None, cells.arrow(of))) for name, of in TO_FILL_IN.items()}
    return pa.table({name: empty[name] if name in empty else rows[name] for name in ACTION_LIST.columns})


def action_keys(rows: pa.Table) -> tuple[repeats.Combinations, list[tuple[Any, ...]]]:
    """The sort keys of the action list: the combinations of values in the rows, and a key for each (no destination first, then
    privileged, cutoff, department; a missing department last)."""
    columns = [repeats.whole(rows[name]) for name in ("destination", "privileged", "cutoff", "department")]
    found = repeats.combinations(columns)
    values = zip(*(found.values(column) for column in columns), strict=True)
    return found, [
        (destination not in _NO_DESTINATION, not privileged, cutoff, department is None, department or "")
        for destination, privileged, cutoff, department in values
    ]


def not_certain(accounts: pa.Table) -> pa.Table:
    """The rows of `ACCOUNTS` with a second step that the configuration has no name for."""
    return accounts.filter(pa.array(~_true(repeats.whole(accounts["certain"]))))


def standing_counts(accounts: pa.Table) -> Counter[tuple[str, str]]:
    """How many rows of `ACCOUNTS` have each department (missing as `NO_DEPARTMENT`) and standing. Counts of parts may be added."""
    columns = [repeats.whole(accounts[name]) for name in ("department", "standing")]
    found = repeats.combinations(columns)
    departments, standings = (found.values(column) for column in columns)
    counts: Counter[tuple[str, str]] = Counter()
    for department, standing, count in zip(departments, standings, found.counts, strict=True):
        counts[NO_DEPARTMENT if department is None else department, standing] += count
    return counts


def _told(ids: pa.Array, tenures: pa.Array, told: pa.Table) -> dict[str, pa.Array]:
    """What each account was told; an account without letters has zero notices."""
    types = {name: cells.arrow(ACCOUNTS.columns[name]) for name in _SAID}
    if not told.num_rows:
        nobody = np.zeros(len(ids), dtype=bool)
        return {name: repeats.where(nobody, pa.scalar(None, of)) for name, of in types.items()} | {
            "notices_sent": repeats.where(~nobody, pa.scalar(0, types["notices_sent"]))
        }
    there = {name: repeats.whole(told[name]) for name in ("account_id", "tenure", *_SAID)}
    place = pc.index_in(ids, there["account_id"].cast(ids.type))
    same = pc.equal(there["tenure"].take(place), repeats.plain(tenures).cast(pa.int64()))
    place = pc.if_else(same, place, pa.scalar(None, place.type))
    found = {name: there[name].take(place) for name in _SAID}
    found["notices_sent"] = pc.fill_null(found["notices_sent"], 0)
    return {name: repeats.shortened(column) for name, column in found.items()}


def _typed(column: pa.Array, name: str) -> pa.Array:
    """A column of a record with the type that `ACCOUNTS` declares for it, if it does; `methods` are still bit sets."""
    if name not in ACCOUNTS.columns or name == "methods":
        return column
    kind = cells.arrow(ACCOUNTS.columns[name])
    return repeats.with_values(column, pc.cast(column.dictionary, kind)) if repeats.is_short(column) else pc.cast(column, kind)


def _true(column: pa.Array) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = repeats.plain(column).to_numpy(zero_copy_only=False)
    return found


def _named(methods: pa.Array) -> pa.DictionaryArray:
    """A column of method bit sets as words."""
    short = repeats.dictionary(methods)
    return repeats.with_values(short, pa.array([",".join(words_of(bits)) for bits in short.dictionary.to_pylist()], pa.large_string()))


def _listed(groups: pa.Array) -> pa.Array:
    """A column of groups: the line break between groups becomes a semicolon."""
    values = groups.dictionary if repeats.is_short(groups) else groups
    joined = pc.replace_substring(values, GROUP_SEPARATOR, ";")
    return repeats.with_values(groups, joined) if repeats.is_short(groups) else joined


def _days_left(cutoffs: pa.Array, terms: Terms, as_of: datetime) -> pa.DictionaryArray:
    short, today = repeats.dictionary(cutoffs), terms.day(as_of)
    return repeats.with_values(short, pa.array([(terms.day(cutoff) - today).days for cutoff in short.dictionary.to_pylist()], pa.int64()))
