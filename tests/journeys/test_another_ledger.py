"""A ledger that is not the one of the evidence beside it: nothing is sent, exit 2, and the way back as docs/operate.md says it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from office import Done, Office
from variants import covering

from migrate.config import load
from migrate.ledger.engine import Ledger

T30, T29, T14, T13, T7 = "2024-01-02T06:00", "2024-01-03T06:00", "2024-01-18T06:00", "2024-01-19T06:00", "2024-01-25T06:00"
COMMANDS = {
    "run": ("run", "--as-of", T13),
    "send": ("send", "--as-of", T13),
    "dry-run": ("dry-run", "--as-of", T13),
    "report": ("report",),
    "status": ("status", "--max-age", "26h"),
    "explain": ("explain", "ada"),
    "exempt": ("exempt", "add", "ada", "--until", "2024-03-01", "--owner", "jo", "--reason", "at sea"),
    "resend": ("resend", "--state", "failed", "--reply", "no", "--reason", "mended", "--yes"),
    "bounces": ("bounces", "list"),
}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """Ada and Bob were told of T-30, a backup was made, they were told of T-14, and Cem of it alone, who was hired meanwhile."""
    office = Office(tmp_path_factory.mktemp("lived") / "office")
    office.hire("ada")
    office.hire("bob")
    office.run(T30)
    keep(office, "backup.db")
    office.hire("cem")
    office.run(T14)
    assert len(office.mails()) == 5
    return office


@pytest.fixture
def campaign(lived: Office, tmp_path: Path) -> Office:
    """That campaign, in a folder of the test."""
    return Office(shutil.copytree(lived.folder, tmp_path / "office", symlinks=True), deepcopy(lived.people))


@pytest.fixture(scope="module")
def another(lived: Office, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger of a campaign of the same name, days and accounts."""
    office = Office(tmp_path_factory.mktemp("another") / "office", deepcopy(lived.people))
    office.run(T30)
    office.run(T14)
    return ledger_of(office)


def keep(office: Office, name: str) -> None:
    """A backup as docs/operate.md makes it."""
    with (
        contextlib.closing(sqlite3.connect(ledger_of(office))) as ledger,
        contextlib.closing(sqlite3.connect(office.folder / name)) as copy,
    ):
        ledger.backup(copy)


def ledger_of(office: Office) -> Path:
    return office.folder / "migrate.db"


def lose(office: Office) -> None:
    for path in office.folder.glob("migrate.db*"):
        if path.is_file():
            path.unlink()


def empty(office: Office) -> None:
    lose(office)
    ledger_of(office).touch()


def truncate_to_no_tables(office: Office) -> None:
    lose(office)
    with contextlib.closing(sqlite3.connect(ledger_of(office))) as database:
        database.execute("PRAGMA journal_mode = WAL")


def roll_back(office: Office) -> None:
    lose(office)
    shutil.copy(office.folder / "backup.db", ledger_of(office))


LOSSES: dict[str, Callable[[Office], None]] = {
    "lost": lose, "emptied": empty, "without tables": truncate_to_no_tables, "rolled back": roll_back,
}  # fmt: skip


@pytest.fixture
def happens(campaign: Office, another: Path) -> Callable[[str], None]:
    """Brings one of LOSSES on the campaign's ledger, or swaps it for the one of another campaign."""

    def to_the_ledger(loss: str) -> None:
        if loss == "swapped":
            lose(campaign)
            shutil.copy(another, ledger_of(campaign))
        else:
            LOSSES[loss](campaign)

    return to_the_ledger


def refused(done: Done, *words: str) -> None:
    assert done.code == 2, (done.out, done.err)
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.err


def asked(office: Office, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(ledger_of(office))) as database:
        return database.execute(sql).fetchall()


