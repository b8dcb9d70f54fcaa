"""Finds what spreadsheets and SQL tools put into a file besides accounts: lines of dashes, totals, a second header, rounded ids, errors,
formulas without a value. Each is a reason to reject the row; none is read as an empty value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.directory.columns import names_of
from migrate.directory.interface import METHOD_PREFIX, YES_NO
from migrate.directory.values import harmless

EXACT: Final = 10**15
"""A number of at least this size may have been rounded by a spreadsheet, which keeps 15 digits."""


NULLS: Final = ("NULL", "\\N", "<null>", "<NULL>", "(null)", "(NULL)")
"""What SQL tools write into a file for a value that is missing."""


_LONGEST_NULL: Final = max(map(len, NULLS))
_WITH_WORDS: Final = frozenset({
    "account_id", "account_type", "methods", "default_method", "last_used_method", "may_enrol", "notification_emails", "groups", *YES_NO,
})  # fmt: skip


class Hollow:
    """The value of a cell whose formula has no stored value; as text it is empty."""

    def __str__(self) -> str:
        return ""


HOLLOW: Final = Hollow()

_RULE = re.compile(r"[-=+|\s\u2010-\u2015\u2212\u2500-\u257f]+")
_SCIENTIFIC = re.compile(r"[+-]?\d(?:[.,]\d+)?E\+\d{1,3}", re.IGNORECASE)
_ERROR = re.compile(r"#(?:N/A|N/D!?|N/B|NV|GETTING_DATA|[¡¿]?[^\W\d_a-z]+(?:/0)?[!?]|#{2,})|Err:\d{3}")

_WORD: Final = r"[^\W\d_]+(?:['’][^\W\d_]+)*"
_NUMBER: Final = r"\d(?:[\d.,'’\u00a0\u202f ]*\d)?"
_TOTAL: Final = (
    r"(?:grand|sub)?-?totals?|totale|totaux|totaal|totalt|counts?|sum|summe|gesamt|gesamtsumme|gesamtzahl|gesamtanzahl|insgesamt|anzahl|"
    r"nombre|somme|recuento|número|numero|suma|somma|conteggio|contagem|soma|aantal|razem|łącznie|liczba|antal"
)
_ROWS: Final = (
    r"rows?|row\(s\)|records?|record\(s\)|lines?|entries|items|results?|objects?|users?|accounts?|members?|people|persons|"
    r"zeilen?|datensätze|datensatz|einträge|benutzer|konten|personen|lignes?|enregistrements?|utilisateurs?|comptes?|"
    r"filas?|registros?|usuarios?|cuentas?|righe|record|utenti|account|linhas?|usuários?|rijen|gebruikers|wiersz[ey]?|rekord(?:y|ów)?"
)
_LABEL: Final = rf"(?:{_WORD}\s+){{0,3}}(?:{_TOTAL})(?:\s+{_WORD}){{0,4}}"
_TOTALS = re.compile(
    rf"{_LABEL}\s*[:=]\s*{_NUMBER}(?:\s+{_WORD})?"  # Total users: 2
    rf"|(?:{_WORD}\s+){{0,2}}(?:{_TOTAL})(?:(?:\s+{_WORD}){{0,3}}\s+(?:{_ROWS}))?\s+{_NUMBER}(?:\s+(?:{_ROWS}))?"  # Total 2, total users 2
    rf"|\(?{_NUMBER}\s+(?:{_ROWS})(?:\s+{_WORD}){{0,3}}(?:\s+\([^()]+\))?\.?\)?"  # (2 rows), 2 rows in set (0.01 sec)
    rf"|(?:{_ROWS})\s*[:=]\s+{_NUMBER}"  # Rows: 2
    r"|Completion time: \d{4}-\d\d-\d\dT\S+",  # the last line of SQL Server's tools
    re.IGNORECASE,
)
_TOTAL_LABEL = re.compile(rf"{_LABEL}\s*[:=]?", re.IGNORECASE)
_LONGEST: Final = 100

_SUSPECT: Final = rf"(?i)^$|[\s:=(]|^[^\pL\pN]|E\+|^(?:{_TOTAL})$"
"""Ids (RE2) of rows that may be a line of dashes, a total or an account with a rounded id; other rows need no closer look."""


def surplus(records: Sequence[Sequence[Any]], fields: int) -> bool:
    """Whether every record has one empty field more than the header, because its line ends with a delimiter.

    Lines that are no accounts, such as a total at the end, are ignored.
    """
    longer = False
    for position, record in enumerate(records, start=1):
        if len(record) == fields + 1 and record[-1] in ("", None):
            longer = True
        elif no_account(record, position) is None:
            return False
    return longer


def squared(records: Sequence[list[Any]], fields: int, id_at: int, first: int) -> Iterator[tuple[int, str]]:
    """Makes records of a wrong length as long as the header; gives the index of each, and the reason to reject it.

    `first`: the position of the first record. In such a record it is not certain which field belongs to which column. One with too many
    fields, or that is no account, keeps only its first field, and that only if it is the id; a short one is filled with blanks.
    """
    for index in [index for index, record in enumerate(records) if len(record) != fields]:
        record = records[index]
        why = no_account(record, first + index)
        yield index, why or f"{len(record)} fields where the header has {fields}"
        if why or len(record) > fields:
            kept = record[0] if id_at == 0 else ""
            record[:] = [""] * fields
            record[id_at] = kept
        else:
            record.extend([""] * (fields - len(record)))


def judge(
    frame: pd.DataFrame,
    reasons: dict[int, str],
    records: Sequence[Sequence[Any]],
    header: list[str],
    id_at: int,
    first: int,
    *,
    spreadsheet: bool,
) -> None:
    """Adds to `reasons` (index → why a row is rejected) what the records and cells show. `spreadsheet`: the source is a sheet, not text.

    A value that cannot be read is removed from `frame`, so that it is not reported a second time; an id stays, so that a person can find
    the row.
    """
    suspects = _suspects(frame["account_id"], header[id_at])
    again = header[id_at]
    lines: dict[int, str] = {}
    for at in suspects:
        if at in reasons:
            continue
        if str(records[at][id_at]).strip() == again and names_of(records[at]) == header:  # files joined end to end
            lines[at] = "the header once more, no account"
        elif why := no_account(records[at], first + at):
            lines[at] = why
    if lines:
        frame.loc[list(lines), frame.columns != "account_id"] = None
    reasons |= lines
    for at in suspects:
        if at not in lines and (why := _changed(records[at][id_at], spreadsheet=spreadsheet)):
            reasons[at] = f"{reasons[at]}; {why}" if at in reasons else why
    for name in frame:
        cells = dict(_unreadable(str(name).removeprefix(METHOD_PREFIX), frame[name]))
        for at, why in cells.items():
            reasons[at] = f"{reasons[at]}; {why}" if at in reasons else why
        if cells:
            frame.loc[list(cells), name] = None


def no_account(record: Sequence[Any], position: int) -> str | None:
    """Why a record is no account, whatever its columns mean; None if it may be one.

    A record with an id and nothing else may be an account, unless it reads like a total with a number.
    """
    filled: list[str] = []
    for value in record:
        if value is not None and (text := str(value).strip()):
            filled.append(text)
            if len(filled) > 2 and not _RULE.fullmatch(text):
                return None
    if filled and all(_RULE.fullmatch(text) for text in filled):
        return "a line of dashes, no account" if any(len(text) > 1 for text in filled) else None
    if len(filled) == 1 and len(filled[0]) <= _LONGEST and _TOTALS.fullmatch(filled[0]):
        return f"'{harmless(filled[0])}' is a line of totals, no account"
    if len(filled) == 2 and len(filled[0]) <= _LONGEST and _TOTAL_LABEL.fullmatch(filled[0]):
        # `Total;17` may be somebody called Total, unless 17 is the number of rows above it (one of which may be a line of dashes).
        counted = filled[1].removesuffix(".0")
        if counted.isdecimal() and int(counted) in (position - 1, position - 2):
            return f"'{harmless(filled[0])}' is a line of totals, no account"
    return None


def cleared(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame without what stands for null. Ids stay as they are, and so do columns whose words for null are read where all their words
    are."""
    return frame.assign(
        **{
            name: frame[name].mask(nulls)
            for name in frame.columns
            if name not in _WITH_WORDS and not name.startswith(METHOD_PREFIX) and (nulls := _nulls(frame[name])) is not None
        }
    )


