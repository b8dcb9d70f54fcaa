"""Every directory keeps the contract, and the same rows are the same accounts whatever they are kept in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from variants import first

from migrate.core.accounts import ACCOUNT_COLUMNS, ROW_COLUMNS
from migrate.directory import Directory, DirectorySettings
from migrate.directory.csv import CsvDirectory
from migrate.directory.sql import SqlDirectory
from migrate.directory.testing import SAMPLE, assert_contract, assert_sample, assert_unreadable, comparable, read_all
from migrate.directory.text import column


class FrameSettings(DirectorySettings):
    kind: str = "frame"


class FrameDirectory(Directory):
    """Hands over a frame as it is: a source of any Python values."""

    kind: ClassVar[str] = "frame"
    Settings: ClassVar[type[DirectorySettings]] = FrameSettings

    def __init__(self, *frames: pd.DataFrame) -> None:
        super().__init__(FrameSettings())
        self._frames = frames

    def frames(self) -> Iterator[pd.DataFrame]:
        yield from self._frames

    def describe(self) -> str:
        return "a frame"


def test_the_sample_gives_the_same_accounts_in_every_form(source: Any) -> None:
    assert_sample(source(SAMPLE))


@pytest.mark.parametrize("rows", first(2, [1, 13, 12, 2, 5, 14]))
def test_chunk_size_does_not_matter(source: Any, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlDirectory, "chunk_rows", rows)
    monkeypatch.setattr(CsvDirectory, "chunk_rows", rows)
    assert_sample(source(SAMPLE))


def test_headers_fit_whatever_their_case_and_spaces(source: Any) -> None:
    renamed = [{name.replace("_", " ").upper(): value for name, value in row.items()} for row in SAMPLE]
    assert_sample(source(renamed))


def test_other_columns_are_left_alone(source: Any) -> None:
    assert_sample(source([{"id": "?", **row, "password": "secret"} for row in SAMPLE]))


def test_columns_are_renamed_and_one_may_serve_twice(source: Any) -> None:
    rows = [{"Key": "k1", "Mail": "k1@example.com", "Factors": "sms"}]
    make = source(rows, columns={"account_id": "Key", "username": "Mail", "email": "mail", "methods": "Factors"})
    account = assert_contract(make).iloc[0]
    assert account[["account_id", "username", "email", "methods"]].tolist() == ["k1", "k1@example.com", "k1@example.com", 1]


def test_a_column_a_method_says_the_same_as_a_column_of_words(source: Any) -> None:
    rows = [
        {"account_id": "a", "email": "", "has_sms": "yes", "has_app": "no", "has_key": ""},
        {"account_id": "b", "email": "", "has_sms": "0", "has_app": "1", "has_key": "true"},
        {"account_id": "c", "email": "", "has_sms": "sometimes", "has_app": "1", "has_key": "true"},
    ]
    found = assert_contract(source(rows, method_columns={"sms": "has_sms", "totp": "has_app", "security key": "has_key"}))
    assert found["methods"].tolist()[:2] == [1, 8 + 32]
    assert found["rejection"].tolist()[2] == "sms: 'sometimes' is neither yes nor no"


def test_a_source_of_no_rows_is_no_error(file: Callable[..., Directory]) -> None:
    rows = assert_contract(lambda: file("account_id,email,methods\n"))
    assert rows.empty
    assert list(rows) == list(ROW_COLUMNS)


@pytest.mark.parametrize("missing", ["account_id", "email", "methods"])
def test_a_source_without_a_required_column_says_which_and_what_there_is(source: Any, missing: str) -> None:
    error = assert_unreadable(source([{name + "s" if name == missing else name: value for name, value in row.items()} for row in SAMPLE]))
    assert f"no column '{missing}'" in str(error)
    assert f"Did you mean '{missing}s'" in str(error)


def test_a_mapped_column_that_is_not_there_is_an_error_naming_the_near_one(source: Any) -> None:
    error = assert_unreadable(source(SAMPLE, columns={"department": "departement"}))
    assert error.where == "[directory.columns] department"
    assert "'departement'" in str(error)
    assert "Did you mean 'department'?" in str(error)


def test_a_missing_source_is_an_error_that_names_it_and_creates_nothing(source: Any, tmp_path: Path) -> None:
    make = source(SAMPLE)
    path = next(tmp_path.iterdir())
    path.unlink()
    assert path.name in str(assert_unreadable(make))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_source(source: Any, tmp_path: Path) -> None:
    make = source(SAMPLE)
    path = next(tmp_path.iterdir())
    path.unlink()
    path.mkdir()
    assert "is a folder" in str(assert_unreadable(make))


def test_half_a_file_is_an_error(source: Any, tmp_path: Path) -> None:
    make = source([{**row, "account_id": f"{row['account_id']}{i}"} for i in range(300) for row in SAMPLE])
    path = next(tmp_path.iterdir())
    if path.suffix in (".csv", ".tsv", ".txt"):
        pytest.skip("text that ends between two records looks whole; the shrink guard is there for it")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert_unreadable(make)


def test_python_values_become_what_their_text_would() -> None:
    raw = pd.DataFrame(
        {
            "account_id": pd.Series([1, "2", 3.0, b"four"], dtype=object),
            "email": None,
            "methods": pd.Series([["sms", "Security Key"], ("totp",), None, {"sms"}], dtype=object),
            "enabled": pd.Series([True, 0, b"\x01", None], dtype=object),
            "locale": "de",
            "position": [1, 2, 3, 4],
        }
    )
    rows = assert_contract(lambda: FrameDirectory(raw))
    assert rows["account_id"].tolist() == ["1", "2", "3", b"four".hex()]
    assert rows["methods"].tolist() == [1 + 32, 8, 0, 1]
    assert rows["enabled"].tolist() == [True, False, True, True]


def rows_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    required = ("account_id", "email", "methods")
    others = {name: values for name in ACCOUNT_COLUMNS if name not in required}
    return st.lists(st.fixed_dictionaries(dict.fromkeys(required, values), optional=others), min_size=1, max_size=4)


def assert_contract_whole_and_apart(rows: list[dict[str, Any]]) -> None:
    names = [name for name in ACCOUNT_COLUMNS if any(name in row for row in rows)]
    raw = pd.DataFrame({name: column([row.get(name) for row in rows]) for name in names} | {"position": range(1, len(rows) + 1)})
    whole = assert_contract(lambda: FrameDirectory(raw))
    each = [pd.DataFrame({name: column([row.get(name)]) for name in names} | {"position": [i]}) for i, row in enumerate(rows, 1)]
    assert_frame_equal(comparable(whole), comparable(assert_contract(lambda: FrameDirectory(*each))))


TEXTS = st.none() | st.text(max_size=20)
NUMBERS = st.booleans() | st.integers() | st.floats() | st.decimals(allow_nan=False)
SCALARS = st.none() | NUMBERS | st.binary() | st.dates() | st.datetimes() | st.text()


@settings(max_examples=12, deadline=None)
@given(rows_of(TEXTS))
def test_no_text_in_any_column_breaks_the_contract(rows: list[dict[str, Any]]) -> None:
    assert_contract_whole_and_apart(rows)


@settings(max_examples=12, deadline=None)
@given(rows_of(SCALARS | st.lists(SCALARS, max_size=3)))
def test_no_value_in_any_column_breaks_the_contract(rows: list[dict[str, Any]]) -> None:
    assert_contract_whole_and_apart(rows)


def test_a_reason_of_the_source_itself_stands_before_ours() -> None:
    raw = pd.DataFrame({"account_id": ["a", ""], "email": "", "methods": "sms", "position": [7, 9], "rejection": [None, "torn"]})
    rows = assert_contract(lambda: FrameDirectory(raw))
    assert rows["rejection"].fillna("").tolist() == ["", "torn; no account_id"]
    assert rows["position"].tolist() == [7, 9]


def test_frames_of_any_index_are_read_alike() -> None:
    raw = pd.DataFrame({"account_id": ["a", "b"], "email": "", "methods": ["sms", "totp"], "position": [1, 2]})
    shuffled = raw.set_index(pd.Index([5, 5]))
    assert_frame_equal(read_all(FrameDirectory(raw))[0], read_all(FrameDirectory(shuffled))[0])
