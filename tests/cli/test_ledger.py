"""`migrate ledger`: what it finds, and what it upgrades."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from campaigns import Campaign

from migrate.cli import main
from migrate.ledger import revisions


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    made = Campaign(tmp_path)
    made.person("ann")
    made.run("2024-01-02 14:00")
    return made


def called(campaign: Campaign, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["--config", str(campaign.path), "ledger", *arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def corrupt(campaign: Campaign, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(campaign.ledger)) as database, database:
        database.execute(sql)


def test_a_ledger_after_a_run_is_found_in_order(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = called(campaign, capsys, "check")
    assert code == 0
    assert "leases          ok  a letter has an owner and a lease if, and only if, it is claimed or sending\n" in said
    assert called(campaign, capsys, "check", "--quiet") == (0, "")


def test_what_does_not_agree_is_listed_and_the_exit_code_is_2(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    corrupt(campaign, "UPDATE letter SET owner = 'somebody'")
    code, said = called(campaign, capsys, "check", "--quiet")
    assert code == 2
    assert said.startswith("leases          1 wrong: it should hold that")
    assert "\n  letter " in said
    assert said.endswith("does not agree with itself. Keep a copy, stop cron, and put a backup in its place.\n")
    code, said = called(campaign, capsys, "check", "--json")
    told = json.loads(said)
    assert (code, told["ok"]) == (2, False)
    assert [each["check"] for each in told["checks"] if each["wrong"]] == ["leases"]


def test_a_ledger_of_this_version_is_left_alone(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = called(campaign, capsys, "upgrade")
    assert (code, said) == (0, f"{campaign.ledger} has the tables of this version already ({revisions.HEAD}).\n")


def test_an_older_ledger_is_upgraded_and_the_copy_named(
    campaign: Campaign, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    corrupt(campaign, "UPDATE alembic_version SET version_num = '0000'")
    code, said = called(campaign, capsys, "check")
    assert code == 2
    assert "was written by an older version (tables 0000). `migrate ledger upgrade` upgrades it" in said
    monkeypatch.setattr(revisions, "require_older", lambda found, described: None)
    monkeypatch.setattr(
        revisions, "upgrade", lambda connection: connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revisions.HEAD}'")
    )
    code, said = called(campaign, capsys, "upgrade", "--json")
    kept = campaign.ledger.with_name("migrate.db.0000.bak")
    assert json.loads(said) == {"ledger": str(campaign.ledger), "from": "0000", "to": revisions.HEAD, "copy": str(kept)}
    assert kept.exists()
    assert called(campaign, capsys, "check", "--quiet") == (0, "")


def test_there_is_nothing_to_upgrade_before_the_first_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = called(Campaign(tmp_path), capsys, "upgrade")
    assert code == 2
    assert "there is no ledger at" in said
