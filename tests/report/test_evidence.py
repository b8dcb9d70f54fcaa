import contextlib
import csv
import hashlib
import json
import os
import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report.conftest import CAST, SUMMARY, FrameChronicle

from migrate.errors import ReportError
from migrate.report import evidence, folder, tables
from migrate.report.settings import ReportsSettings
from migrate.report.verify import verify

GOLDEN = Path(__file__).parent / "golden"
Told = Callable[..., FrameChronicle]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def contents(at: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in at.iterdir()}


@contextmanager
def full_disk(after: int) -> Iterator[None]:
    """No file may grow beyond some bytes, as on a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def written(chronicle: Any, reports: ReportsSettings) -> evidence.Evidence:
    found = evidence.write(chronicle, reports, SUMMARY)
    assert found is not None
    return found


def test_the_evidence_of_the_cast_is_the_golden_one(
    chronicle: FrameChronicle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    found = written(chronicle, ReportsSettings(dir=Path("reports"), formats=("csv",)))
    assert found.folder == Path("reports/2024-01-02-r00003")
    assert contents(found.folder) == contents(GOLDEN)


def test_no_formats_mean_no_evidence(chronicle: FrameChronicle, tmp_path: Path) -> None:
    assert evidence.write(chronicle, ReportsSettings(dir=tmp_path / "reports", formats=()), SUMMARY) is None
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_the_size_of_chunks_changes_no_byte(told: Told, csv_only: ReportsSettings, chunk: int) -> None:
    whole, parts = written(told(), csv_only), written(told(chunk=chunk), csv_only)
    one, other = contents(whole.folder), contents(parts.folder)
    for name in ("accounts.csv", "action-list.csv", "summary.csv", "notices.csv"):
        assert one[name] == other[name]


def test_every_csv_is_rfc_4180_in_utf_8_with_lf_and_the_declared_header(chronicle: FrameChronicle, csv_only: ReportsSettings) -> None:
    found = written(chronicle, csv_only)
    for table in tables.TABLES:
        raw = (found.folder / f"{table.name}.csv").read_bytes()
        assert not raw.startswith(b"\xef\xbb\xbf")
        assert b"\r" not in raw
        assert raw.endswith(b"\n")
        read = list(csv.reader(raw.decode().splitlines(), strict=True))
        assert read[0] == list(table.columns)
        assert {len(row) for row in read} == {len(table.columns)}
        assert len(read) - 1 == found.rows[table.name]


def test_no_cell_of_any_table_is_a_formula(chronicle: FrameChronicle, csv_only: ReportsSettings) -> None:
    found = written(chronicle, csv_only)
    cells = [cell for path in found.folder.glob("*.csv") for row in rows(path) for cell in row.values()]
    numbers = [cell for cell in cells if cell.startswith("-")]
    assert all(cell.lstrip(" \"'")[:1] not in set("=+@") or cell.startswith("'") for cell in cells)
    assert all(number.removeprefix("-").isdigit() for number in numbers)
    eve = next(row for row in rows(found.folder / "accounts.csv") if row["account_id"] == "eve")
    assert eve["display_name"] == "'" + next(account["display_name"] for account in CAST if account["account_id"] == "eve")


def test_an_empty_campaign_has_every_table_with_its_header(told: Told, tmp_path: Path) -> None:
    found = written(told(records=(), mail=()), ReportsSettings(dir=tmp_path / "reports"))
    assert found.rows["accounts"] == found.rows["action-list"] == 0
    assert (found.folder / "accounts.csv").read_text().splitlines() == [",".join(tables.ACCOUNTS.columns)]
    assert pq.read_table(found.folder / "accounts.parquet").column_names == list(tables.ACCOUNTS.columns)


@pytest.mark.parametrize("chunk", [4, 1000])
def test_the_parquet_file_is_the_typed_twin_of_accounts_csv(told: Told, tmp_path: Path, chunk: int) -> None:
    found = written(told(chunk=chunk), ReportsSettings(dir=tmp_path / "reports", formats=("csv", "parquet")))
    twin = pq.read_table(found.folder / "accounts.parquet")
    assert [str(twin.schema.field(name).type) for name in ("privileged", "cutoff", "next_stage_on", "days_left", "email")] == [
        "bool",
        "timestamp[us, tz=UTC]",
        "date32[day]",
        "int64",
        "large_string",
    ]

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        iso = value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value
        return "" if iso is None else str(iso)

    assert [{name: text(value) for name, value in row.items()} for row in twin.to_pylist()] == rows(found.folder / "accounts.csv")


def test_a_format_that_was_not_asked_for_leaves_no_file(chronicle: FrameChronicle, tmp_path: Path) -> None:
    found = written(chronicle, ReportsSettings(dir=tmp_path / "reports", formats=("html",)))
    assert sorted(contents(found.folder)) == ["SHA256SUMS", "manifest.json", "report.html", "summary.json"]
    assert found.rows["accounts"] == 11


def test_the_manifest_names_every_file_with_its_hash_and_the_manifest_before(chronicle: FrameChronicle, tmp_path: Path) -> None:
    found = written(chronicle, ReportsSettings(dir=tmp_path / "reports"))
    raw = (found.folder / "manifest.json").read_bytes()
    manifest = json.loads(raw)
    assert found.manifest_digest == hashlib.sha256(raw).hexdigest()
    files = contents(found.folder)
    del files["manifest.json"], files["SHA256SUMS"]
    assert manifest["files"] == {n: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for n, data in files.items()}
    assert manifest["rows"] == found.rows
    assert manifest["previous"] == {"run_id": "r00002", "folder": "2023-12-15-r00002", "sha256": "0" * 64}
    assert (manifest["run_id"], manifest["campaign"], manifest["schema_version"]) == ("r00003", "sms-retirement", tables.SCHEMA_VERSION)
    assert manifest["evidence_at"] == "2024-01-02T14:00:09.250000Z"
    assert verify([found.folder]).problems == ()


def test_the_first_evidence_follows_none_and_holds_every_letter(told: Told, csv_only: ReportsSettings) -> None:
    found = written(told(previous=None), csv_only)
    assert json.loads((found.folder / "manifest.json").read_bytes())["previous"] is None
    assert found.rows["notices"] == 7


def test_summary_json_is_what_the_run_prints_with_the_folder_filled_in(chronicle: FrameChronicle, csv_only: ReportsSettings) -> None:
    found = written(chronicle, csv_only)
    assert json.loads((found.folder / "summary.json").read_bytes()) == {**SUMMARY, "evidence": str(found.folder)}


def test_evidence_is_for_its_owner_alone(chronicle: FrameChronicle, tmp_path: Path) -> None:
    found = written(chronicle, ReportsSettings(dir=tmp_path / "reports"))
    assert found.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in found.folder.iterdir()} == {0o600}


def test_latest_points_to_the_newest_and_what_is_there_is_never_written_over(chronicle: FrameChronicle, csv_only: ReportsSettings) -> None:
    first = written(chronicle, csv_only)
    before = contents(first.folder)
    second = written(chronicle, csv_only)
    assert (first.folder.name, second.folder.name) == ("2024-01-02-r00003", "2024-01-02-r00003-2")
    assert contents(first.folder) == before
    assert folder.newest(csv_only.dir) == second.folder
    assert (csv_only.dir / "latest").resolve() == second.folder.resolve()
    assert sorted(path.name for path in csv_only.dir.iterdir()) == [first.folder.name, second.folder.name, "latest"]


def test_where_links_are_impossible_latest_is_a_text_file(
    chronicle: FrameChronicle, csv_only: ReportsSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("os.symlink", refuse)
    found = written(chronicle, csv_only)
    assert (csv_only.dir / "latest").read_text() == "2024-01-02-r00003\n"
    assert folder.newest(csv_only.dir) == found.folder


def test_a_failure_half_way_leaves_no_folder_and_latest_as_it_was(chronicle: FrameChronicle, told: Told, csv_only: ReportsSettings) -> None:
    first = written(chronicle, csv_only)

    class Breaks(FrameChronicle):
        def changes(self) -> Iterator[pd.DataFrame]:
            raise RuntimeError("the ledger went away")

    with pytest.raises(RuntimeError, match="went away"):
        evidence.write(Breaks(), csv_only, SUMMARY)
    assert sorted(path.name for path in csv_only.dir.iterdir()) == [first.folder.name, "latest"]
    assert folder.newest(csv_only.dir) == first.folder


def test_a_failure_among_the_accounts_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    class Breaks(FrameChronicle):
        def accounts(self) -> Iterator[pa.Table]:
            yield from islice(super().accounts(), 2)
            raise RuntimeError("the ledger went away")

    reports = ReportsSettings(dir=tmp_path / "reports", formats=("csv", "parquet"))
    with pytest.raises(RuntimeError, match="went away"):
        evidence.write(Breaks(chunk=3), reports, SUMMARY)
    assert list(reports.dir.iterdir()) == []


@pytest.mark.parametrize("formats", [("csv",), ("parquet",), ("html",), ("xlsx",)])
def test_a_full_disk_is_explained_and_leaves_nothing(chronicle: FrameChronicle, tmp_path: Path, formats: Any) -> None:
    reports = ReportsSettings(dir=tmp_path / "reports", formats=formats)
    with full_disk(after=800), pytest.raises(ReportError) as caught:
        evidence.write(chronicle, reports, SUMMARY)
    assert "cannot be written" in str(caught.value)
    assert str(reports.dir) in str(caught.value)
    assert list(reports.dir.iterdir()) == []


def test_a_file_in_place_of_the_report_folder_is_explained(chronicle: FrameChronicle, csv_only: ReportsSettings) -> None:
    csv_only.dir.write_text("not a folder")
    for attempt in (lambda: folder.writable(csv_only.dir), lambda: evidence.write(chronicle, csv_only, SUMMARY)):
        with pytest.raises(ReportError) as caught:
            attempt()
        assert caught.value.where == "[reports] dir"
        assert "\n" not in str(caught.value)
    assert csv_only.dir.read_text() == "not a folder"


def test_runs_that_try_the_folder_at_the_same_moment_are_not_in_each_others_way(csv_only: ReportsSettings) -> None:
    with ThreadPoolExecutor(8) as pool:
        for tried in [pool.submit(folder.writable, csv_only.dir) for _ in range(400)]:
            tried.result()
    assert list(csv_only.dir.iterdir()) == []


def test_trying_the_folder_writes_to_no_file_that_a_link_is_put_before_it(csv_only: ReportsSettings, tmp_path: Path) -> None:
    """Somebody who owns the folder too exchanges everything that appears in it for a link to a file of ours."""
    victim, prize = tmp_path / "victim", tmp_path / "prize"
    victim.write_text("precious")
    prize.mkdir()
    csv_only.dir.mkdir()
    done, swapped = threading.Event(), 0

    def swap() -> None:
        nonlocal swapped
        while not done.is_set():
            for found in csv_only.dir.iterdir():
                with contextlib.suppress(OSError):
                    found.rename(prize / f"{swapped}")
                    found.symlink_to(victim if swapped % 2 else prize)
                    swapped += 1

    with ThreadPoolExecutor(1) as attacker:
        at_work = attacker.submit(swap)
        for _ in range(300):
            with contextlib.suppress(ReportError):
                folder.writable(csv_only.dir)
        done.set()
        at_work.result()
    assert swapped > 30
    assert victim.read_text() == "precious"
    assert [found for found in prize.iterdir() if not found.name.isdecimal()] == []


def test_looking_whether_reports_can_be_written_makes_the_folder_and_leaves_nothing_in_it(csv_only: ReportsSettings) -> None:
    folder.writable(csv_only.dir)
    assert list(csv_only.dir.iterdir()) == []


def test_a_full_disk_is_found_before_anything_is_sent(csv_only: ReportsSettings) -> None:
    with full_disk(after=100), pytest.raises(ReportError):
        folder.writable(csv_only.dir)
    assert list(csv_only.dir.iterdir()) == []


def test_a_folder_called_latest_is_found_before_anything_is_sent(csv_only: ReportsSettings) -> None:
    (csv_only.dir / "latest").mkdir(parents=True)
    with pytest.raises(ReportError, match="mv "):
        folder.writable(csv_only.dir)


def test_what_only_looks_like_the_folder_of_a_killed_process_stays(chronicle: FrameChronicle, csv_only: ReportsSettings) -> None:
    left = csv_only.dir / ".2024-01-01-r00001.tmp-aaaaaaaaaaaaaaaa"
    left.mkdir(parents=True)
    (left / "accounts.csv").write_text("half")
    os.utime(left, (0, 0))
    written(chronicle, csv_only)
    assert (left / "accounts.csv").read_text() == "half"


def test_a_missing_xlsxwriter_is_said_before_anything_is_written(
    chronicle: FrameChronicle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(ReportError, match="pip install xlsxwriter"):
        evidence.write(chronicle, ReportsSettings(dir=tmp_path / "reports", formats=("csv", "xlsx")), SUMMARY)
    assert not (tmp_path / "reports").exists()


def test_a_rebuilt_report_says_so_has_the_same_tables_and_leaves_latest(chronicle: FrameChronicle, csv_only: ReportsSettings) -> None:
    first = written(chronicle, csv_only)
    again = evidence.rebuild(chronicle, csv_only, SUMMARY)
    assert again is not None
    assert again.folder.name == "2024-01-02-r00003-2"
    for table in tables.TABLES:
        assert (again.folder / f"{table.name}.csv").read_bytes() == (first.folder / f"{table.name}.csv").read_bytes()
    assert json.loads((again.folder / "manifest.json").read_bytes())["rebuilt"] is True
    assert folder.newest(csv_only.dir) == first.folder


def test_a_report_is_rebuilt_into_an_empty_folder_and_into_no_other(
    chronicle: FrameChronicle, csv_only: ReportsSettings, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    found = evidence.rebuild(chronicle, csv_only, SUMMARY, out)
    assert found is not None
    assert found.folder == out
    before = contents(out)
    with pytest.raises(ReportError, match="never written over"):
        evidence.rebuild(chronicle, csv_only, SUMMARY, out)
    assert contents(out) == before


def test_many_departments_in_any_chunk_keep_the_order_of_the_action_list(told: Told, csv_only: ReportsSettings) -> None:
    from report.conftest import instant, record

    people = tuple(
        record(
            f"p{n:03d}",
            privileged=n % 7 == 0,
            destination=["no", "yes", "unknown"][n % 11 % 3],
            department=[None, "", "Sales", "Ärzte", "IT"][n % 5],
            cutoff=instant(["2024-02-01T08:00:00Z", "2024-01-15T08:00:00Z"][n % 2]),
        )
        for n in range(60)
    )
    found = written(told(records=people, mail=(), chunk=7), csv_only)
    listed = [row["account_id"] for row in rows(found.folder / "action-list.csv")]

    def key(person: dict[str, Any]) -> tuple[Any, ...]:
        first = (person["destination"] != "no", not person["privileged"])
        return *first, person["cutoff"], person["department"] is None, person["department"] or "", person["account_id"]

    assert listed == [person["account_id"] for person in sorted(people, key=key)]
