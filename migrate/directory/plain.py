"""Turns raw frames into text in our own words, so that rows of one source, or of several sources, can be put together.

The words of a source are translated here, with the meanings of that source; afterwards all rows are read with the common meanings. No
information is lost: an unknown word stays as it is spelt, and a value that cannot be read rejects its row with the usual reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from migrate.core.accounts import ADDRESS_SEPARATOR, words_of
from migrate.directory import lists, values
from migrate.directory.interface import METHOD_PREFIX, YES_NO
from migrate.directory.meanings import Meanings, registered
from migrate.directory.method_words import MethodWords, Reading
from migrate.directory.text import as_text, factorized, identifiers, list_text, mapped, taken, trimmed

METHOD_COLUMNS: Final = ("methods", "default_method", "last_used_method")
LISTS: Final = {"notification_emails": values.addresses, "groups": values.names}
"""Columns that hold lists of something other than methods → the function that reads one."""
POSITION: Final = "position"
REJECTION: Final = "rejection"


def in_our_words(raw: pd.DataFrame, meanings: Meanings) -> pd.DataFrame:
    """A raw frame as columns of text and `position`. Methods are a JSON array of words, yes/no is `yes` or `no`, types of accounts are our
    words; blank values are missing. Columns `methods.<word>` are merged into `methods`.
    """
    raw = raw.reset_index(drop=True)
    reasons = raw[REJECTION].astype("str") if REJECTION in raw else pd.Series(np.nan, index=raw.index, dtype="str")
    columns: dict[str, pd.Series] = {}
    words: list[pd.Series] = []
    for name in raw.columns:
        if name in (POSITION, REJECTION):
            continue
        if name.startswith(METHOD_PREFIX):
            word = name.removeprefix(METHOD_PREFIX)
            said, reasons = _read(raw[name], word, registered, reasons)
            words.append(pd.Series(listed([word_text(meanings.methods, word)]), index=raw.index, dtype="str").where(said == "yes"))
        elif name in METHOD_COLUMNS:
            text, reasons = _method_words(list_text(raw[name]), name, meanings.methods, reasons)
            if name == "methods":
                words.append(text)
            else:
                columns[name] = text
        elif name in YES_NO:
            columns[name], reasons = _read(raw[name], name, partial(meanings.says_yes, name), reasons)
        elif name == "account_type":
            columns[name], reasons = _read(as_text(raw[name]), name, meanings.account_type, reasons)
        elif name == "may_enrol":
            columns[name] = mapped(trimmed(list_text(raw[name])), partial(_may_enrol, meanings.methods))
        elif name in LISTS:
            columns[name] = mapped(trimmed(list_text(raw[name])), partial(_items, LISTS[name]))
        elif name == "account_id":
            text = identifiers(raw[name])
            columns[name] = text.mask(trimmed(text).isna())
        else:
            columns[name] = trimmed(as_text(raw[name]))
    if words:
        columns["methods"] = words[0] if len(words) == 1 else _put_together(words)
    return pd.DataFrame(columns | {POSITION: raw[POSITION].astype("int64"), REJECTION: reasons}, index=raw.index)


def listed(words: Iterable[str]) -> str:
    """Words as the text of a list (JSON), sorted, each once. `lists.items` gives the same words back."""
    return json.dumps(sorted(set(words)), ensure_ascii=False)


def word_text(known: MethodWords, word: str) -> str:
    """Our word for one of theirs, or the same word if it is unknown."""
    return known.method(word) or word


def merged(texts: Iterable[str]) -> str:
    """Merges several texts of `listed` into one."""
    return listed(word for text in texts for word in json.loads(text))


def joined_reasons(reasons: pd.Series, more: pd.Series) -> pd.Series:
    """The reasons of each row, with further ones appended."""
    both = reasons + "; " + more
    return reasons.fillna(more).mask(both.notna(), both).astype("str")


def _put_together(words: list[pd.Series]) -> pd.Series:
    rows = zip(*words, strict=True)
    return pd.Series([merged(text for text in row if isinstance(text, str)) for row in rows], index=words[0].index, dtype="str")


def _read(series: pd.Series, name: str, each: Callable[[Any], bool | str | None], reasons: pd.Series) -> tuple[pd.Series, pd.Series]:
    """The results of `each`, called once for each distinct value; and `reasons`, with one for each value for which it raises ValueError."""
    codes, distinct = factorized(series)
    results: list[str | None] = []
    refused: list[str | None] = []
    for value in distinct:
        try:
            said = each(value)
            results.append({True: "yes", False: "no"}[said] if isinstance(said, bool) else said)
            refused.append(None)
        except ValueError as error:
            results.append(None)
            refused.append(f"{name}: '{values.harmless(values.plain(value))}' {error}")
    return _spread(results, codes, series), _with(refused, codes, series, reasons)


def _method_words(text: pd.Series, name: str, known: MethodWords, reasons: pd.Series) -> tuple[pd.Series, pd.Series]:
    codes, distinct = factorized(text)
    readings = [known.read(each) for each in distinct]
    if name != "methods":  # a default or last used method that cannot be read is an unknown word, as it is spelt
        return mapped(text, lambda each: listed(words) if (words := _words(known.read(each), each)) else None), reasons
    refused = [
        f"{name}: '{values.harmless(each)}' {reading.unreadable}" if reading.unreadable else None
        for each, reading in zip(distinct, readings, strict=True)
    ]
    # The reason is given here; the text itself would be refused once more when it is read.
    results = [None if reading.unreadable else listed(_words(reading, each)) for reading, each in zip(readings, distinct, strict=True)]
    return _spread(results, codes, text), _with(refused, codes, text, reasons)


def _may_enrol(known: MethodWords, text: str) -> str | None:
    """`may_enrol` as a list of words. A list that cannot be read stays as it is, so that it is counted later. An empty list is not missing:
    it means that nothing may be registered."""
    reading = known.read(text)
    if reading.unreadable:
        return text
    return None if lists.missing(text) else listed(_words(reading, text))


def _items(each: Callable[[str], str], text: str) -> str | None:
    """The items of a list, sorted, so that rows with the same items are equal. A list that the export lost stays as it is, to be counted
    later."""
    try:
        items = each(text)
    except values.LostListError:
        return text
    return listed(items.split(ADDRESS_SEPARATOR)) if items else None


def _words(reading: Reading, text: str) -> tuple[str, ...]:
    if reading.unreadable:
        return (text,)
    ours = words_of(reading.methods)
    return (*(word for word in ours if word != "other" or not reading.unknown), *reading.unknown)


def _spread(results: list[str | None] | list[str], codes: np.ndarray, like: pd.Series) -> pd.Series:
    return pd.Series(taken(results, codes, None), index=like.index, dtype="str")


def _with(refused: list[str | None], codes: np.ndarray, like: pd.Series, reasons: pd.Series) -> pd.Series:
    return joined_reasons(reasons, _spread(refused, codes, like)) if any(refused) else reasons
