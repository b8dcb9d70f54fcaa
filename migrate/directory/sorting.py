"""Sorts rows by a key, in a file, so that rows with the same key come together, and finds rows of one key that contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from migrate.files.spill import Sorted

KEY: Final = "key"
"""The column that holds the key of a row; rows with the same key belong together."""
_ID: Final = "account_id"
_OWN: Final = "own.account_id"


def key_of(frame: pd.DataFrame, by: str) -> pd.Series:
    """The key of each row of a frame of `plain`: the id as it is, or a username or address in lower case; missing where there is none.

    A missing username is the id, as everywhere.
    """
    key: pd.Series[str] = frame[by] if by in frame else pd.Series(np.nan, index=frame.index, dtype="str")
    if by == "username" and _ID in frame:
        key = key.fillna(frame[_ID])
    return key if by == _ID else key.str.casefold()


class Keyed:
    """Frames of `plain`, sorted by a key in a file; gives the rows of any range of keys."""

    def __init__(self, path: Path) -> None:
        self._sorted = Sorted(path)
        self.columns: list[str] = []

    @property
    def rows(self) -> int:
        return self._sorted.rows

    def append(self, frame: pd.DataFrame, key: pd.Series) -> None:
        """Adds rows, each with its key; no key may be missing."""
        self.columns = self.columns or list(frame.columns)
        # `Sorted` sorts by the column account_id: the key takes that name, and the rows' own id another one.
        self._sorted.append(frame.rename(columns={_ID: _OWN}).assign(**{_ID: key.astype("str")}))

    def close(self) -> None:
        self._sorted.close()

    def cuts(self, rows: int) -> list[str]:
        """Keys that divide the rows into ranges of about `rows` rows."""
        return self._sorted.cuts(rows)

    def between(self, low: str | None, high: str | None) -> pd.DataFrame | None:
        """The rows whose key lies in [low, high), in order of key and position, with the column `KEY`; None if there are none."""
        table = self._sorted.between(low, high)
        if table is None:
            return None
        frame: pd.DataFrame = table.to_pandas().rename(columns={_ID: KEY}).rename(columns={_OWN: _ID})
        return frame.sort_values([KEY, "position"], kind="stable").reset_index(drop=True)

    def ranges(self, rows: int) -> Iterator[pd.DataFrame]:
        """All rows, a range of keys at a time."""
        for low, high in ranges(self.cuts(rows)):
            if (frame := self.between(low, high)) is not None:
                yield frame


def ranges(cuts: Iterable[str]) -> Iterator[tuple[str | None, str | None]]:
    """The ranges [low, high) between some cuts; None is no bound."""
    bounds = [None, *sorted(set(cuts)), None]
    yield from pairwise(bounds)


def contradictions(rows: pd.DataFrame, agreeing: list[str], have: str) -> pd.Series:
    """For each row the reason why the rows of its key cannot be put together, missing if they can.

    They cannot if one of them is rejected, or if they differ in one of the columns `agreeing`; a missing value differs from none. `rows` is
    in order of `KEY` and position; `have` says in words what the rows have in common.
    """
    reasons = rows["rejection"].copy()
    several = rows[rows[KEY].duplicated(keep=False)]
    if not len(several):
        return reasons
    differ = several.groupby(KEY, sort=False)[agreeing].nunique() > 1
    refused = several["rejection"].notna().groupby(several[KEY]).any()
    for key, each in several[several[KEY].isin(set(differ.index[differ.any(axis=1)]) | set(refused.index[refused]))].groupby(
        KEY, sort=False
    ):
        positions = each["position"].tolist()
        if refused[key]:
            first = each["position"][each["rejection"].notna()].iloc[0]
            reason = f"row {first} of the same account cannot be read"
        else:
            names = [name for name, apart in zip(agreeing, differ.loc[[key]].to_numpy()[0], strict=True) if apart]
            shown = ", ".join(map(str, positions[:10])) + ", …" * (len(positions) > 10)
            reason = f"rows {shown} {have} and differ in {', '.join(names)}"
        reasons[each.index] = each["rejection"].fillna(reason)
    return reasons
