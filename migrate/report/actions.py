"""The action list in the page: rows to be shown, and the columns of action-list.csv beside them to be searched and saved.

A column whose values repeat is a list of values and a number for each row, so that a page reads a hundred thousand rows quickly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from migrate import outside
from migrate.report import repeats
from migrate.report.tables import ACTION_LIST
from migrate.report.terms import Terms
from migrate.report.words import KINDS, MEANINGS, ON_THE_DAY, ONE_TYPE, STATES, day

LISTED: Final = 100_000
"""At most so many rows of the action list are in the page; action-list.csv has all."""
_BLOCK: Final = 1 << 20
"""Bytes that are read at a time. A row has at most some ten thousand, since the lengths of all texts are bounded."""
UNSCRIPTED: Final = 200
"""So many rows are shown where no script runs."""

HEADINGS: Final = {
    "who": "Name",
    "department": "Department",
    "wrong": "What is wrong",
    "day": "What the day does",
    "told": "Last told",
    "next": "Next letter",
}
"""The columns that are shown, and their headings."""
CHOICES: Final = {"wrong": "What is wrong", "day": "What the day does", "department": "Department", "marks": "Kind of account"}
"""The columns that can be filtered by one value."""


@dataclass(frozen=True, slots=True)
class Row:
    """One person of the list: what is shown, `marks` such as 'administrator', and what rows are sorted by (`told_at`, `next_on`: ISO)."""

    who: str
    username: str
    marks: str
    department: str
    wrong: str
    day: str
    told: str
    told_at: str
    next: str
    next_on: str


@dataclass(frozen=True, slots=True)
class Actions:
    """The list, at most `LISTED` rows, column by column: what is `shown` (the fields of `Row`), and the same rows of action-list.csv
    (`raw`). A column is text without missing values; if it has few different values, it is a dictionary."""

    shown: dict[str, pa.Array]
    raw: dict[str, pa.Array]

    def __len__(self) -> int:
        return len(self.shown["who"])

    def rows(self, numbers: Iterable[int]) -> list[Row]:
        """Some rows, by their numbers."""
        return [Row(*(column[number].as_py() for column in self.shown.values())) for number in numbers]

    @property
    def named(self) -> list[int]:
        """The numbers of the rows of administrators, and of accounts that belong to no person."""
        found: list[int] = np.flatnonzero(pc.not_equal(repeats.plain(self.shown["marks"]), "")).tolist()
        return found

    def data(self) -> Iterator[str]:
        """The list as JSON that is safe inside a page, in pieces: the whole would take more memory than everything else in a run."""
        yield f'{{"rows":{len(self)},"shown":{{'
        for number, (name, column) in enumerate(self.shown.items()):
            yield f"{',' if number else ''}{_json(name)}:{_json(_short(column))}"
        yield f'}},"file":{{"names":{_json(list(self.raw))},"columns":['
        for number, column in enumerate(self.raw.values()):
            yield f"{',' if number else ''}{_json(_short(column))}"
        yield "]}}"


def read(listed: Path, terms: Terms, *, past: bool) -> Actions:
    """Reads the list from action-list.csv; `past` is true from the cutoff on."""
    as_text = csv.ConvertOptions(column_types=dict.fromkeys(ACTION_LIST.columns, pa.large_string()), strings_can_be_null=False)
    parts: list[pa.RecordBatch] = []
    with csv.open_csv(listed, csv.ReadOptions(use_threads=False, block_size=_BLOCK), convert_options=as_text) as lines:
        while sum(part.num_rows for part in parts) < LISTED and (part := next(lines, None)) is not None:
            parts.append(part)
        table = pa.Table.from_batches(parts, lines.schema).slice(0, LISTED)
    raw = {name: repeats.shortened(_fit(table[name].combine_chunks())) for name in ACTION_LIST.columns}
    return Actions(_Shown(terms, past=past).of(raw), raw)


def _fit(column: pa.Array) -> pa.Array:
    """A column without the characters that a page must not hold; nearly always it has none."""
    if pc.all(pc.utf8_is_printable(column)).as_py():
        return column
    return pa.array([str(outside.page(cell)) for cell in column.to_pylist()], pa.large_string())


def _each(made: Callable[..., str], *columns: pa.Array) -> pa.DictionaryArray:
    """What is made of the values of each row; once for rows with the same values."""
    alike = repeats.combinations(columns)
    texts = [made(*values) for values in zip(*(alike.values(column) for column in columns), strict=True)]
    return pa.DictionaryArray.from_arrays(pa.array(alike.number), pa.array(texts, pa.large_string()))


class _Shown:
    """Makes the columns that are shown of those of action-list.csv."""

    def __init__(self, terms: Terms, *, past: bool) -> None:
        self._terms = terms
        self._past = past

    def of(self, raw: dict[str, pa.Array]) -> dict[str, pa.Array]:
        """The fields of `Row`, in their order."""
        name, username = repeats.plain(raw["display_name"]), repeats.plain(raw["username"])
        return {
            "who": pc.if_else(pc.equal(name, ""), username, name),
            "username": raw["username"],
            "marks": _each(self._marks, raw["privileged"], raw["account_type"]),
            "department": raw["department"],
            "wrong": _each(self._wrong, raw["standing"], raw["destination"]),
            "day": _each(lambda word: ON_THE_DAY[word][self._past] if word in ON_THE_DAY else word, raw["at_cutoff"]),
            "told": _each(self._told, raw["last_notice"], raw["last_notice_at"], raw["last_notice_state"]),
            "told_at": raw["last_notice_at"],
            "next": _each(lambda text: self._day(text) or "none", raw["next_stage_on"]),
            "next_on": raw["next_stage_on"],
        }

    @staticmethod
    def _marks(privileged: str, account_type: str) -> str:
        marks = ["administrator"] if privileged == "true" else []
        return ", ".join([*marks, ONE_TYPE[account_type]] if account_type in ONE_TYPE else marks)

    @staticmethod
    def _wrong(standing: str, destination: str) -> str:
        wrong = MEANINGS.get(standing, standing)
        return f"{wrong}; may register nothing that stays" if destination == "no" else wrong

    def _told(self, notice: str, at: str, state: str) -> str:
        if not notice:
            return "never"
        kind, became = notice.partition(" ")[0], STATES.get(state, "waiting")
        return f"{self._day(at)}, {KINDS.get(kind, kind)}{'' if became == 'sent' else f': {became}'}"

    def _day(self, text: str) -> str:
        if len(text) == 10:
            return day(date.fromisoformat(text))
        return day(self._terms.day(datetime.fromisoformat(text))) if text else ""


def _json(value: object) -> str:
    """JSON in which no `<` is left, which could end the script element or begin a comment in it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _short(column: pa.Array) -> dict[str, Any]:
    """A column for the page: all its values, or each different value once and, for each row, the number of its value."""
    # In the order in which the values come, whatever order they have now.
    short = pc.dictionary_encode(repeats.plain(column))
    if 2 * len(short.dictionary) > len(short):
        return {"values": short.dictionary_decode().to_pylist()}
    return {"values": short.dictionary.to_pylist(), "at": short.indices.to_numpy().tolist()}
