"""Reads instants: ISO 8601, timestamps of databases, epoch seconds or milliseconds. All become UTC in microseconds."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.directory.text import as_text, trimmed

NEVER_UNTIL: Final = pd.Timestamp("1970-01-01", tz="UTC")
NEVER_FROM: Final = pd.Timestamp("2200-01-01", tz="UTC")
"""Instants up to the first stand for "never" (0, 0001-01-01, 1601-01-01). Instants from the second on (9999-12-31, `infinity`) are beyond
the dates that we can calculate with."""
DTYPE: Final = "datetime64[us, UTC]"
_MILLISECONDS_FROM: Final = 1e11  # as seconds this is the year 5138; as milliseconds, 1973


def _matches(arrow: pa.Array, pattern: str) -> np.ndarray:
    return np.asarray(pc.fill_null(pc.match_substring_regex(arrow, pattern), False).to_numpy(zero_copy_only=False))


def instants(series: pd.Series) -> tuple[pd.Series, np.ndarray]:
    """The instants of a column (NaT where there is none), and which values could not be read.

    An instant without an offset is UTC; a date alone is midnight; a number of 9 to 13 digits is seconds since 1970, or milliseconds from
    10¹¹ on. 0 and anything up to 1970 mean never: they are NaT and count as read. `infinity`, the year 0 and years from 2200 on are NaT and
    count as unreadable.
    """
    unreadable = np.zeros(len(series), dtype=bool)
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        found = series.dt.tz_convert("UTC").astype(DTYPE)
    elif isinstance(series.dtype, np.dtype) and series.dtype.kind == "M":
        found = series.dt.tz_localize("UTC").astype(DTYPE)
    elif (text := trimmed(as_text(series))).isna().all():
        found = pd.Series(pd.NaT, index=series.index, dtype=DTYPE)
    else:
        found, unreadable = _from_text(text)
    beyond = (found >= NEVER_FROM).to_numpy()
    return found.where((found > NEVER_UNTIL) & ~beyond), unreadable | beyond


def _from_text(text: pd.Series) -> tuple[pd.Series, np.ndarray]:
    arrow = pa.array(text)
    dated, counted = _matches(arrow, r"^\d{4}[-/]?\d{2}[-/]?\d{2}($|[T ])"), _matches(arrow, r"^\d{9,13}(\.\d+)?$")
    never = _matches(arrow, r"^0(\.0+)?$")
    # With finer fractions than microseconds pandas would choose nanoseconds, which cannot hold the year 9999.
    iso = pc.replace_substring_regex(arrow, r"^([^.]*\.\d{6})\d+", r"\1")
    iso = pc.replace_substring_regex(iso, r" ?(UTC|GMT|z)$", "Z")
    parsed = pd.Series(pd.NaT, index=text.index, dtype=DTYPE)
    if dated.any():
        dates = pd.Series(pd.array(iso, dtype="str"), index=text.index)[dated]
        parsed[dated] = pd.to_datetime(dates, format="ISO8601", utc=True, errors="coerce").astype(DTYPE)
    if counted.any():
        count = text[counted].astype("float64").to_numpy()
        microseconds = np.rint(count * np.where(count < _MILLISECONDS_FROM, 1e6, 1e3)).astype("int64")
        parsed[counted] = pd.to_datetime(microseconds, unit="us", utc=True)
    return parsed, parsed.isna().to_numpy() & text.notna().to_numpy() & ~never
