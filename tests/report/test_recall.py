"""The chronicle of a real ledger: what happened afterwards never changes what is told of a run."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from report.conftest import CHANGE_ROWS, EXEMPTION_ROWS, REJECTED_ROWS, SUMMARY, TERMS, frame, instant, record

from migrate.core.accounts import RECORD_COLUMNS
from migrate.core.changes import CHANGE_COLUMNS
from migrate.directory.snapshot import REJECTED_COLUMNS
from migrate.incremental.records import SCHEMA, RecordFile, Records
from migrate.ledger import account_rows as ledger_record
from migrate.ledger import runs, schema
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.outbox.claims import Claims, Settlement
from migrate.outbox.queueing import QUEUE_COLUMNS, enqueue
from migrate.report import evidence, folder, recall, tables
from migrate.report.recall import Recall, of_run
from migrate.report.settings import ReportsSettings

DAY_ONE = datetime(2024, 1, 2, 14, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path / 'migrate.db'}" if request.param == "sqlite" else str(request.getfixturevalue(f"{request.param}_url"))
    with Ledger.open(LedgerSettings(url=url), create=True) as opened:
        yield opened


def to_queue(*ids: str, occasion: str = "T-30") -> pd.DataFrame:
    same = {
        "tenure": 1,
        "kind": "reminder",
        "occasion": occasion,
        "told_cutoff": "2024-02-01T08:00:00Z",
        "change_seq": 0,
        "language": "en",
        "standing": "sms_only",
        "days_left": 30,
        "facts": "{}",
        "role": "primary",
        "ends": instant("2024-02-01T08:00:00Z"),
        "priority": 1,
        "last_told_at": pd.NaT,
    }
    rows = [
        {**same, "account_id": account_id, "address": f"{account_id}@example.com", "message_id": f"<{account_id}{occasion}@example.com>"}
        for account_id in ids
    ]
    made = pd.DataFrame(rows)
    made["last_told_at"] = pd.to_datetime(made["last_told_at"], utc=True)
    return made.astype(QUEUE_COLUMNS)


def run_of(connection: sa.Connection, as_of: datetime, records: list[dict[str, Any]], counts: dict[str, int]) -> runs.Run:
    campaign_id = ledger_record.ensure_campaign(connection, TERMS.campaign, as_of)
    facts = runs.RunFacts(
        as_of=as_of,
        started_at=as_of,
        baseline=False,
        read=len(records),
        rejected=0,
        basis="b",
        directory="a test",
        directory_read_at=as_of,
        opens="2023-08-01",
        cutoff=TERMS.cutoff,
        timezone=TERMS.timezone,
        config_digest="c" * 64,
        mail_digest="m" * 64,
        tool_version="0.1.0",
    )
    this = runs.begin(connection, campaign_id, facts)
    ledger_record.record_accounts(connection, campaign_id, this.seq, frame(records, RECORD_COLUMNS))
    runs.record_counts(connection, this.seq, {"standing": counts, "terms": TERMS.to_json()})
    runs.record_fingerprint(connection, this.seq, "f" * 64)
    return runs.find(connection, this.seq)


def reported(ledger: Ledger, run: runs.Run, reports: ReportsSettings, at: datetime) -> evidence.Evidence:
    with ledger.read() as connection:
        found = evidence.write(of_run(connection, run, at), reports, SUMMARY)
    assert found is not None
    with ledger.begin() as connection:
        runs.complete(
            connection,
            run.seq,
            finished_at=at,
            evidence=str(found.folder),
            evidence_at=at,
            manifest_digest=found.manifest_digest,
        )
    return found


def first_run(ledger: Ledger) -> runs.Run:
    people = [record("ann"), record("Zoe", department="Ärzte"), record("bob", "sms_default", privileged=True), record("cat", "migrated")]
    with ledger.begin() as connection:
        run = run_of(connection, DAY_ONE, people, {"sms_only": 2, "sms_default": 1, "migrated": 1})
        enqueue(connection, run.campaign_id, run.seq, to_queue("ann", "bob"), DAY_ONE)
        seen = frame([{**row, "seq": 1} for row in CHANGE_ROWS], CHANGE_COLUMNS)
        ledger_record.record_changes(connection, run.campaign_id, run.seq, seen)
        ledger_record.record_rejections(connection, run.seq, frame(REJECTED_ROWS, REJECTED_COLUMNS))
        for row in EXEMPTION_ROWS:
            plain = {**row, "created_at": row["created_at"].to_pydatetime()}
            connection.execute(sa.insert(schema.exemption).values(campaign_id=run.campaign_id, **plain))
    worker = Claims(ledger, run.campaign_id, "worker", timedelta(minutes=5))
    (first,) = worker.exchange([], DAY_ONE + SECOND).begun
    assert worker.settle(first, Settlement("sent", reply="250 Ok", subject="Text-message codes end", mail_digest="m"), DAY_ONE + 2 * SECOND)
    return run


def later_life(ledger: Ledger, run: runs.Run) -> runs.Run:
    """A day later everything is different, and `ann` is gone."""
    worker = Claims(ledger, run.campaign_id, "worker", timedelta(minutes=5))
    (second,) = worker.exchange([], DAY_ONE + timedelta(hours=1)).begun
    refused = Settlement("failed", reply="550 5.1.1 unknown", subject="Text-message codes", mail_digest="m")
    assert worker.settle(second, refused, DAY_ONE + timedelta(hours=2))
    day_two = DAY_ONE + timedelta(days=1)
    with ledger.begin() as connection:
        people = [
            record("ann", gone_at=instant("2024-01-03T14:00:00Z")),
            record("bob", "migrated"),
            record("dan", first_seen_at=pd.Timestamp(day_two)),
        ]
        after = run_of(connection, day_two, people, {"sms_only": 2, "migrated": 2})
        enqueue(connection, run.campaign_id, after.seq, to_queue("dan", "bob", occasion="T-29"), day_two)
        closed = frame([{**row, "seq": 1} for row in CHANGE_ROWS], tables.CHANGE_COLUMNS)
        ledger_record.close_changes(connection, run.campaign_id, closed, "confirmed", day_two)
        connection.execute(sa.update(schema.exemption).values(removed_at=day_two, removed_by="jo", removed_reason="is back"))
    return after


def test_a_past_run_rebuilt_from_the_ledger_has_the_same_bytes(ledger: Ledger, tmp_path: Path) -> None:
    reports = ReportsSettings(dir=tmp_path / "reports")
    run = first_run(ledger)
    fresh = reported(ledger, run, reports, DAY_ONE + 5 * SECOND)
    after = reported(ledger, later_life(ledger, run), reports, DAY_ONE + timedelta(days=1, seconds=5))
    with ledger.read() as connection:
        again = evidence.rebuild(of_run(connection, runs.find(connection, run.seq)), reports, SUMMARY, tmp_path / "again")
    assert again is not None
    assert fresh.rows == again.rows == {
        "accounts": 4, "action-list": 3, "summary": 5, "moves": 3, "notices": 2, "changes": 2, "exemptions": 2, "rejected": 2,
        "columns": again.rows["columns"],
    }  # fmt: skip
    for name in [*(f"{table.name}.csv" for table in tables.TABLES), "accounts.parquet", "report.html"]:
        assert (again.folder / name).read_bytes() == (fresh.folder / name).read_bytes(), name
    assert after.rows == {
        "accounts": 4, "action-list": 2, "summary": 4, "moves": 3, "notices": 3, "changes": 0, "exemptions": 2, "rejected": 0,
        "columns": again.rows["columns"],
    }  # fmt: skip
    assert folder.newest(reports.dir) == after.folder


def test_the_day_after_tells_what_the_day_after_knew(ledger: Ledger, tmp_path: Path) -> None:
    reports = ReportsSettings(dir=tmp_path / "reports", formats=("csv",))
    run = first_run(ledger)
    first = reported(ledger, run, reports, DAY_ONE + 5 * SECOND)
    second = reported(ledger, later_life(ledger, run), reports, DAY_ONE + timedelta(days=1, seconds=5))
    accounts = pd.read_csv(second.folder / "accounts.csv", dtype=str, keep_default_na=False).set_index("account_id")
    assert accounts.index.tolist() == ["Zoe", "bob", "cat", "dan"]
    notices = pd.read_csv(second.folder / "notices.csv", dtype=str, keep_default_na=False)
    assert sorted(zip(notices["account_id"], notices["occasion"], notices["state"], strict=True)) == [
        ("bob", "T-29", "queued"), ("bob", "T-30", "failed"), ("dan", "T-29", "queued"),
    ]  # fmt: skip
    import json

    manifest = json.loads((second.folder / "manifest.json").read_bytes())
    assert manifest["previous"] == {"run_id": run.run_id, "folder": first.folder.name, "sha256": first.manifest_digest}


def test_letters_know_their_attempts_and_times_as_of_the_instant(ledger: Ledger) -> None:
    run = first_run(ledger)
    later_life(ledger, run)
    with ledger.read() as connection:
        (before,) = of_run(connection, run, DAY_ONE + 5 * SECOND).letters()
        (early,) = of_run(connection, run, DAY_ONE + SECOND / 2).letters()
        (none,) = of_run(connection, run, DAY_ONE - SECOND).letters()
        of_accounts = of_run(connection, run, DAY_ONE + 5 * SECOND).letters_of("ann", "zed")
    told = before.set_index("account_id")
    assert list(before.columns) == list(tables.LETTER_COLUMNS)
    assert {name: str(dtype) for name, dtype in before.dtypes.items()} == dict(tables.LETTER_COLUMNS)
    assert told.loc["ann", ["state", "attempts", "reply"]].tolist() == ["sent", 1, "250 Ok"]
    assert told.loc["ann", "settled_at"] == told.loc["ann", "changed_at"] == instant("2024-01-02T14:00:02Z")
    assert told.loc["bob", ["state", "attempts"]].tolist() == ["queued", 0]
    assert pd.isna(told.loc["bob", "settled_at"])
    assert early["state"].tolist() == ["queued", "queued"]
    assert none.empty
    pd.testing.assert_frame_equal(of_accounts, before[list(tables.TOLD_COLUMNS)], check_index_type=False)


def test_the_size_of_pages_changes_nothing(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = first_run(ledger)
    at = DAY_ONE + 5 * SECOND
    whole = reported(ledger, run, ReportsSettings(dir=tmp_path / "whole", formats=("csv",)), at)
    monkeypatch.setattr(recall, "_CHUNK", 1)
    parts = reported(ledger, run, ReportsSettings(dir=tmp_path / "parts", formats=("csv",)), at)
    for table in tables.TABLES:
        assert (parts.folder / f"{table.name}.csv").read_bytes() == (whole.folder / f"{table.name}.csv").read_bytes()


@pytest.mark.parametrize("batch", [2, 3, 1000])
def test_what_a_run_has_at_hand_and_what_the_ledger_remembers_make_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Whatever pieces they come in, and the twin to the last byte."""
    monkeypatch.setattr(recall, "_CHUNK", 4)
    monkeypatch.setattr(recall, "_TOGETHER", 5)
    people = [record(f"p{n:02d}", ["sms_only", "migrated"][n % 2], display_name=["=1", None, "Zoë, Ÿ"][n % 3]) for n in range(23)]
    people[7] |= {"gone_at": instant("2024-01-02T14:00:00Z")}
    reports = ReportsSettings(dir=tmp_path / "reports", formats=("csv", "parquet"))
    with Ledger.open(LedgerSettings(url=f"sqlite:///{tmp_path / 'migrate.db'}"), create=True) as ledger:
        with ledger.begin() as connection:
            run = run_of(connection, DAY_ONE, people, {"sms_only": 12, "migrated": 10})
            enqueue(connection, run.campaign_id, run.seq, to_queue("p00", "p08", "p22"), DAY_ONE)
        with ledger.read() as connection:
            of_ledger = Recall(connection, run, TERMS, DAY_ONE + SECOND)
            first = evidence.write(of_ledger, reports, SUMMARY)
            at_hand = kept(frame(people, RECORD_COLUMNS).assign(plain=True), tmp_path / "records.arrow", batch)
            second = evidence.write(replace(of_ledger, records=at_hand), reports, SUMMARY)
    assert first is not None
    assert second is not None
    for name in [*(f"{table.name}.csv" for table in tables.TABLES), "accounts.parquet"]:
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes(), name
    assert pq.ParquetFile(first.folder / "accounts.parquet").num_row_groups == 5


