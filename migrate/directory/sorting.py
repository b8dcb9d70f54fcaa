"""Rows by a key of theirs, outside of memory: put together in order of the key, and compared with each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from migrate.files.spill import Sorted

KEY: Final = "key"
"""The column by which rows belong together."""
_ID: Final = "account_id"
_OWN: Final = "own.account_id"


def key_of(frame: pd.DataFrame, by: str) -> pd.Series:
    """The key of each row of a frame of `plain`: an id as it is, a username or an address without its case; missing where there is none.

    A username that is missing is the id, as everywhere.
    """
    key: pd.Series[str] = frame[by] if by in frame else pd.Series(np.nan, index=frame.index, dtype="str")
    if by == "username" and _ID in frame:
        key = key.fillna(frame[_ID])
    return key if by == _ID else key.str.casefold()


class Keyed:
    """Frames of `plain`, kept by a key so that the rows of a range of keys can be had together."""

    def __init__(self, path: Path) -> None:
        self._sorted = Sorted(path)
        self.columns: list[str] = []

    @property
    def rows(self) -> int:
        return self._sorted.rows

    def append(self, frame: pd.DataFrame, key: pd.Series) -> None:
        """Adds rows, each with its key; no key may be missing."""
        self.columns = self.columns or list(frame.columns)
        # What sorts is called account_id there; the rows' own id goes by another name meanwhile.
        self._sorted.append(frame.rename(columns={_ID: _OWN}).assign(**{_ID: key.astype("str")}))

    def close(self) -> None:
        self._sorted.close()

    def cuts(self, rows: int) -> list[str]:
        """Keys that part the rows into ranges of about so many."""
        return self._sorted.cuts(rows)

    def between(self, low: str | None, high: str | None) -> pd.DataFrame | None:
        """The rows whose key lies in [low, high), in order of key and position, with the column `KEY`; None if there are none."""
        found = self._sorted.between(low, high)
        if found is None:
            return None
        frame: pd.DataFrame = found.to_pandas().rename(columns={_ID: KEY}).rename(columns={_OWN: _ID})
        return frame.sort_values([KEY, "position"], kind="stable").reset_index(drop=True)

    def ranges(self, rows: int) -> Iterator[pd.DataFrame]:
        """All rows, a range of keys at a time."""
        for low, high in ranges(self.cuts(rows)):
            if (frame := self.between(low, high)) is not None:
                yield frame


def ranges(cuts: Iterable[str]) -> Iterator[tuple[str | None, str | None]]:
    """The ranges between some cuts, from the first key to the last."""
    bounds = [None, *sorted(set(cuts)), None]
    yield from pairwise(bounds)


def contradictions(rows: pd.DataFrame, agreeing: list[str], have: str) -> pd.Series:
    """Why rows of one key cannot be put together, or missing: one of them is rejected, or they differ in a column; missing agrees with all.

    `rows` is in order of `KEY` and position; `have` is what they have in common, in words.
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
