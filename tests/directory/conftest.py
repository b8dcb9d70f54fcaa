"""Sources: the same rows in every form a directory reads."""

from __future__ import annotations

import csv
import gzip
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from graph.clock import VirtualClock

from migrate.directory import Directory, open_directory, settings_model
from migrate.directory.entra.source import EntraDirectory
from migrate.directory.privacyidea.source import PrivacyIdeaDirectory

Rows = Iterable[Mapping[str, Any]]


def write_csv(path: Path, rows: Rows, delimiter: str = ",") -> None:
    rows = list(rows)
    text = StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_sqlite(path: Path, rows: Rows, table: str = "users") -> None:
    rows = list(rows)
    names = ", ".join(f'"{name}"' for name in rows[0])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f'CREATE TABLE "{table}" ({names})')
        database.executemany(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(rows[0]))})', [tuple(row.values()) for row in rows])


def write_xlsx(path: Path, rows: Rows) -> None:
    rows = list(rows)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Users"
    sheet.append(list(rows[0]))
    for number, row in enumerate(rows, start=2):
        for field, value in enumerate(row.values(), start=1):
            if value not in ("", None):
                sheet.cell(number, field, value).data_type = "s" if isinstance(value, str) else sheet.cell(number, field).data_type
    book.save(path)


def sqlite_directory(path: Path, **more: Any) -> Directory:
    return open_directory(settings_model("sql")(**{"kind": "sql", "url": f"sqlite:///{path}", "table": "users"} | more))


def csv_directory(path: Path, **more: Any) -> Directory:
    return open_directory(settings_model("csv")(kind="csv", path=str(path), **more))


FORMS: dict[str, Callable[[Path, Rows], None]] = {
    "users.csv": write_csv,
    "users.csv.gz": write_csv,
    "users.tsv": lambda path, rows: write_csv(path, rows, "\t"),
    "users.txt": lambda path, rows: write_csv(path, rows, ";"),
    "users.parquet": lambda path, rows: pd.DataFrame(rows).to_parquet(path),
    "users.xlsx": write_xlsx,
    "users.db": write_sqlite,
}
"""File name → how such a file is written."""


@pytest.fixture(params=list(FORMS))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Rows], Callable[[], Directory]]:
    """Puts rows into a source of each form in turn, and gives back what opens it."""

    def put(rows: Rows, **settings: Any) -> Callable[[], Directory]:
        path = tmp_path / request.param
        FORMS[request.param](path, rows)
        make = sqlite_directory if path.suffix == ".db" else csv_directory
        return lambda: make(path, **settings)

    return put


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Directory]:
    """A `csv` directory of the given bytes or text."""

    def make(content: str | bytes, name: str = "users.csv", **settings: Any) -> Directory:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return csv_directory(path, **settings)

    return make


@pytest.fixture
def database(tmp_path: Path) -> Callable[..., Directory]:
    """A `sql` directory of a SQLite table `users` with the given rows."""

    def make(rows: Rows, **settings: Any) -> Directory:
        path = tmp_path / "users.db"
        path.unlink(missing_ok=True)
        write_sqlite(path, rows)
        return sqlite_directory(path, **settings)

    return make


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """A clock on which a directory that is asked over HTTP waits without taking time."""
    made = VirtualClock()
    monkeypatch.setattr(EntraDirectory, "clock", made)
    monkeypatch.setattr(PrivacyIdeaDirectory, "clock", made)
    return made
