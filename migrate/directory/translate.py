"""Translates raw rows of a source to `ROW_COLUMNS`; no other module does (design §4).

It works a column at a time, and calls Python functions for distinct values only. A row that cannot be an account gets a `rejection`. A
value that is merely odd is corrected as docs/connect.md documents, and counted in the `Tally`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from migrate import outside
from migrate.core.accounts import ADDRESS_SEPARATOR, METHODS, conform, methods_of, words_of
from migrate.directory import values
from migrate.directory.instants import instants
from migrate.directory.interface import METHOD_PREFIX, Directory, Tally
from migrate.directory.lists import missing
from migrate.directory.meanings import registered
from migrate.directory.method_words import Reading
from migrate.directory.text import (
    as_text,
    cleaned,
    cut,
    factorized,
    holds_control,
    identifiers,
    list_text,
    lists,
    longer,
    mapped,
    masked,
    taken,
    trimmed,
)

ID_LENGTH: Final = 255
USERNAME_LENGTH: Final = 255
NAME_LENGTH: Final = 200
ADDRESS_LENGTH: Final = 320
"""Longer than any address that can be mailed, so that an address that was cut cannot be mailed either."""
ITEMS: Final = 500
"""How many groups or addresses of an account are kept; with the lengths above, this bounds the size of an account."""
SPELLINGS: Final = 1_000
"""How many unknown words are counted separately; a methods column that really holds something else would otherwise fill the memory."""
WORD_LENGTH: Final = 1_000
"""How many characters of an unknown word are kept: enough to copy any real word into the configuration."""
OTHER_SPELLINGS: Final = "(other spellings)"


class _Rejections:
    """The reasons found so far why rows are no accounts, one text for each row."""

    def __init__(self, rows: int) -> None:
        self.reasons = np.full(rows, None, dtype=object)

    def add(self, reasons: np.ndarray) -> None:
        """Appends a reason, or None, for each row to the reasons it has."""
        new = pd.notna(reasons)
        both = new & pd.notna(self.reasons)
        self.reasons[new & ~both] = reasons[new & ~both]
        self.reasons[both] = self.reasons[both] + "; " + reasons[both]

    def no_account(self) -> np.ndarray:
        """True for the rows whose reason already says that they are no account, such as a line of totals: that the id is missing as well is
        not a reason of its own."""
        return np.array([isinstance(each, str) and each.endswith(", no account") for each in self.reasons], dtype=bool)

    def add_where(self, rows: np.ndarray, reason: str) -> None:
        if rows.any():
            self.add(taken([reason], np.where(rows, 0, -1), None))


class Translator:
    """Translates the frames of one read, and counts in its tally what was odd."""

    def __init__(self, directory: Directory, *, language: str, tally: Tally) -> None:
        self._meanings = directory.meanings()
        self._words = self._meanings.methods
        self._language = language
        self._tally = tally
        self.odd = np.zeros(0, dtype=bool)
        """True for the rows of the last translated frame that were rejected, or of which something was counted."""

    def translate(self, raw: pd.DataFrame) -> pd.DataFrame:
        """A raw frame (`Directory.frames`) as a frame of `ROW_COLUMNS`."""
        raw = raw.reset_index(drop=True)
        rejections = _Rejections(len(raw))
        self.odd = np.zeros(len(raw), dtype=bool)
        if "rejection" in raw:
            rejections.add(raw["rejection"].astype(object).to_numpy())
        account_id = self._account_id(raw, rejections)
        display_name = self._name(raw, "display_name")
        methods, unknown = self._methods(raw, rejections)
        default_method = self._one_method(raw, "default_method", unknown)
        last_used_method = self._one_method(raw, "last_used_method", unknown)
        columns = {
            "account_id": account_id,
            "username": self._cut("username", self._label(raw, "username"), USERNAME_LENGTH).fillna(account_id),
            "email": self._address(raw, "email"),
            "notification_emails": self._list(raw, "notification_emails", values.addresses, ADDRESS_LENGTH),
            "display_name": display_name,
            "given_name": self._name(raw, "given_name").fillna(display_name),
            "locale": mapped(self._text(raw, "locale"), values.language_tag).fillna(self._language),
            "department": self._name(raw, "department"),
            "manager_email": self._address(raw, "manager_email"),
            "enabled": self._boolean(raw, "enabled", True, rejections),
            "federated": self._boolean(raw, "federated", False, rejections),
            "account_type": self._account_type(raw, rejections),
            "privileged": self._boolean(raw, "privileged", False, rejections),
            "methods": methods,
            "default_method": default_method,
            "last_used_method": last_used_method,
            "last_used_at": self._instant(raw, "last_used_at"),
            "may_enrol": self._may_enrol(raw, unknown),
            "in_policy": self._perhaps(raw, "in_policy", rejections),
            "groups": self._list(raw, "groups", values.names, NAME_LENGTH),
            "methods_changed_at": self._instant(raw, "methods_changed_at"),
            "last_sign_in_at": self._instant(raw, "last_sign_in_at"),
            "phone": masked(self._text(raw, "phone")),
            "position": raw["position"],
            "rejection": pd.Series(rejections.reasons, dtype="str"),
        }
        frame = conform(pd.DataFrame(columns))
        self._tally.rows += len(frame)
        self._tally.rejected += int(frame["rejection"].notna().sum())
        self._count(unknown)
        self.odd |= frame["rejection"].notna().to_numpy()
        return frame

    def again(self, raw: pd.DataFrame) -> pd.DataFrame:
        """Like `translate`, for rows that were counted before: the tally stays as it is."""
        counted, self._tally = self._tally, Tally()
        try:
            return self.translate(raw)
        finally:
            self._tally = counted

    @staticmethod
    def _raw(raw: pd.DataFrame, name: str) -> pd.Series:
        return raw[name] if name in raw else pd.Series(np.nan, index=raw.index, dtype="str")

    def _text(self, raw: pd.DataFrame, name: str) -> pd.Series:
        return trimmed(as_text(self._raw(raw, name)))

    def _label(self, raw: pd.DataFrame, name: str) -> pd.Series:
        return trimmed(cleaned(as_text(self._raw(raw, name))))

    def _name(self, raw: pd.DataFrame, name: str) -> pd.Series:
        return self._cut(name, self._label(raw, name), NAME_LENGTH)

    def _address(self, raw: pd.DataFrame, name: str) -> pd.Series:
        # A line break inside an address is replaced, not removed: without it the address might be somebody else's.
        return self._cut(name, cleaned(self._text(raw, name), "\ufffd"), ADDRESS_LENGTH)

    def _cut(self, name: str, text: pd.Series, length: int) -> pd.Series:
        """The text cut to `length` characters, so that one account's long value cannot stop the whole read."""
        shortened, rows = cut(text, length)
        self._shortened(name, rows)
        return shortened

    def _shortened(self, name: str, rows: np.ndarray) -> None:
        if rows.any():
            self._tally.cut[name] += int(rows.sum())
            self.odd |= rows

    def _list(self, raw: pd.DataFrame, name: str, each: Callable[[str], str], length: int) -> pd.Series:
        items, lost = lists(trimmed(list_text(self._raw(raw, name))), each)
        self._lost(name, lost)
        # A text shorter than the limits has neither an item that is too long nor too many items.
        if (doubtful := longer(items, min(length, ITEMS))).any():
            kept = items[doubtful].map(lambda text: _bounded(text, length)).astype("str")
            self._shortened(name, doubtful & (items.mask(doubtful, kept) != items).to_numpy(bool))
            items = items.mask(doubtful, kept)
        return items

    def _lost(self, name: str, rows: np.ndarray) -> None:
        if rows.any():
            self._tally.lost_lists[name] += int(rows.sum())
            self.odd |= rows

    def _account_id(self, raw: pd.DataFrame, rejections: _Rejections) -> pd.Series:
        text = identifiers(raw["account_id"])
        missing = trimmed(text).isna().to_numpy()
        control = holds_control(text) & ~missing
        long = longer(text, ID_LENGTH) & ~missing
        if missing.any():
            rejections.add_where(missing & ~rejections.no_account(), "no account_id")
        rejections.add_where(control, "account_id holds a control character")
        rejections.add_where(long, f"account_id is longer than {ID_LENGTH} characters")
        return text.mask(missing | control | long)

    def _boolean(self, raw: pd.DataFrame, name: str, default: bool, rejections: _Rejections) -> pd.Series:
        read = self._read(self._raw(raw, name), name, partial(self._meanings.says_yes, name), rejections)
        return pd.Series(np.where(pd.isna(read), default, read).astype(bool), index=raw.index)

    def _perhaps(self, raw: pd.DataFrame, name: str, rejections: _Rejections) -> pd.Series:
        """A yes/no column in which a missing value stays missing."""
        read = self._read(self._raw(raw, name), name, partial(self._meanings.says_yes, name), rejections)
        return pd.Series(pd.array(read, dtype="boolean"), index=raw.index)

    def _account_type(self, raw: pd.DataFrame, rejections: _Rejections) -> pd.Series:
        read = self._read(as_text(self._raw(raw, "account_type")), "account_type", self._meanings.account_type, rejections)
        return pd.Series(read, index=raw.index).fillna("person")

    @staticmethod
    def _read(series: pd.Series, name: str, each: Callable[[Any], Any], rejections: _Rejections) -> np.ndarray:
        """The result of `each` for every row, called once for each distinct value. A value for which it raises ValueError is None, and its
        rows are rejected."""
        codes, distinct = factorized(series)
        results: list[Any] = []
        refused: list[str | None] = []
        for value in distinct:
            try:
                results.append(each(value))
                refused.append(None)
            except ValueError as error:
                results.append(None)
                refused.append(f"{name}: '{values.harmless(values.plain(value))}' {error}")
        if any(refused):
            rejections.add(taken(refused, codes, None))
        return taken(results, codes, None)

    def _methods(self, raw: pd.DataFrame, rejections: _Rejections) -> tuple[pd.Series, list[_Unknown]]:
        bits = np.zeros(len(raw), dtype="int32")
        unknown: list[_Unknown] = []
        for name in raw.columns:
            if name == "methods":
                codes, distinct = factorized(list_text(raw[name]))
                readings = [self._words.read(text) for text in distinct]
                read = zip(readings, distinct, strict=True)
                refused = [f"methods: '{values.harmless(text)}' {each.unreadable}" if each.unreadable else None for each, text in read]
                if any(refused):
                    rejections.add(taken(refused, codes, None))
                bits |= taken([r.methods for r in readings], codes, 0).astype("int32")
                unknown.append(_Unknown(codes, readings))
            elif name.startswith(METHOD_PREFIX):
                word = name.removeprefix(METHOD_PREFIX)
                said = self._read(raw[name], word, registered, rejections)
                bit = methods_of((self._words.method(word) or "other",))
                bits |= np.where(pd.isna(said), False, said).astype("int32") * np.int32(bit)
        return pd.Series(bits, index=raw.index), unknown

    def _may_enrol(self, raw: pd.DataFrame, unknown: list[_Unknown]) -> pd.Series:
        """The methods that may be registered, as words; missing where that is not known, or where the list cannot be read."""
        codes, distinct = factorized(trimmed(list_text(self._raw(raw, "may_enrol"))))
        readings = [self._words.read(text) for text in distinct]
        self._lost("may_enrol", taken([reading.unreadable is not None for reading in readings], codes, False).astype(bool))
        unknown.append(_Unknown(codes, readings))
        words = [
            None if reading.unreadable or missing(text) else ",".join(words_of(reading.methods))
            for reading, text in zip(readings, distinct, strict=True)
        ]
        return pd.Series(taken(words, codes, None), index=raw.index).astype("str")

    def _one_method(self, raw: pd.DataFrame, name: str, unknown: list[_Unknown]) -> pd.Series:
        codes, distinct = factorized(list_text(self._raw(raw, name)))
        readings = [self._single(text) for text in distinct]
        self._lost(name, taken([reading.lost for reading in readings], codes, False).astype(bool))
        unknown.append(_Unknown(codes, readings))
        words = {1 << i: word for i, word in enumerate(METHODS)}
        return pd.Series(taken([words.get(reading.methods) for reading in readings], codes, None), index=raw.index).astype("str")

    def _single(self, text: str) -> Reading:
        reading = self._words.read(text)
        if reading.unreadable is not None and not reading.lost:
            return Reading(methods_of(("other",)), (text.strip(),))
        return reading

    def _instant(self, raw: pd.DataFrame, name: str) -> pd.Series:
        read, unreadable = instants(self._raw(raw, name))
        if unreadable.any():
            self._tally.unreadable_instants[name] += int(unreadable.sum())
            self.odd |= unreadable
        return read

    def _count(self, unknown: list[_Unknown]) -> None:
        """Counts each unknown word once for each row, even if the row has it in several columns."""
        pairs = pd.concat([each.rows() for each in unknown], ignore_index=True)
        self.odd[pairs["row"].to_numpy(dtype="int64")] = True
        for word, rows in pairs.drop_duplicates()["word"].value_counts().items():
            spelt = values.harmless(str(word), WORD_LENGTH)
            known = spelt in self._tally.unknown_words or len(self._tally.unknown_words) < SPELLINGS
            self._tally.unknown_words[spelt if known else OTHER_SPELLINGS] += int(rows)


def _bounded(text: str, length: int) -> str:
    """A list (an item a line), cut to `ITEMS` items of at most `length` characters."""
    return ADDRESS_SEPARATOR.join(outside.cut(item, length) for item in text.split(ADDRESS_SEPARATOR)[:ITEMS])


class _Unknown:
    """The unknown words of one column. `codes`: for each row the number of its reading in `readings`."""

    def __init__(self, codes: np.ndarray, readings: list[Reading]) -> None:
        self._codes = codes
        self._words = {code: list(reading.unknown) for code, reading in enumerate(readings) if reading.unknown}

    def rows(self) -> pd.DataFrame:
        """Columns `row` and `word`: a row for each unknown word of a row."""
        hits = np.flatnonzero(np.isin(self._codes, list(self._words)))
        words = pd.Series(self._codes[hits], index=hits).map(self._words).explode()
        return pd.DataFrame({"row": words.index, "word": words.to_numpy(object)})
