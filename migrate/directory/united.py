"""Turns a source with one row for each method into accounts: the rows of one id are united (design §4, `rows = "methods"`).

The rows are sorted in a file, so that those of one id come together wherever they are in the source. Accounts come out in order of id. Only
their positions depend on the order of the rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from migrate.directory.interface import Directory
from migrate.directory.meanings import Meanings
from migrate.directory.method_words import MethodWords
from migrate.directory.wrapped import WrappedDirectory

if TYPE_CHECKING:
    import pandas as pd

RANGE: Final = 16384
"""About how many rows are united at a time."""

LATEST: Final = ("last_used_at", "methods_changed_at")
"""Columns of which an account gets the latest instant of its rows."""

OUR_WORDS: Final = Meanings(MethodWords({}, {}))
"""The meanings of the words that `plain.in_our_words` writes."""


class UnitedDirectory(WrappedDirectory):
    """The accounts of another directory whose rows are methods. `by`: our column that says whose a row is: the id, or an address or
    username, which are compared without case."""

    in_source_order = False

    def __init__(self, source: Directory, by: str = "account_id") -> None:
        super().__init__(source)
        self._by = by

    def meanings(self) -> Meanings:
        return OUR_WORDS

    def frames(self) -> Iterator[pd.DataFrame]:
        from migrate.directory.plain import in_our_words
        from migrate.directory.sorting import Keyed, key_of
        from migrate.files.spill import scratch_folder

        meanings = self.source.meanings()
        with scratch_folder() as folder:
            rows = Keyed(folder / "methods.arrow")
            for raw in self.source.frames():
                frame = in_our_words(raw, meanings)
                key = key_of(frame, self._by)
                if key.isna().any():
                    yield _with_last_used(frame[key.isna()])
                rows.append(frame[key.notna()], key[key.notna()])
            rows.close()
            for frame in rows.ranges(RANGE):
                yield _united(frame, self._by)


def _united(rows: pd.DataFrame, by: str) -> pd.DataFrame:
    """The accounts of rows that are in order of key and position. Rows of one key that contradict each other stay rows, each rejected."""
    import pandas as pd

    from migrate.directory.sorting import KEY, contradictions

    # Several spellings of the key, and several ids if rows are united by another column, are no contradiction.
    same = {name for name in rows.columns if by != "account_id" and (name == "account_id" or _is_key(rows, name))}
    agreeing = [name for name in rows.columns if name not in {KEY, by, "methods", "position", "rejection", *LATEST, *same}]
    refused = contradictions(rows, agreeing, f"have this {by}")
    rows = _with_last_used(rows)
    # pandas gives a frame without rows the rows of a series that is assigned to it, so the reasons are cut to the same rows.
    kept, apart = rows[refused.isna()], rows[refused.notna()].assign(rejection=refused[refused.notna()])
    several = kept[KEY].duplicated(keep=False)
    parts = [kept[~several], _merged(kept[several], "last_used_method" not in agreeing), apart]
    whole = pd.concat([part for part in parts if len(part)]).sort_values([KEY, "position"], kind="stable")
    return _single_last_used(whole.drop(columns=KEY), "last_used_method" not in agreeing)


def _is_key(rows: pd.DataFrame, name: str) -> bool:
    """True for a column that equals the key in all rows, without regard to case."""
    from migrate.directory.sorting import KEY

    return name not in (KEY, "position") and bool((rows[name].str.casefold() == rows[KEY]).all())


def _with_last_used(rows: pd.DataFrame) -> pd.DataFrame:
    """Adds `last_used_method` if the rows have `methods` and `last_used_at`: the method of a row that was ever used."""
    if "last_used_method" in rows or not {"last_used_at", "methods"} <= set(rows):
        return rows
    step = rows["methods"].notna() & (rows["methods"] != "[]") & rows["last_used_at"].notna()
    return rows.assign(last_used_method=rows["methods"].where(step))


def _single_last_used(rows: pd.DataFrame, made: bool) -> pd.DataFrame:
    """Removes `last_used_method` where it names several methods, used at the same moment: none of them is the last."""
    if not made or "last_used_method" not in rows:
        return rows
    one = rows["last_used_method"].map(lambda text: len(json.loads(text)) == 1, na_action="ignore")
    return rows.assign(last_used_method=rows["last_used_method"].where(one.eq(True)))


def _merged(rows: pd.DataFrame, last_used_made: bool) -> pd.DataFrame:
    """One row for each key, of several rows that agree."""
    from migrate.directory.plain import merged as merged_lists
    from migrate.directory.sorting import KEY

    merged = rows.groupby(KEY, sort=False).first()
    if "methods" in rows:
        merged["methods"] = _with_value(rows, "methods").groupby(KEY, sort=False)["methods"].agg(merged_lists)
    for name in LATEST:
        if name in rows:
            merged[name] = _latest(rows, name)
    if last_used_made and "last_used_method" in rows:
        used = _with_value(rows, "last_used_method")
        last = used[_instant(used["last_used_at"]) == _instant(used[KEY].map(_latest(used, "last_used_at")))]
        merged["last_used_method"] = last.groupby(KEY, sort=False)["last_used_method"].agg(merged_lists)
    return merged.reset_index()[list(rows)].astype(rows.dtypes.to_dict())


def _with_value(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows that have a value in a column."""
    return rows[rows[name].notna()]


def _instant(text: pd.Series) -> pd.Series:
    from migrate.directory.instants import instants

    return instants(text)[0]


def _latest(rows: pd.DataFrame, name: str) -> pd.Series:
    """The text of the latest instant of each key. If none can be read, an unreadable text is kept, so that it is counted later."""
    from migrate.directory.sorting import KEY

    here = _with_value(rows, name)
    ordered = here.assign(when=_instant(here[name])).sort_values([KEY, "when", name], na_position="first", kind="stable")
    return ordered.drop_duplicates(KEY, keep="last").set_index(KEY)[name]