@pytest.mark.parametrize(("loss", "command"), covering([*LOSSES, "swapped"], COMMANDS))
def test_a_ledger_that_does_not_know_the_evidence_is_refused_before_anything_is_done(
    campaign: Office, happens: Callable[[str], None], loss: str, command: str
) -> None:
    happens(loss)
    before = campaign.fingerprints()
    done = campaign.migrate(*COMMANDS[command])
    refused(done, "[ledger] url: ", str(ledger_of(campaign)))
    if loss != "emptied" or command not in ("run", "send", "exempt", "resend"):  # those name the file itself
        refused(done, "r00002", "--new-ledger", "docs/operate.md")
    assert len(campaign.mails()) == 5
    after = {name: digest for name, digest in campaign.fingerprints().items() if not name.endswith(("-wal", "-shm"))}
    assert after == {name: digest for name, digest in before.items() if not name.endswith(("-wal", "-shm"))}


@pytest.mark.parametrize("loss", ["lost", "without tables", "rolled back", "swapped"])
def test_a_new_ledger_takes_from_the_evidence_who_was_told_and_tells_nobody_twice(
    campaign: Office, happens: Callable[[str], None], loss: str
) -> None:
    happens(loss)
    facts = campaign.run(T13, "--new-ledger")
    assert facts["outcomes"] == {"nothing_due": 3}
    assert facts["run_id"] == "r00003"
    assert len(campaign.mails()) == 5
    assert {row["outcome_reason"] for row in campaign.report("accounts")} == {"sent"}
    (by,) = {row[0] for row in asked(campaign, "SELECT accepted_by FROM accepted_evidence WHERE accepted_at > 1700000000000000")}
    assert by
    campaign.hire("dan")
    assert campaign.run("2024-01-20T06:00")["outcomes"] == {"nothing_due": 3, "queued": 1}
    assert campaign.run(T7)["outcomes"] == {"queued": 4}
    assert set(Counter(campaign.told()).values()) == {1}
    assert Counter(stage for _, stage in campaign.told()) == {"T-30": 2, "T-14": 4, "T-7": 4}
    assert campaign.migrate("ledger", "check").code == 0


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lose, "It knows no account, so changes of methods since the last of those runs are not confirmed, to anybody"),
        (roll_back, "Changes of methods that only those runs saw are not known here"),
    ],
    ids=["lost", "rolled back"],
)
def test_a_new_ledger_says_which_changes_it_cannot_confirm(campaign: Office, loss: Callable[[Office], None], said: str) -> None:
    loss(campaign)
    campaign.change("ada", mfa="totp")
    campaign.write()
    done = campaign.migrate("run", "--new-ledger", "--as-of", T13)
    assert done.code == 0
    assert f"{said}: docs/operate.md says what to look at." in " ".join(done.out.split())
    assert (("ada@example.com", "change-1") in campaign.told()) is (loss is roll_back)


def test_who_was_told_the_date_of_a_wave_by_the_evidence_is_not_told_that_it_moved(office: Office) -> None:
    office.more = '[[waves]]\nname = "admins"\nmatch = { groups = ["admins"] }\nfollows = true\ncutoff = 2024-07-01'
    office.hire("ada", groups="admins")
    office.hire("bob")
    office.run(T30)
    lose(office)
    office.run(T29, "--new-ledger")
    assert office.told() == [("ada@example.com", "opens"), ("bob@example.com", "T-30")]
    office.change("ada", groups=None)
    office.run("2024-01-04T06:00")
    assert office.told()[-1] == ("bob@example.com", "T-30") and ("ada@example.com", "moved-1") in office.told()


def test_an_emptied_ledger_is_taken_away_and_then_a_new_one_begun(campaign: Office) -> None:
    empty(campaign)
    refused(campaign.migrate("run", "--new-ledger", "--as-of", T13), "is empty (0 bytes)", f"`rm {ledger_of(campaign)}`")
    ledger_of(campaign).unlink()
    assert campaign.run(T13, "--new-ledger")["outcomes"] == {"nothing_due": 3}
    assert len(campaign.mails()) == 5


