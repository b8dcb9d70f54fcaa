"""Columns that a profile makes from several of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrate.directory.text import as_text, mapped, trimmed
from migrate.directory.values import yes_or_no

if TYPE_CHECKING:
    import pandas as pd


def said(series: pd.Series) -> pd.Series:
    """A yes/no column as `yes`, `no` or missing. A value that is neither stays as it is, and is rejected when it is read."""

    def each(value: object) -> str | None:
        try:
            yes = yes_or_no(value)
        except ValueError:
            return str(value)
        return None if yes is None else "yes" if yes else "no"

    return mapped(series, each)


def either(frame: pd.DataFrame, *names: str) -> pd.Series | None:
    """Combines yes/no columns, row by row: a value that cannot be read if any column has one, else `yes` if any says yes, else `no`;
    missing where all are missing. None if none of the columns is there."""
    combined: pd.Series | None = None
    for name in names:
        if name not in frame:
            continue
        here = said(frame[name])
        if combined is None:
            combined = here
        else:
            odd = here.notna() & ~here.isin(["yes", "no"])
            combined = combined.mask((here == "yes") & combined.isin(["no"]) | combined.isna() | odd, here)
    return combined


def joined_names(frame: pd.DataFrame, given: str, family: str) -> pd.DataFrame:
    """Adds `display_name`, made from the given and the family name, if there is no such column."""
    if "display_name" in frame or given not in frame or family not in frame:
        return frame
    parts = (trimmed(as_text(frame[name])).fillna("") for name in (given, family))
    first, last = parts
    return frame.assign(display_name=trimmed(first + " " + last))
