"""Frames in private files, in order of account id."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import pytest

from migrate.files import spill
from migrate.files.spill import Sorted


def kept(folder: Path, rows: int) -> Sorted:
    everybody = Sorted(folder / "everybody.arrow")
    for start in range(0, rows, 100):
        ids = [f"p{number:06}" for number in range(start, min(start + 100, rows))]
        everybody.append(pd.DataFrame({"account_id": ids, "text": [each * 20 for each in ids]}))
    everybody.close()
    return everybody


@pytest.mark.parametrize(("held", "gathered"), [(10_000, 65_536), (100, 65_536), (100, 1_000)])
def test_a_range_has_its_rows_wherever_they_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int, gathered: int) -> None:
    monkeypatch.setattr(spill, "_HELD", held)
    monkeypatch.setattr(spill, "_GATHERED", gathered)
    everybody = kept(tmp_path, 5_000)
    assert (tmp_path / "everybody.arrow").exists() == (held < 5_000)
    for low, high in ((0, 10), (2_040, 2_060), (990, 3_010), (4_990, 5_000)):
        found = everybody.between(f"p{low:06}", f"p{high:06}")
        assert found is not None
        assert sorted(found["account_id"].to_pylist()) == [f"p{number:06}" for number in range(low, high)]


def test_a_few_rows_out_of_a_file_do_not_keep_their_batch_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "_HELD", 100)
    few = kept(tmp_path, 5_000).between("p000100", "p000120")
    assert few is not None
    assert few.get_total_buffer_size() < 2 * few.nbytes


def test_ranges_are_about_equal_however_many_pieces_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "_GATHERED", 4_096)
    monkeypatch.setattr(spill, "BATCH", 128)
    ids = pd.Series([f"{number:08}" for number in range(81_920)]).sample(frac=1, random_state=1)
    everybody = Sorted(tmp_path / "everybody.arrow")
    for start in range(0, len(ids), 4_096):
        everybody.append(pd.DataFrame({"account_id": ids.iloc[start : start + 4_096]}))
    everybody.close()
    cuts = everybody.cuts(1_024)
    sizes = [found.num_rows for low, high in zip([None, *cuts], [*cuts, None], strict=True) if (found := everybody.between(low, high))]
    assert sum(sizes) == 81_920
    assert max(sizes) < 2 * 1_024


@pytest.mark.parametrize("in_order", [True, False])
def test_ranges_one_after_the_other_read_each_batch_once(in_order: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pieces there are: otherwise time would grow with the square of the rows."""
    monkeypatch.setattr(spill, "_GATHERED", 512)
    monkeypatch.setattr(spill, "BATCH", 64)
    ids = [f"{n:06}" for n in range(8_192)]
    if not in_order:
        random.Random(1).shuffle(ids)
    everybody = Sorted(tmp_path / "x.arrow")
    for start in range(0, len(ids), 512):
        everybody.append(pd.DataFrame({"account_id": pd.array(ids[start : start + 512], dtype="str")}))
    everybody.close()
    read: list[int] = []
    batch = Sorted._batch
    monkeypatch.setattr(Sorted, "_batch", lambda self, number: read.append(number) or batch(self, number))  # type: ignore[func-returns-value]
    cuts = everybody.cuts(256)
    found: list[str] = []
    for low, high in zip([None, *cuts], [*cuts, None], strict=True):
        table = everybody.between(low, high)
        assert table is not None
        found += sorted(table["account_id"].to_pylist())
    assert found == sorted(ids)
    assert len(cuts) > 20
    twice = len(read) - len(set(read))
    assert twice <= (len(cuts) if in_order else len(cuts) // 2)
