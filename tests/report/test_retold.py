"""Evidence beside the ledger: an edited ledger tells otherwise, and evidence that the ledger knows is missed."""

import shutil
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from report.conftest import TERMS
from report.test_moves import Life
from report.test_recall import DAY_ONE
from report.test_verify import forge

from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.report import tables
from migrate.report.retold import retold
from migrate.report.settings import ReportsSettings
from migrate.report.verify import verify

STANDINGS = ("sms_only", "sms_default", "migrated", "sms_fallback", "inactive", "exempt")


def lived(ledger: Ledger, reports: ReportsSettings, days: int) -> list[Path]:
    life, found = Life(ledger, reports), []
    for day in range(days):
        _, written = life.live({f"p{n}": STANDINGS[(n + day * (n % 3)) % 6] for n in range(12)}, DAY_ONE + timedelta(days=day))
        assert written is not None
        found.append(written.folder)
    return found


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(LedgerSettings(url=f"sqlite:///{tmp_path / 'm.db'}"), create=True) as opened:
        yield opened


@pytest.fixture
def chain(ledger: Ledger, tmp_path: Path) -> list[Path]:
    return lived(ledger, ReportsSettings(dir=tmp_path / "reports", formats=("csv", "parquet")), 4)


def wrong(ledger: Ledger, place: Path) -> list[str]:
    found = verify([place])
    assert found.problems == ()
    with ledger.read() as connection:
        return [f"{each.folder.name}: {each.what}" for each in retold(connection, TERMS.campaign, found.evidence)]


def test_an_untouched_ledger_tells_the_same(ledger: Ledger, chain: list[Path]) -> None:
    assert wrong(ledger, chain[0].parent) == []
    assert wrong(ledger, chain[2]) == []


@pytest.mark.soak
def test_an_untouched_year_passes(ledger: Ledger, tmp_path: Path) -> None:
    chain = lived(ledger, ReportsSettings(dir=tmp_path / "reports", formats=("csv",)), 365)
    assert wrong(ledger, chain[0].parent) == []


@pytest.mark.parametrize(
    ("edit", "run", "said"),
    [
        (
            "UPDATE account_history SET standing = 'sms_only' WHERE until_run = 3 AND account_id = 'p1'",
            1,
            "first in row 2 (p1): standing is 'migrated' in the file, and 'sms_only' in the ledger.",
        ),
        (
            "UPDATE account SET department = 'Nobody' WHERE account_id = 'p0'",
            3,
            "first in row 1 (p0): department is 'Sales' in the file, and 'Nobody' in the ledger.",
        ),
        ("DELETE FROM account WHERE account_id = 'p9'", 3, "it has fewer rows."),
    ],
)
def test_an_edited_ledger_is_found(ledger: Ledger, chain: list[Path], tmp_path: Path, edit: str, run: int, said: str) -> None:
    with sqlite3.connect(tmp_path / "m.db") as by_hand:
        assert by_hand.execute(edit).rowcount == 1
    found = [each for each in wrong(ledger, chain[0].parent) if f"{chain[run].name}: accounts.csv: the ledger tells otherwise" in each]
    assert [each for each in found if each.endswith(said)], found


def test_evidence_that_was_forged_to_its_end_is_found_by_the_digest_that_the_ledger_kept(ledger: Ledger, chain: list[Path]) -> None:
    forge(chain[3], b"sms_only", b"migrated")
    assert f"{chain[3].name}: manifest.json is not the one whose digest the ledger kept." in wrong(ledger, chain[3])


def test_evidence_that_the_ledger_knows_is_missed_whatever_latest_says(ledger: Ledger, chain: list[Path]) -> None:
    shutil.rmtree(chain[3])
    latest = chain[0].parent / "latest"
    latest.unlink()
    latest.symlink_to(chain[2].name)
    assert wrong(ledger, chain[0].parent) == [f"{chain[3].name}: the ledger knows this evidence of run r00004, and it is not here."]


def test_evidence_of_a_run_that_the_ledger_does_not_know_is_said(ledger: Ledger, chain: list[Path], tmp_path: Path) -> None:
    with Ledger.open(LedgerSettings(url=f"sqlite:///{tmp_path / 'other.db'}"), create=True) as other:
        lived(other, ReportsSettings(dir=tmp_path / "others", formats=("csv",)), 1)
        assert wrong(other, chain[2]) == [f"{chain[2].name}: the ledger knows no run r00003."]


def test_evidence_of_an_earlier_version_is_compared_in_the_columns_that_it_has(
    ledger: Ledger, chain: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns are only ever added."""
    more = tables.Table("changes", "Changes", {**tables.CHANGES.columns, "more": "integer"})
    monkeypatch.setattr(tables, "SCHEMA_VERSION", tables.SCHEMA_VERSION + 1)
    monkeypatch.setattr(tables, "CHANGES", more)
    monkeypatch.setattr(tables, "changes_table", lambda frame, at: frame.assign(more=1, had="", has="")[list(more.columns)])
    assert wrong(ledger, chain[2]) == []


def test_evidence_without_csv_is_compared_by_its_rows(ledger: Ledger, tmp_path: Path) -> None:
    (only,) = lived(ledger, ReportsSettings(dir=tmp_path / "reports", formats=("parquet",)), 1)
    assert wrong(ledger, only) == []
    with sqlite3.connect(tmp_path / "m.db") as by_hand:
        by_hand.execute("DELETE FROM account WHERE account_id = 'p9'")
    said = wrong(ledger, only)
    assert f"{only.name}: accounts had 12 rows, and the ledger tells of 11." in said
    assert f"{only.name}: accounts.parquet: the ledger tells otherwise." in said