def test_the_newest_backup_is_put_back_and_the_next_run_goes_on(campaign: Office) -> None:
    keep(campaign, "newest.db")
    lose(campaign)
    refused(campaign.migrate("run", "--as-of", T13))
    shutil.copy(campaign.folder / "newest.db", ledger_of(campaign))
    assert campaign.run(T13)["outcomes"] == {"nothing_due": 3}
    refused(campaign.migrate("run", "--as-of", T13, "--new-ledger"), "--new-ledger: ", "nothing to accept")


def test_what_waited_in_a_backup_and_was_sent_since_is_not_sent_again(office: Office) -> None:
    """A confirmation and a reminder wait in the backup; by the evidence the one was sent, and the other may have been."""
    office.hire("ada")
    office.hire("bob")
    office.run("2023-07-20T06:00")
    office.change("bob", mfa="totp")
    office.more = '[schedule]\nsend_hours = "08:00-18:00"'
    office.run(T30, "--no-send")
    keep(office, "backup.db")
    office.run("2024-01-02T06:30")
    assert office.told() == [("bob@example.com", "change-1")]
    assert office.migrate("send", "--as-of", "2024-01-02T08:30").code == 0
    assert office.told() == [("ada@example.com", "T-30"), ("bob@example.com", "change-1")]
    roll_back(office)
    refused(office.migrate("send", "--as-of", "2024-01-02T09:00"))
    facts = office.run("2024-01-02T09:00", "--new-ledger")
    assert (facts["outcomes"], facts["letters"]["sent"]) == ({"nothing_due": 1, "not_reminded": 1}, 0)
    assert office.migrate("send", "--as-of", "2024-01-02T10:00").code == 0
    assert office.told() == [("ada@example.com", "T-30"), ("bob@example.com", "change-1")]
    assert sorted(asked(office, "SELECT account_id, state FROM letter")) == [("ada", "uncertain"), ("bob", "sent")]
    assert office.migrate("ledger", "check").code == 0


def test_changes_that_were_confirmed_after_the_backup_are_not_confirmed_again_and_every_other_one_is(campaign: Office) -> None:
    """Bob's two changes were confirmed; Ada's too, but she has changed again since the last run."""
    for name, mfa in (("bob", "sms,totp"), ("ada", "totp")):
        campaign.change(name, mfa=mfa)
    campaign.run(T13)
    campaign.change("bob", mfa="totp")
    campaign.run("2024-01-20T06:00")
    confirmed = Counter(to for to, occasion in campaign.told() if occasion.startswith("change"))
    assert confirmed == {"ada@example.com": 1, "bob@example.com": 2}
    roll_back(campaign)
    campaign.change("ada", mfa="push")
    facts = campaign.run("2024-01-21T06:00", "--new-ledger")
    assert facts["letters"]["sent"] == 1
    confirmed["ada@example.com"] += 1
    assert Counter(to for to, occasion in campaign.told() if occasion.startswith("change")) == confirmed
    # From then on a change is a change, back to the same methods too.
    for day, mfa in (("22", "sms"), ("23", "totp")):
        campaign.change("bob", mfa=mfa)
        assert campaign.run(f"2024-01-{day}T06:00")["letters"]["sent"] == 1
    assert campaign.migrate("ledger", "check").code == 0


def test_a_change_whose_confirmation_had_not_gone_is_confirmed_after_all(campaign: Office) -> None:
    campaign.change("bob", mfa="totp")
    campaign.run(T13, "--no-send")
    roll_back(campaign)
    assert campaign.run("2024-01-20T06:00", "--new-ledger")["letters"]["sent"] == 1
    assert ("bob@example.com", "change-1") in campaign.told()


def test_evidence_that_does_not_say_who_was_told_is_not_passed_over(campaign: Office) -> None:
    lose(campaign)
    notices = campaign.folder / "reports" / "2024-01-18-r00002" / "notices.csv"
    notices.write_text(notices.read_text().replace("cem", "dan"))
    refused(campaign.migrate("run", "--new-ledger", "--as-of", T13), "--new-ledger: ", str(notices), "is not what was written")
    notices.unlink()
    refused(campaign.migrate("run", "--new-ledger", "--as-of", T13), str(notices))
    assert len(campaign.mails()) == 5


