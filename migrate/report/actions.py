"""The action list in the page: rows to be shown, and the columns of action-list.csv beside them to be searched and saved.

A column whose values repeat is a list of values and a number for each row, so that a page reads a hundred thousand rows quickly.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from migrate import outside
from migrate.files import texts
from migrate.report.terms import Terms
from migrate.report.words import KINDS, MEANINGS, ON_THE_DAY, ONE_TYPE, STATES, day

LISTED: Final = 100_000
"""At most so many rows of the action list are in the page; action-list.csv has all."""
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
    (`raw`), by the names of their columns."""

    shown: dict[str, list[str]]
    raw: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.shown["who"])

    def rows(self, numbers: Iterable[int]) -> list[Row]:
        """Some rows, by their numbers."""
        return [Row(*(column[number] for column in self.shown.values())) for number in numbers]

    @property
    def named(self) -> list[int]:
        """The numbers of the rows of administrators, and of accounts that belong to no person."""
        return [number for number, marks in enumerate(self.shown["marks"]) if marks]

    def data(self) -> str:
        """The list as JSON that is safe inside a page."""
        shown = {name: _short(column) for name, column in self.shown.items()}
        files = [_short(column) for column in self.raw.values()]
        plain = {"rows": len(self), "shown": shown, "file": {"names": list(self.raw), "columns": files}}
        # `<` could end the script element, or begin a comment in it.
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def read(listed: Path, terms: Terms, *, past: bool) -> Actions:
    """Reads the list from action-list.csv; `past` is true from the cutoff on."""
    texts.fields_of_any_length()
    with listed.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        names = next(lines)
        columns = list(zip(*islice(lines, LISTED), strict=True)) or [()] * len(names)
    raw = {name: _fit(column) for name, column in zip(names, columns, strict=True)}
    return Actions(_Shown(terms, past=past).of(raw), raw)


def _fit(column: Sequence[str]) -> list[str]:
    """A column without the characters that a page must not hold; nearly always it has none."""
    return list(column) if "".join(column).isprintable() else [str(outside.page(cell)) for cell in column]


def _each(made: Callable[..., str], *columns: list[str]) -> list[str]:
    """What is made of the values of each row; once for rows with the same values."""
    known: dict[tuple[str, ...], str] = {}
    for values in zip(*columns, strict=True):
        if values not in known:
            known[values] = made(*values)
    return [known[values] for values in zip(*columns, strict=True)]


class _Shown:
    """Makes the columns that are shown of those of action-list.csv."""

    def __init__(self, terms: Terms, *, past: bool) -> None:
        self._terms = terms
        self._past = past

    def of(self, raw: dict[str, list[str]]) -> dict[str, list[str]]:
        """The fields of `Row`, in their order."""
        return {
            "who": [name or username for name, username in zip(raw["display_name"], raw["username"], strict=True)],
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


def _short(values: list[str]) -> dict[str, Any]:
    """A column for the page: all its values, or each different value once and, for each row, the number of its value."""
    number: dict[str, int] = {}
    at = [number.setdefault(value, len(number)) for value in values]
    return {"values": values} if 2 * len(number) > len(values) else {"values": list(number), "at": at}
