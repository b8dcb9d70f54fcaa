"""The action list in the page: rows to be shown, and the columns of action-list.csv beside them to be searched and saved.

A column whose values repeat is a list of values and a number for each row, so that a page reads a hundred thousand rows quickly.
"""

from __future__ import annotations

import csv
import json
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
    """The rows of the list, at most `LISTED`; `raw` are the same rows of action-list.csv, with its `columns`."""

    rows: list[Row]
    columns: list[str]
    raw: list[list[str]]

    def data(self) -> str:
        """The list as JSON that is safe inside a page."""
        shown = [[getattr(row, name) for row in self.rows] for name in Row.__slots__]
        columns = dict(zip(Row.__slots__, map(_short, shown), strict=True))
        files = [_short([row[n] for row in self.raw]) for n in range(len(self.columns))]
        plain = {"rows": len(self.rows), "shown": columns, "file": {"names": self.columns, "columns": files}}
        # `<` could end the script element, or begin a comment in it.
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")

    @property
    def named(self) -> list[Row]:
        """The administrators, and the accounts that belong to no person."""
        return [row for row in self.rows if row.marks]


def read(listed: Path, terms: Terms, *, past: bool) -> Actions:
    """Reads the list from action-list.csv; `past` is true from the cutoff on."""
    texts.fields_of_any_length()
    with listed.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        columns = next(lines)
        raw = [[str(outside.page(cell)) for cell in line] for line in islice(lines, LISTED)]
    made = _Maker(columns, terms, past=past)
    return Actions([made.row(line) for line in raw], columns, raw)


class _Maker:
    def __init__(self, columns: list[str], terms: Terms, *, past: bool) -> None:
        self._at = {name: n for n, name in enumerate(columns)}
        self._terms = terms
        self._past = past
        self._days: dict[str, str] = {}

    def row(self, line: list[str]) -> Row:
        of = {name: line[n] for name, n in self._at.items()}
        marks = ["administrator"] if of["privileged"] == "true" else []
        marks += [ONE_TYPE[of["account_type"]]] if of["account_type"] in ONE_TYPE else []
        wrong = MEANINGS.get(of["standing"], of["standing"])
        told = ""
        if of["last_notice"]:
            kind, state = of["last_notice"].partition(" ")[0], STATES.get(of["last_notice_state"], "waiting")
            told = f"{self._day(of['last_notice_at'])}, {KINDS.get(kind, kind)}{'' if state == 'sent' else f': {state}'}"
        return Row(
            who=of["display_name"] or of["username"],
            username=of["username"],
            marks=", ".join(marks),
            department=of["department"],
            wrong=f"{wrong}; may register nothing that stays" if of["destination"] == "no" else wrong,
            day=ON_THE_DAY[of["at_cutoff"]][self._past] if of["at_cutoff"] in ON_THE_DAY else of["at_cutoff"],
            told=told or "never",
            told_at=of["last_notice_at"],
            next=self._day(of["next_stage_on"]) or "none",
            next_on=of["next_stage_on"],
        )

    def _day(self, text: str) -> str:
        if text not in self._days:
            self._days[text] = ""
            if len(text) == 10:
                self._days[text] = day(date.fromisoformat(text))
            elif text:
                self._days[text] = day(self._terms.day(datetime.fromisoformat(text)))
        return self._days[text]


def _short(values: list[str]) -> dict[str, Any]:
    """A column for the page: all its values, or each different value once and, for each row, the number of its value."""
    number: dict[str, int] = {}
    at = [number.setdefault(value, len(number)) for value in values]
    return {"values": values} if 2 * len(number) > len(values) else {"values": list(number), "at": at}
