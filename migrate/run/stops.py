"""What a run that a guard stopped would have changed: counts by column, and some accounts before and after, for a person to judge the stop
(design §12)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from migrate.core.accounts import ACCOUNT_COLUMNS, RECORD_COLUMNS, conform, words_of
from migrate.core.remember import unlike
from migrate.core.words import CHANGES
from migrate.decide.draft import Draft
from migrate.ledger.prior import Prior

EXAMPLES: Final = 10
READ: Final = tuple(name for name in RECORD_COLUMNS if name in ACCOUNT_COLUMNS and name != "account_id")
"""The columns of the directory that are recorded, so that they can be shown before and after."""


@dataclass(frozen=True, slots=True)
class Example:
    """An account that changed: its methods and every other column that differs, as recorded (`before`) and as read (`after`). `after` is
    empty if the account is gone."""

    account_id: str
    change: str
    before: dict[str, str | None]
    after: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Difference:
    """Column of the directory → how many known accounts differ in it; and up to `EXAMPLES` of these accounts."""

    columns: Counter[str]
    examples: tuple[Example, ...]

    def facts(self) -> dict[str, Any]:
        """`changed_columns` and `examples` of the JSON of a stopped run."""
        return {"changed_columns": dict(self.columns.most_common()), "examples": [asdict(each) for each in self.examples]}


def difference(made: Draft, prior: Prior) -> Difference:
    """How a draft differs from what is recorded."""
    columns: Counter[str] = Counter()
    chosen = dict(_chosen(made))
    now: dict[str, dict[str, Any]] = {}
    for table in made.records.tables():
        records = conform(table.to_pandas(), {**RECORD_COLUMNS, "differs": "bool"})
        there = records[records["differs"] & records["gone_at"].isna()].set_index("account_id")
        before = prior.accounts_with(there.index.tolist())
        before = before[before["gone_at"].isna()].set_index("account_id")
        there = there.loc[before.index]
        for name in READ:
            columns[name] += int(unlike(there[name], before[name]).sum())
        now |= _by_id(there[there.index.isin(chosen)])
    recorded = _by_id(prior.accounts_with(list(chosen)).set_index("account_id"))
    examples = [_example(each, word, recorded[each], now.get(each)) for each, word in chosen.items() if each in recorded]
    return Difference(+columns, tuple(examples))


def _chosen(made: Draft) -> Iterable[tuple[str, str]]:
    """Up to `EXAMPLES` changes as (account id, change), of as many kinds as possible, in the order of `CHANGES`."""
    first: dict[str, list[str]] = {word: [] for word in CHANGES}
    for frame in made.changes.frames():
        for word, ids in frame.groupby("change")["account_id"]:
            first[str(word)] += ids.head(EXAMPLES - len(first[str(word)])).tolist()
    kept: Counter[str] = Counter()
    left = EXAMPLES
    for turn in range(EXAMPLES):
        for word in CHANGES:
            if left and len(first[word]) > turn:
                kept[word] += 1
                left -= 1
    return [(account_id, word) for word in CHANGES for account_id in first[word][: kept[word]]]


def _by_id(records: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return dict(zip(records.index, ({str(name): value for name, value in row.items()} for row in records.to_dict("records")), strict=True))


def _example(account_id: str, change: str, before: dict[str, Any], after: dict[str, Any] | None) -> Example:
    if after is None:
        return Example(account_id, change, {"methods": _text("methods", before["methods"])}, {})
    told = [(name, _text(name, before[name]), _text(name, after[name])) for name in ("methods", *READ)]
    differing = {name: (old, new) for name, old, new in told if old != new or name == "methods"}
    return Example(
        account_id, change, {name: old for name, (old, _) in differing.items()}, {name: new for name, (_, new) in differing.items()}
    )


def _text(name: str, value: Any) -> str | None:
    """A value as people read it; None if there is none."""
    if name == "methods":
        return ", ".join(words_of(int(value))) or "none"
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat().replace("+00:00", "Z")
    return ("yes" if value else "no") if isinstance(value, (bool, np.bool_)) else str(value).replace("\n", ", ") or None