def _nulls(held: pd.Series) -> np.ndarray | None:
    """Which values stand for null; None if there are none."""
    if held.dtype == "str":  # lengths are compared first, for that is quick
        arrow = pa.array(held)
        if not pc.any(pc.less_equal(pc.binary_length(arrow), _LONGEST_NULL)).as_py():
            return None
    nulls = held.isin(NULLS).to_numpy(bool)
    return nulls if nulls.any() else None


def bare(frame: pd.DataFrame, records: Sequence[Sequence[Any]], reasons: Mapping[int, str]) -> Iterator[int]:
    """The indexes of the rows that hold an id and nothing else in any column, and are not rejected: accounts of which nothing is known, or
    lines that somebody wrote under the accounts."""
    blank = np.ones(len(frame), dtype=bool)
    for name in frame.columns.drop("account_id"):
        if not blank.any():
            return
        held = frame[name]
        blank &= (held.isna() | (held == "") if held.dtype == "str" else held.isna()).to_numpy(bool)
    for at in np.flatnonzero(blank).tolist():
        if at not in reasons and sum(value is not None and bool(str(value).strip()) for value in records[at]) == 1:
            yield at


def _suspects(ids: pd.Series, name: str) -> Sequence[int]:
    """The indexes of the rows whose ids need a closer look; `name` is the id column's."""
    if ids.dtype != "str":
        return range(len(ids))
    arrow = pa.array(ids)
    suspects = pc.or_(pc.match_substring_regex(arrow, _SUSPECT), pc.equal(arrow, name))
    return np.flatnonzero(pc.fill_null(suspects, True).to_numpy(zero_copy_only=False)).tolist()


