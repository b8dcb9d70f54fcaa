"""The records of all accounts, column by column, and the fingerprint of a read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from cast import at, person, recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.files import spill
from migrate.files.spill import Sorted
from migrate.incremental import records
from migrate.incremental.records import Records, Whole, merge, restored

IDS = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=4), min_size=1, max_size=40, unique=True)


@pytest.fixture(autouse=True, params=[0.0, 0.3, 9.0], ids=["written anew", "now and then", "amended"])
def small_batches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_NEWER", request.param)
    monkeypatch.setattr(records, "_SMALL", 3)
    monkeypatch.setattr(records, "_FILES", 3)
    monkeypatch.setattr(spill, "BATCH", 4)
    monkeypatch.setattr(spill, "_GATHERED", 12)
    monkeypatch.setattr(records, "BATCH", 8)
    monkeypatch.setattr(records, "_MOST", 1.5)


def whole(frame: pd.DataFrame, folder: Path, before: Records | None = None, chunk: int = 100) -> Whole:
    folder.mkdir(exist_ok=True)
    decided = Sorted(folder / "decided.arrow")
    for i in range(0, len(frame), chunk):
        decided.append(frame.iloc[i : i + chunk].assign(plain=True))
    decided.close()
    return merge(before, decided, lambda table: table, folder)


def people(*ids: str, **fields: Any) -> pd.DataFrame:
    return recorded(*[person(each) for each in ids], **fields)


def read(found: Whole, *columns: str) -> list[tuple[Any, ...]]:
    frames = list(found.records.frames())
    return [row for frame in frames for row in frame[list(columns)].itertuples(index=False, name=None)]


@settings(max_examples=20, deadline=None)
@given(ids=IDS, chunk=st.integers(1, 30), shuffle=st.randoms())
def test_records_stand_in_order_of_id_and_neither_order_nor_chunks_change_the_fingerprint(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], chunk: int, shuffle: Any
) -> None:
    folder = tmp_path_factory.mktemp("whole")
    one = whole(people(*ids), folder / "one")
    shuffle.shuffle(ids)
    two = whole(people(*ids), folder / "two", chunk=chunk)
    assert read(one, "account_id") == read(two, "account_id") == [(each,) for each in sorted(ids, key=str.encode)]
    assert one.fingerprint == two.fingerprint


@settings(max_examples=20, deadline=None)
@given(before=IDS, now=IDS)
def test_what_is_decided_now_takes_the_place_of_what_was_before(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], now: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("whole")
    old = whole(people(*before, outcome="nothing_due"), folder / "old").records
    new = whole(people(*now, outcome="queued"), folder / "new", old)
    outcomes = dict.fromkeys(before, "nothing_due") | dict.fromkeys(now, "queued")
    assert read(new, "account_id", "outcome") == sorted(outcomes.items(), key=lambda item: item[0].encode())
    cuts = sorted({*before[::3], *now[::4]}, key=str.encode)
    found = [sorted(each["account_id"].to_pylist(), key=str.encode) for each in new.records.ranges(cuts)]
    ends = [None, *(each.encode() for each in cuts), None]
    for low, high, ids in zip(ends[:-1], ends[1:], found, strict=True):
        assert ids == [
            each for each in sorted(outcomes, key=str.encode)
            if (low is None or each.encode() >= low) and (high is None or each.encode() < high)
        ]  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(ids=IDS, now=st.data())
def test_a_digest_that_is_carried_over_is_the_one_that_would_be_made_anew(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], now: st.DataObject
) -> None:
    """Accounts go, come back, are rejected, change, or have another outcome alone."""
    folder, old = tmp_path_factory.mktemp("whole"), None
    each = st.sampled_from(["outcome", "email", "groups", "gone", "rejected", "missing", "same"])
    for day in range(3):
        what = {id_: now.draw(each) for id_ in ids}
        known = recorded(*[person(id_) for id_ in ids], outcome="nothing_due")
        says = known["account_id"].map(what)
        known["outcome"] = known["outcome"].mask(says == "outcome", "queued").mask(says == "rejected", "rejected")
        known["email"] = known["email"].mask(says == "email", f"{day}@example.com").mask(says == "missing", None)
        known["groups"] = known["groups"].mask(says == "groups", f"g{day}")
        known["gone_at"] = known["gone_at"].mask(says == "gone", at("2024-01-02T14:00"))
        merged = whole(known, folder / f"merged {day}", old)
        assert merged.fingerprint == whole(known, folder / f"anew {day}").fingerprint
        old = merged.records


@settings(max_examples=20, deadline=None)
@given(ids=IDS, size=st.integers(1, 12))
def test_records_that_come_from_the_ledger_are_those_that_a_run_would_have_kept(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], size: int
) -> None:
    folder, ids = tmp_path_factory.mktemp("restored"), sorted(ids, key=str.encode)
    known = people(*ids).assign(outcome=["rejected" if i % 5 == 3 else "nothing_due" for i in range(len(ids))])
    known["gone_at"] = known["gone_at"].mask(pd.Series([i % 4 == 2 for i in range(len(ids))]), at("2024-01-02T14:00"))
    ranges = (pa.Table.from_pandas(known.iloc[i : i + size], preserve_index=False) for i in range(0, len(ids), size))
    found = restored(ranges, len(ids), folder)
    kept = whole(known, folder / "kept").records
    assert found.whole()
    columns = [name for name in records.SCHEMA.names if name != "plain"]
    theirs, ours = (pa.Table.from_batches(list(each.batches()), records.SCHEMA) for each in (kept, found))
    assert ours.select(columns).equals(theirs.select(columns))
    assert ours["plain"].to_pylist() == [each is not None for each in ours["digest"].to_pylist()]


@pytest.mark.parametrize(
    "change",
    [
        {"email": "x@example.com"},
        {"email": None},
        {"enabled": False},
        {"methods": 8},
        {"display_name": "x"},
        {"in_policy": True},
        {"in_policy": False},
        {"may_enrol": ""},
        {"groups": "x"},
        {"last_used_method": "sms"},
    ],
)
def test_the_fingerprint_changes_with_any_value(change: dict[str, Any], tmp_path: Path) -> None:
    assert whole(people("a", "b"), tmp_path / "1").fingerprint != whole(people("a", "b", **change), tmp_path / "2").fingerprint


def test_values_that_only_join_up_alike_have_other_fingerprints(tmp_path: Path) -> None:
    one = pd.concat([people("a", username="xy", department=None), people("b", username="z", department=None)])
    two = pd.concat([people("a", username="x", department=None), people("b", username="yz", department=None)])
    assert whole(one, tmp_path / "1").fingerprint != whole(two, tmp_path / "2").fingerprint


def test_those_who_are_gone_or_whose_row_was_rejected_are_no_part_of_the_read(tmp_path: Path) -> None:
    others = pd.concat([people("b", gone_at=at("2024-01-01 00:00")), people("c", outcome="rejected")])
    both = whole(pd.concat([people("a"), others]), tmp_path / "1")
    assert both.fingerprint == whole(people("a"), tmp_path / "2").fingerprint


def test_nobody_at_all_is_an_empty_whole(tmp_path: Path) -> None:
    found = whole(people().iloc[:0], tmp_path / "none")
    assert list(found.records.frames()) == []
    assert [each.num_rows for each in found.records.ranges([])] == [0]
