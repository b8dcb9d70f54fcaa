"""The shortcut for tables of SQLite gives the values that SQLAlchemy gives, or refuses."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.directory import Directory, Tally, arrow
from migrate.directory.arrow import ShortcutRefused, textual
from migrate.directory.sql import SqlDirectory, SqlSettings
from migrate.directory.translate import Translator
from migrate.errors import DirectoryError
from migrate.incremental import as_table

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.one_of(st.none(), TEXT, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(allow_nan=False), st.binary(max_size=4))
MFA = st.sampled_from(["sms", "totp,sms", "", None, "odd word", 1, 0])
INSTANT = st.sampled_from([None, "2023-05-01T10:00:00Z", 1700000000, "1700000000", 1700000000.25, "never"])


def made(path: Path, rows: list[tuple[Any, ...]], declared: str = "TEXT") -> SqlDirectory:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f'CREATE TABLE "the users" (id TEXT, mail {declared}, mfa TEXT, active INTEGER, "changed at" DATETIME)')
        database.executemany('INSERT INTO "the users" VALUES (?, ?, ?, ?, ?)', rows)
    columns = {"account_id": "id", "email": "mail", "methods": "mfa", "enabled": "active", "methods_changed_at": "changed at"}
    return SqlDirectory(SqlSettings(url=f"sqlite:///{path}", table="the users", columns=columns))


def translated(directory: Directory) -> tuple[pd.DataFrame, Tally]:
    tally = Tally()
    translator = Translator(directory, language="en", tally=tally)
    frames = [translator.translate(raw) for raw in directory.frames()]
    return (pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()), tally


@settings(max_examples=120, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.one_of(TEXT, st.integers(0, 9)), VALUES, MFA, st.sampled_from([0, 1, None, "yes", 1.0]), INSTANT), max_size=8
    ),
    declared=st.sampled_from(["TEXT", "VARCHAR(80)", "INTEGER", "NUMERIC", "BLOB", ""]),
)
def test_a_column_is_read_as_without_the_shortcut(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]], declared: str
) -> None:
    directory = made(tmp_path_factory.mktemp("arrow") / "users.db", rows, declared)
    expected, counted = translated(directory.without_shortcut())
    try:
        found, tally = translated(directory)
    except ShortcutRefused:
        return
    assert tally == counted
    pd.testing.assert_frame_equal(found, expected) if len(expected) else None
    assert len(found) == len(expected)


def test_the_shortcut_is_taken_for_ordinary_tables_however_late_a_column_has_a_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow, "ROWS", 3)
    rows = [(f"u{n}", None if n < 8 else "x@example.com", "sms", 1 if n % 2 else None, None if n < 9 else "2023-05-01") for n in range(10)]
    directory = made(tmp_path / "users.db", rows)
    frames = list(directory.frames())
    assert [len(frame) for frame in frames] == [2, 3, 3, 2]
    assert [p for frame in frames for p in frame["position"]] == list(range(1, 11))
    assert len({as_table(frame).schema.to_string() for frame in frames}) == 1
    pd.testing.assert_frame_equal(translated(directory)[0], translated(directory.without_shortcut())[0])


@pytest.mark.parametrize("late", [1.5, b"\xff"])
def test_a_value_whose_text_might_differ_makes_the_shortcut_refuse(late: Any, tmp_path: Path) -> None:
    directory = made(tmp_path / "users.db", [("u1", "a@example.com", "sms", 1, None), ("u2", "b@example.com", "sms", late, late)])
    with pytest.raises(ShortcutRefused):
        list(directory.frames())


def test_bytes_that_are_no_text_in_a_column_of_text_make_the_shortcut_refuse(tmp_path: Path) -> None:
    directory = made(tmp_path / "users.db", [("u1", b"\xff\xfe", "sms", 1, None)])
    with pytest.raises(ShortcutRefused):
        list(directory.frames())


def test_a_reader_that_stops_early_leaves_no_thread_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr(arrow, "ROWS", 2)
    directory = made(tmp_path / "users.db", [(f"u{n}", "a@example.com", "sms", 1, None) for n in range(40)])
    before = threading.active_count()
    frames: Iterator[pd.DataFrame] = directory.frames()
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("declared", "text"),
    [("TEXT", True), ("varchar(80)", True), ("NCHAR", True), ("CLOB", True), ("CHARINT", False), ("DATETIME", False), ("", False)],
)
def test_which_columns_can_hold_text_alone(declared: str, text: bool) -> None:
    assert textual(declared) is text


def test_without_the_driver_the_shortcut_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "find_spec", lambda name: None)
    monkeypatch.setattr(arrow, "frames", lambda *_: pytest.fail("there is no driver"))
    assert len(list(made(tmp_path / "users.db", [("u1", "a@example.com", "sms", 1, None)]).frames())) == 1


def test_what_was_begun_is_given_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "ROWS", 3)
    path = tmp_path / "users.db"
    directory = made(path, [(f"u{n}", "x@example.com", "sms", 1, None) for n in range(100)])
    with directory.begun():
        # Who reads on asks for nothing more of the driver than what was begun; who reads again begins anew.
        frames = directory.frames()
        first = next(frames)
        monkeypatch.setattr(arrow, "batches", lambda *_: (each for each in ()))
        assert len(first) + sum(len(frame) for frame in frames) == 100
        assert not list(directory.frames())
        monkeypatch.undo()
        assert sum(len(frame) for frame in directory.frames()) == 100
    with directory.begun():
        pass
    assert sum(len(frame) for frame in directory.frames()) == 100


def test_a_table_that_is_not_there_is_told_where_it_is_read(tmp_path: Path) -> None:
    directory = made(tmp_path / "users.db", [])
    missing = SqlDirectory(directory.settings.model_copy(update={"table": "people"}))
    with missing.begun(), pytest.raises(DirectoryError, match="no table 'people'"):
        next(missing.frames())