def test_a_name_that_a_report_kept_from_being_a_formula_is_known_again(office: Office) -> None:
    for name in ("=cmd", "'=cmd", "'plain", "+1"):
        office.hire(name, mail="who@example.com")
    office.run(T30)
    assert len(office.mails()) == 4
    lose(office)
    assert office.run(T29, "--new-ledger")["outcomes"] == {"nothing_due": 4}
    assert len(office.mails()) == 4


@pytest.mark.cache
def test_a_cache_alone_says_that_there_was_a_ledger(office: Office) -> None:
    office.hire("ada")
    office.run(T30)
    shutil.rmtree(office.folder / "reports")
    lose(office)
    refused(office.migrate("run", "--as-of", T29), "r00001", "migrate.db.image")
    assert len(office.mails()) == 1


def test_latest_pointing_to_older_evidence_hides_nothing(campaign: Office) -> None:
    latest = campaign.folder / "reports" / "latest"
    latest.unlink()
    latest.symlink_to("2024-01-02-r00001")
    shutil.rmtree(campaign.folder / "migrate.db.image", ignore_errors=True)
    roll_back(campaign)
    refused(campaign.migrate("run", "--as-of", T13), "r00002")
    latest.unlink()
    refused(campaign.migrate("run", "--as-of", T13), "r00002")


def test_campaigns_with_a_ledger_each_share_a_folder_of_reports(office: Office, tmp_path: Path) -> None:
    office.hire("ada")
    office.run(T30)
    other = Office(tmp_path / "other", people=dict(office.people), reports=str(office.folder / "reports"))
    other.write()
    config = other.folder / "config.toml"
    config.write_text(config.read_text().replace('name = "sms-retirement"', 'name = "other"'))
    assert other.migrate("run", "--as-of", T30).code == 0
    assert office.run(T29)["outcomes"] == {"nothing_due": 1}


def test_a_run_that_was_killed_before_its_reports_and_one_of_before_the_upgrade_are_known(campaign: Office) -> None:
    with contextlib.closing(sqlite3.connect(ledger_of(campaign))) as ledger, ledger:
        ledger.execute("UPDATE run SET counts = json_remove(counts, '$.ledger')")
        ledger.execute("UPDATE run SET state = 'recorded', finished_at = NULL, evidence = NULL, manifest_digest = NULL WHERE seq = 2")
    shutil.rmtree(campaign.folder / "migrate.db.image", ignore_errors=True)
    assert campaign.run(T13)["outcomes"] == {"nothing_due": 3}


@pytest.mark.parametrize("database", ["postgres", "mariadb"])
def test_on_a_server_an_empty_database_is_refused_and_a_new_ledger_numbers_its_runs_on(
    office: Office, database: str, request: pytest.FixtureRequest
) -> None:
    office.ledger = request.getfixturevalue(f"{database}_url")
    office.hire("ada")
    office.run(T30)
    office.run(T29)
    with Ledger.open(load(office.folder / "config.toml").ledger, create=False) as ledger:
        engine = ledger.engine
        with engine.begin() as connection:
            if engine.dialect.name != "postgresql":
                connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
            for name in sa.inspect(connection).get_table_names():
                quoted = engine.dialect.identifier_preparer.quote(name)
                connection.exec_driver_sql(f"DROP TABLE {quoted}" + (" CASCADE" if engine.dialect.name == "postgresql" else ""))
    refused(office.migrate("run", "--as-of", "2024-01-04T06:00"), "r00002", "--new-ledger")
    assert office.run("2024-01-04T06:00", "--new-ledger")["run_id"] == "r00003"
    assert office.run("2024-01-05T06:00")["run_id"] == "r00004"
    assert office.told() == [("ada@example.com", "T-30")]
