"""The rows of a read beside those of the read before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.incremental import rows as module
from migrate.incremental.rows import Rows, as_table

ROWS = st.lists(st.tuples(st.integers(0, 30).map(str), st.sampled_from(["sms", "totp", None])), max_size=40, unique_by=lambda row: row[0])


def frames(rows: list[tuple[str, str | None]], size: int) -> list[pd.DataFrame]:
    whole = pd.DataFrame({"account_id": [i for i, _ in rows], "methods": [m for _, m in rows], "position": range(1, len(rows) + 1)})
    whole = whole.astype({"account_id": "str", "methods": "str"})
    return [whole.iloc[i : i + size].reset_index(drop=True) for i in range(0, len(whole), size)]


def taken(path: Path, rows: list[tuple[str, str | None]], size: int, before: Path | None = None, unfit: Any = ()) -> tuple[Rows, list[str]]:
    """The rows after a read, and the ids of those that were the same as before."""
    found, same = Rows(path, before, np.array(unfit)), []
    for frame in frames(rows, size):
        table = as_table(frame)
        alike = found.same(table, len(frame))
        same += frame.loc[alike, "account_id"].tolist()
        assert found.keep(table)
    found.close()
    return found, same


def missing(found: Rows) -> list[str]:
    return sorted(each for batch in found.missing.batches() for each in batch.column("account_id").to_pylist())


def test_after_a_read_none_of_whose_rows_may_stand_for_an_account_every_row_is_looked_at(tmp_path: Path) -> None:
    people: list[tuple[str, str | None]] = [("a", "sms"), ("b", "telepathy")]
    old, _ = taken(tmp_path / "old.arrow", people, 10)
    new, same = taken(tmp_path / "new.arrow", people, 10, old.path, unfit=[1, 2])
    assert (same, new.unchanged) == ([], 0)


@settings(max_examples=150, deadline=None)
@given(before=ROWS, now=ROWS, first=st.integers(1, 12), second=st.integers(1, 12), slack=st.integers(0, 50))
def test_what_is_called_the_same_is_the_same_and_every_other_row_of_before_is_missing(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[tuple[str, str | None]],
    now: list[tuple[str, str | None]],
    first: int,
    second: int,
    slack: int,
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SLACK", slack)
        old, _ = taken(folder / "old.arrow", before, first)
        new, same = taken(folder / "new.arrow", now, second, old.path if before else None)
    assert set(same) <= {i for i, _ in set(before) & set(now)}
    assert len(same) == len(set(same)) == new.unchanged
    if before:
        assert missing(new) == sorted({i for i, _ in before} - set(same))


@settings(max_examples=50, deadline=None)
@given(rows=ROWS.filter(len), first=st.integers(1, 12), second=st.integers(1, 12), change=st.randoms())
def test_in_a_source_that_keeps_its_order_all_that_is_the_same_is_found(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str | None]], first: int, second: int, change: Any
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    old, _ = taken(folder / "old.arrow", rows, first)
    gone, other = change.choice(rows), change.choice(rows)
    now = [(i, "push") if (i, m) == other else (i, m) for i, m in rows if (i, m) != gone]
    _, same = taken(folder / "new.arrow", now, second, old.path)
    assert same == [i for i, m in rows if (i, m) not in (gone, other)]


def test_of_a_row_that_comes_twice_one_is_called_the_same(tmp_path: Path) -> None:
    old, _ = taken(tmp_path / "old.arrow", [("a", "sms"), ("b", "sms")], 9)
    new, same = taken(tmp_path / "new.arrow", [("a", "sms"), ("a", "sms"), ("b", "sms")], 9, old.path)
    assert same == ["a", "b"]
    assert missing(new) == []


def test_a_row_that_shared_its_id_before_is_looked_at_again(tmp_path: Path) -> None:
    old, _ = taken(tmp_path / "old.arrow", [("a", "sms"), ("b", "sms"), ("a", "sms")], 9)
    _, same = taken(tmp_path / "new.arrow", [("a", "sms"), ("b", "sms"), ("a", "sms")], 9, old.path, unfit=(1, 3))
    assert same == ["b"]


def test_other_columns_or_types_make_every_row_another(tmp_path: Path) -> None:
    old, _ = taken(tmp_path / "old.arrow", [("a", "sms")], 9)
    new = Rows(tmp_path / "new.arrow", old.path)
    table = as_table(pd.DataFrame({"account_id": ["a"], "methods": [1], "position": [1]}).astype({"account_id": "str"}))
    assert new.same(table, 1).tolist() == [False]
    new.close()
    assert missing(new) == ["a"]


@pytest.mark.parametrize("odd", [["sms", 1], [["sms"], ["totp"]], [{"a": 1}, None], [b"x", b"y"], ["\ud800", "x"]])
def test_what_has_no_column_type_of_its_own_is_looked_at_every_time(odd: list[Any], tmp_path: Path) -> None:
    frame = pd.DataFrame({"account_id": ["a", "b"], "methods": pd.Series(odd, dtype=object), "position": [1, 2]})
    found = Rows(tmp_path / "rows.arrow")
    assert as_table(frame) is None
    assert not found.same(None, 2).any()
    assert not found.keep(None)
    found.close()


def test_kept_rows_are_found_again_as_they_were_read(tmp_path: Path) -> None:
    import pyarrow as pa

    found, _ = taken(tmp_path / "rows.arrow", [("a", "sms"), ("b", None), ("c", "totp")], 2)
    again = found.find(pa.array(["c", "b", "x"], pa.large_string()))
    assert again["account_id"].tolist() == ["b", "c"]
    assert again["position"].tolist() == [2, 3]