def _changed(value: Any, *, spreadsheet: bool) -> str | None:
    """Why an id is not as it was typed, because a spreadsheet took it for a number or a date; None if it is."""
    if isinstance(value, str):
        if _SCIENTIFIC.fullmatch(value.strip()):
            return f"account_id: {harmless(value)} is a number that a spreadsheet rounded; export ids as text"
    elif spreadsheet and isinstance(value, int | float) and abs(value) >= EXACT:
        return f"account_id: {value:.0f} is a number of more than 15 digits, which a spreadsheet rounds; keep ids as text"
    elif spreadsheet and isinstance(value, date | time | timedelta):
        return f"account_id: {value} is a date or a time, which a spreadsheet makes of text; keep ids as text"
    return None


def _unreadable(name: str, values: pd.Series) -> Iterator[tuple[int, str]]:
    """Index and reason for each cell with an error of a spreadsheet, or with a formula without a value."""
    held: Any = values.array
    suspects: Sequence[int] = range(len(values))
    if values.dtype == "str":
        arrow = pa.array(values)
        unreadable = pc.or_(pc.starts_with(arrow, "#"), pc.starts_with(arrow, "Err:"))
        suspects = np.flatnonzero(pc.fill_null(unreadable, False).to_numpy(zero_copy_only=False)).tolist()
    for index in suspects:
        match held[index]:
            case Hollow():
                yield index, f"{name}: a formula without a stored value; open the file in a spreadsheet program and save it"
            case str(text) if _ERROR.fullmatch(text):
                yield index, f"{name}: '{harmless(text)}' is an error of a spreadsheet, no value"
