"""Whole columns of text: made from whatever a source holds, trimmed, cleaned, cut, masked. Missing text is NaN throughout.

Columns go through Arrow's kernels, so that a million names cost as much as one regular expression, and only the few values that
need a closer look are touched one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate import outside
from migrate.directory import values
from migrate.directory.lists import LIST_SEPARATOR

CONTROL: Final = outside.re2(outside.IN_NO_NAME)
"""`values.CONTROL` as RE2, which Arrow uses, writes it."""


def column(raw: Sequence[Any]) -> pd.Series:
    """A column of a raw frame from the values a driver returned: text where all is text, objects as they are otherwise."""
    try:
        # Without a type: as text Arrow would take bytes, too, and a bit is no text.
        found = pa.array(raw)
        if pa.types.is_string(found.type) or pa.types.is_null(found.type):
            return pd.Series(pd.array(found.cast(pa.string()), dtype="str"))
    except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError):
        pass
    held = np.empty(len(raw), dtype=object)
    held[:] = raw
    return pd.Series(held, dtype=object)


def factorized(series: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """The code of each value (-1 for a missing one) and the distinct values; values that have no hash count as their text."""
    try:
        codes, distinct = pd.factorize(series)
    except TypeError:
        codes, distinct = pd.factorize(series.map(values.plain, na_action="ignore"))
    return codes, list(distinct)


def taken(found: Sequence[Any], codes: np.ndarray, missing: Any) -> np.ndarray:
    """The results for the distinct values spread over the rows again."""
    held = np.empty(len(found) + 1, dtype=object)
    held[:-1] = found
    held[-1] = missing
    return cast("np.ndarray", held[codes])


def mapped(series: pd.Series, each: Callable[[Any], str | None]) -> pd.Series:
    """A text column made by a function of each distinct value; None and missing values become NaN."""
    codes, distinct = factorized(series)
    return pd.Series(taken([each(value) for value in distinct], codes, None), index=series.index).astype("str")


def as_text(series: pd.Series) -> pd.Series:
    """Any column as text, value by value as `values.plain` has it."""
    if series.dtype == "str":
        return series
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "iu":
        return series.astype("str")
    if series.dtype == object:
        kind = pd.api.types.infer_dtype(series, skipna=True)
        try:
            if kind in ("string", "empty"):
                return series.astype("str")
            if kind == "integer":
                return pd.Series(pd.array(series.tolist(), dtype="Int64"), index=series.index).astype("str")
        except (UnicodeEncodeError, OverflowError, TypeError):  # pandas says TypeError of an integer from 2^63 on
            pass
    return mapped(series, values.plain)


def identifiers(series: pd.Series) -> pd.Series:
    """A column of ids as text: trailing blanks, with which a CHAR column pads, are cut, and octets are hexadecimal whatever they spell."""
    if series.dtype == object:
        octets = series.map(lambda value: isinstance(value, (bytes, bytearray, memoryview))).to_numpy(bool)
        if octets.any():
            series = series.mask(octets, series[octets].map(lambda value: bytes(value).hex()))
    text = as_text(series)
    arrow = pa.array(text)
    if not pc.any(pc.ends_with(arrow, " ")).as_py():
        return text
    return _back(pc.utf8_rtrim(arrow, " "), text)


def _back(arrow: pa.Array, like: pd.Series) -> pd.Series:
    return pd.Series(pd.array(arrow, dtype="str"), index=like.index)


def trimmed(text: pd.Series) -> pd.Series:
    """Without white space around; text that was nothing else is missing."""
    arrow = pc.utf8_trim_whitespace(pa.array(text))
    return _back(pc.if_else(pc.equal(arrow, ""), pa.scalar(None, arrow.type), arrow), text)


def holds_control(text: pd.Series) -> np.ndarray:
    """True where a text holds a control character."""
    found = pc.match_substring_regex(pa.array(text), CONTROL)
    return np.asarray(pc.fill_null(found, False).to_numpy(zero_copy_only=False))


def cleaned(text: pd.Series, instead: str = "") -> pd.Series:
    """With `instead` for every control character."""
    arrow = pa.array(text)
    if not pc.any(pc.match_substring_regex(arrow, CONTROL)).as_py():
        return text
    return _back(pc.replace_substring_regex(arrow, CONTROL, instead), text)


def longer(text: pd.Series, length: int) -> np.ndarray:
    """True where a text has more characters than `length`."""
    found = pc.greater(pc.utf8_length(pa.array(text)), length)
    return np.asarray(pc.fill_null(found, False).to_numpy(zero_copy_only=False))


def cut(text: pd.Series, length: int) -> tuple[pd.Series, np.ndarray]:
    """At most `length` characters of each, the last of them `…` where there were more; and where that is."""
    rows = longer(text, length)
    if not rows.any():
        return text, rows
    return text.mask(rows, text[rows].map(lambda each: outside.cut(each, length)).astype("str")), rows


def masked(numbers: pd.Series) -> pd.Series:
    """Telephone numbers with all but their last two digits hidden; of fewer than four nothing is shown. A hidden one stays as it is."""
    arrow = pa.array(numbers)
    digits = pc.replace_substring_regex(arrow, r"[^0-9]+", "")
    few = pc.and_(pc.less(pc.utf8_length(digits), 4), pc.invert(pc.match_substring_regex(arrow, "^••••[0-9]{2}$")))
    last = pc.if_else(few, "", pc.utf8_slice_codeunits(digits, -2))
    return _back(pc.binary_join_element_wise(pa.scalar("••••", last.type), last, pa.scalar("", last.type)), numbers)


def lists(text: pd.Series, each: Callable[[str], str]) -> tuple[pd.Series, np.ndarray]:
    """Lists as one item a line, by `values.addresses` or `values.names`, '' for none; and where the export lost the list.

    One item alone, the usual case, is that text already.
    """
    several = pc.match_substring_regex(pa.array(text), r"[,;|\s\[\](){}\"'\x1f\p{Z}]|^.{0,4}$|(?i)system|microsoft|array|" + CONTROL)
    listed = pc.fill_null(several, False).to_numpy(zero_copy_only=False)
    found, lost = text.fillna(""), np.zeros(len(text), dtype=bool)
    if not listed.any():
        return found, lost
    codes, distinct = factorized(text.where(listed))
    read = [_read(each, value) for value in distinct]
    lost |= taken([value is None for value in read], codes, False).astype(bool)
    made = pd.Series(taken(read, codes, None), index=text.index).astype("str").fillna("")
    return found.mask(listed, made), lost


def _read(each: Callable[[str], str], text: str) -> str | None:
    try:
        return each(text)
    except values.LostListError:
        return None


def list_text(series: pd.Series) -> pd.Series:
    """A column of lists as text that `lists.items` takes apart again; a source's own lists have no hash."""
    if series.dtype != object:
        return as_text(series)
    try:
        listed = pa.array(series, pa.list_(pa.string()), from_pandas=True)
    except (pa.ArrowException, UnicodeEncodeError, TypeError, ValueError):
        return as_text(series)
    if pc.any(pc.is_null(pc.list_flatten(listed))).as_py():
        return mapped(series, values.plain)
    # A trailing separator marks a list of one item as a list, whose item is not split at its spaces; an empty list is no missing one.
    marked = pc.binary_join_element_wise(pc.binary_join(listed, LIST_SEPARATOR), "", LIST_SEPARATOR)
    text = pc.if_else(pc.equal(pc.list_value_length(listed), 0), "[]", marked)
    return _back(text, series)
