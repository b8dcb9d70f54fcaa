"""The snapshot: a read, walked in order of id."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import pytest
from cast import person, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.directory import snapshot as module
from migrate.directory.snapshot import Snapshot
from migrate.files import spill
from migrate.files.spill import Spill

IDS = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=4), min_size=1, max_size=60, unique=True)


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "BATCH", 4)
    monkeypatch.setattr(spill, "_GATHERED", 12)
    monkeypatch.setattr(module, "RANGE", 8)


def walk(frame: pd.DataFrame, chunk: int) -> tuple[list[str], list[tuple[int, str]]]:
    """Accepted ids in the order of the ranges, (position, reason) of the rejected."""
    with tempfile.TemporaryDirectory() as folder:
        taken = Snapshot.take((frame.iloc[i : i + chunk] for i in range(0, len(frame), chunk)), Path(folder))
        accepted: list[str] = []
        rejected: list[tuple[int, str]] = []
        bounds: list[str | None] = [None]
        for part in taken.ranges():
            assert part.low == bounds[-1]
            bounds.append(part.high)
            accepted += part.accounts["account_id"].tolist()
            for account_id in [*part.accounts["account_id"], *part.rejected["account_id"]]:
                assert (part.low is None or part.low <= account_id) and (part.high is None or account_id < part.high)
            rejected += list(part.rejected[["position", "rejection"]].itertuples(index=False, name=None))
        assert bounds[-1] is None
        nameless = sum(len(part) for part in taken.nameless())
        assert taken.rows == len(frame) == len(accepted) + len(rejected) + nameless
        return accepted, rejected


@settings(max_examples=60, deadline=None)
@given(IDS, st.integers(1, 30), st.randoms())
def test_neither_the_order_of_rows_nor_the_size_of_chunks_matters(ids: list[str], chunk: int, shuffle) -> None:
    people = [person(account_id, username="u", email="u@example.com") for account_id in ids]
    accepted, rejected = walk(rows(*people), len(people))
    assert accepted == sorted(ids, key=lambda text: text.encode())
    assert rejected == []
    shuffle.shuffle(people)
    assert walk(rows(*people), chunk) == (accepted, [])


def test_equal_rows_with_one_id_count_once() -> None:
    accepted, rejected = walk(rows(person("a"), person("b"), person("a"), person("a")), 1)
    assert accepted == ["a", "b"]
    assert rejected == [(3, "the same as row 1"), (4, "the same as row 1")]


def test_differing_rows_with_one_id_count_not_at_all() -> None:
    accepted, rejected = walk(rows(person("a", "sms"), person("b"), person("a", "totp")), 2)
    assert accepted == ["b"]
    assert rejected == [(n, "rows 1, 3 have this account_id and differ in methods") for n in (1, 3)]


def test_of_many_rows_with_one_id_the_first_are_named() -> None:
    _, rejected = walk(rows(*(person("a", "sms" if n % 2 else "totp") for n in range(6))), 2)
    assert {reason for _, reason in rejected} == {"rows 1, 2, 3, 4, 5, … have this account_id and differ in methods"}


def test_rows_of_one_id_say_in_which_columns_they_differ() -> None:
    others = [person("b", username="x", email="b@example.com"), person("b", email=None, department="Sales", given_name="Bea")]
    _, rejected = walk(rows(person("a"), person("a"), person("a", "totp"), *others), 2)
    assert [reason for position, reason in rejected if position < 4] == ["rows 1, 2, 3 have this account_id and differ in methods"] * 3
    differ = "rows 4, 5 have this account_id and differ in username, email, given_name, department"
    assert [reason for position, reason in rejected if position > 3] == [differ] * 2


def test_a_row_that_is_no_account_spoils_a_good_one_with_its_id() -> None:
    accepted, rejected = walk(rows(person("a"), person("a", rejection="enabled: 'maybe' is neither yes nor no")), 2)
    assert accepted == []
    differ = "rows 1, 2 have this account_id and differ in whether they are accounts"
    assert rejected == [(1, differ), (2, "enabled: 'maybe' is neither yes nor no")]


def test_many_rows_of_one_id_stay_in_one_range() -> None:
    accepted, rejected = walk(rows(*[person(account_id) for account_id in "abc" for _ in range(30)]), 7)
    assert accepted == ["a", "b", "c"]
    assert len(rejected) == 87


def test_an_empty_directory_is_one_empty_range() -> None:
    accepted, rejected = walk(rows(), 1)
    assert accepted == rejected == []


def test_rows_without_an_id_are_kept_apart() -> None:
    accepted, rejected = walk(rows(person("a"), person("a", rejection="no account_id") | {"account_id": None}), 2)
    assert (accepted, rejected) == (["a"], [])


def test_holders_of_an_address_are_those_whose_primary_address_it_is_in_any_case() -> None:
    with tempfile.TemporaryDirectory() as folder:
        people = rows(person("a", email="X@Example.com"), person("b", notification_emails="n@example.com\nx@example.com"), person("c"))
        taken = Snapshot.take([people], Path(folder))
        found = taken.holders(frozenset({"x@example.com"}))
        assert sorted(found["account_id"]) == ["a"]
        assert taken.holders(frozenset()).empty


def test_a_spill_gives_its_frames_back_one_by_one_whatever_they_were_put_together_from(tmp_path: Path) -> None:
    given = [rows(person("a")), rows(), pd.concat([rows(person("b")), rows(person("c"))])]
    spill = Spill(tmp_path / "spill")
    for frame in given:
        spill.append(frame)
    spill.close()
    assert [frame["account_id"].tolist() for frame in spill.frames()] == [["a"], [], ["b", "c"]]
    assert spill.rows == 3


def test_a_spill_that_was_given_nothing_gives_nothing(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "spill")
    spill.close()
    assert list(spill.frames()) == []


def test_a_snapshot_can_be_walked_again(tmp_path: Path) -> None:
    """A run whose recording was broken off walks its snapshot a second time."""
    taken = Snapshot.take([rows(*(person(account_id=f"u{n:02}") for n in range(20)))], tmp_path)
    once, again = ([part.accounts["account_id"].tolist() for part in taken.ranges()] for _ in range(2))
    assert len(once) > 1
    assert once == again