def kept(people: pd.DataFrame, path: Path, batch: int) -> Records:
    """Accounts in the file that a run keeps them in, so many a batch."""
    table = pa.Table.from_pandas(people.assign(digest=b"\0" * 32), preserve_index=False).select(SCHEMA.names).cast(SCHEMA)
    with pa.ipc.new_file(str(path), SCHEMA) as out:
        out.write_table(table, max_chunksize=batch)
    return Records((RecordFile(path, len(people), tuple(people["account_id"][::batch]), ""),))


@given(st.lists(st.integers(0, 7), max_size=12), st.integers(1, 6))
def test_parts_of_any_size_become_parts_of_one_size(sizes: list[int], rows: int) -> None:
    numbers = pa.table({"number": range(sum(sizes))})
    starts = [sum(sizes[:at]) for at in range(len(sizes))]
    found = list(recall.evenly((numbers.slice(start, size) for start, size in zip(starts, sizes, strict=True)), rows))
    assert [number for part in found for number in part["number"].to_pylist()] == list(range(sum(sizes)))
    assert {part.num_rows for part in found[:-1]} <= {rows}
    assert all(0 < part.num_rows <= rows for part in found)


def test_the_burn_down_has_the_last_run_of_each_day(ledger: Ledger) -> None:
    run = first_run(ledger)
    with ledger.begin() as connection:
        again = run_of(connection, DAY_ONE + timedelta(hours=3), [record("eve")], {"sms_only": 5})
        run_of(connection, DAY_ONE + timedelta(days=2), [record("fay")], {"sms_only": 6})
    with ledger.read() as connection:
        first = of_run(connection, run, DAY_ONE).days()
        days = of_run(connection, replace(again, evidence_at=DAY_ONE), None).days()
    assert [day.standing["sms_only"] for day in first] == [2]
    assert [(day.on.isoformat(), day.standing) for day in days] == [("2024-01-02", {"sms_only": 5})]
