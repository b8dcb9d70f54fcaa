"""Makes whole columns of text from the values of a source, and trims, cleans, cuts and masks them. Missing text is NaN throughout.

The work is done by Arrow's functions on whole columns; only the few values that need a closer look are handled one at a time in Python.
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
"""`values.CONTROL` as a regular expression of RE2, which Arrow uses."""


def column(raw: Sequence[Any]) -> pd.Series:
    """A column of a raw frame from the values that a driver returned: of type text if all values are text, else of objects."""
    try:
        # The type is left to Arrow: told to make text, it would accept bytes as well, such as those of a BIT column.
        array = pa.array(raw)
        if pa.types.is_string(array.type) or pa.types.is_null(array.type):
            return pd.Series(pd.array(array.cast(pa.string()), dtype="str"))
    except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError):
        pass
    held = np.empty(len(raw), dtype=object)
    held[:] = raw
    return pd.Series(held, dtype=object)


def factorized(series: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """For each value the index of its distinct value (-1 for missing), and the distinct values; values without a hash are taken as text."""
    try:
        codes, distinct = pd.factorize(series)
    except TypeError:
        codes, distinct = pd.factorize(series.map(values.plain, na_action="ignore"))
    return codes, list(distinct)


def taken(results: Sequence[Any], codes: np.ndarray, missing: Any) -> np.ndarray:
    """For each row the result of its distinct value (`codes`, from `factorized`), or `missing`."""
    held = np.empty(len(results) + 1, dtype=object)
    held[:-1] = results
    held[-1] = missing
    return cast("np.ndarray", held[codes])


def mapped(series: pd.Series, each: Callable[[Any], str | None]) -> pd.Series:
    """A text column: `each` is called for each distinct value; None and missing values become NaN."""
    codes, distinct = factorized(series)
    return pd.Series(taken([each(value) for value in distinct], codes, None), index=series.index).astype("str")


def as_text(series: pd.Series) -> pd.Series:
    """Any column as text; each value as `values.plain` writes it."""
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
        except (UnicodeEncodeError, OverflowError, TypeError):  # pandas raises TypeError for integers from 2^63 on
            pass
    return mapped(series, values.plain)


def identifiers(series: pd.Series) -> pd.Series:
    """A column of ids as text. Trailing blanks, which pad CHAR columns, are cut; bytes are always written in hexadecimal."""
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
    """The text without white space around it; blank text is missing."""
    arrow = pc.utf8_trim_whitespace(pa.array(text))
    return _back(pc.if_else(pc.equal(arrow, ""), pa.scalar(None, arrow.type), arrow), text)


def holds_control(text: pd.Series) -> np.ndarray:
    """True where a text holds a control character."""
    held = pc.match_substring_regex(pa.array(text), CONTROL)
    return np.asarray(pc.fill_null(held, False).to_numpy(zero_copy_only=False))


def cleaned(text: pd.Series, instead: str = "") -> pd.Series:
    """The text with `instead` in place of every control character."""
    arrow = pa.array(text)
    if not pc.any(pc.match_substring_regex(arrow, CONTROL)).as_py():
        return text
    return _back(pc.replace_substring_regex(arrow, CONTROL, instead), text)


def longer(text: pd.Series, length: int) -> np.ndarray:
    """True where a text has more characters than `length`."""
    beyond = pc.greater(pc.utf8_length(pa.array(text)), length)
    return np.asarray(pc.fill_null(beyond, False).to_numpy(zero_copy_only=False))


def cut(text: pd.Series, length: int) -> tuple[pd.Series, np.ndarray]:
    """Texts cut to at most `length` characters, the last of which is then `…`; and which rows were cut."""
    rows = longer(text, length)
    if not rows.any():
        return text, rows
    return text.mask(rows, text[rows].map(lambda each: outside.cut(each, length)).astype("str")), rows


def masked(numbers: pd.Series) -> pd.Series:
    """Telephone numbers with all but the last two digits hidden; of fewer than four digits all are. A masked number stays as it is."""
    arrow = pa.array(numbers)
    digits = pc.replace_substring_regex(arrow, r"[^0-9]+", "")
    few = pc.and_(pc.less(pc.utf8_length(digits), 4), pc.invert(pc.match_substring_regex(arrow, "^••••[0-9]{2}$")))
    last = pc.if_else(few, "", pc.utf8_slice_codeunits(digits, -2))
    return _back(pc.binary_join_element_wise(pa.scalar("••••", last.type), last, pa.scalar("", last.type)), numbers)


LISTED: Final = r"[,;|\s\[\](){}<\"'\x1f\p{Z}，；｜、،؛]|^.{0,4}$|(?i)system|microsoft|array|undefined|" + CONTROL
"""Texts (RE2) that may be more than one item, or none: they hold a mark that `lists.items` looks at, or are as short as a word for null."""


def lists(text: pd.Series, each: Callable[[str], str]) -> tuple[pd.Series, np.ndarray]:
    """Lists with one item a line, '' for an empty list; and which rows hold a list that the export lost. `each` reads one list
    (`values.addresses`, `values.names`). A single item, the usual case, needs no reading."""
    several = pc.match_substring_regex(pa.array(text), LISTED)
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


def _holds_text(kind: pa.DataType) -> bool:
    return any(of(kind) for of in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_null))


def list_text(series: pd.Series) -> pd.Series:
    """A column of lists as text that `lists.items` can read; lists of a type of their own have no hash, and could not be factorized."""
    if series.dtype != object:
        return as_text(series)
    try:
        # The type is left to Arrow: told to make lists of text, it would take a text for a list of letters.
        listed = pa.array(series, from_pandas=True)
        if not pa.types.is_list(listed.type) or not _holds_text(listed.type.value_type):
            return as_text(series)
        listed = listed.cast(pa.list_(pa.string()))
    except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError):
        return as_text(series)
    if pc.any(pc.is_null(pc.list_flatten(listed))).as_py():
        return mapped(series, values.plain)
    # The separator at the end marks a list: its item is not split at spaces if it is the only one, and an empty list is not missing.
    marked = pc.binary_join_element_wise(pc.binary_join(listed, LIST_SEPARATOR), "", LIST_SEPARATOR)
    text = pc.if_else(pc.equal(pc.list_value_length(listed), 0), "[]", marked)
    return _back(text, series)
