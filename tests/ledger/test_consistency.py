"""A ledger that agrees with itself, and one corruption for each check."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cast import person, recorded
from ledger.scenes import MINUTE, NOW, Scene, confirmation, facts, queue_row

from migrate import outbox
from migrate.ledger import account_rows, consistency, runs, schema
from migrate.ledger.consistency import CHECKS, check
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.ledger.exemptions import Grant, grant
from migrate.outbox.claims import Settlement


def wrong(ledger: Ledger) -> dict[str, tuple[str, ...]]:
    with ledger.read() as connection:
        found = list(check(connection))
    assert [each.check for each in found] == list(CHECKS) or found[0].wrong
    assert all((each.wrong > 0) == bool(each.examples) for each in found)
    return {each.check: each.examples for each in found if each.wrong}


def change(seq: int, state: str) -> dict[str, Any]:
    return {
        "account_id": "a1", "seq": seq, "tenure": 1, "change": "authenticator_enabled", "mailed": True, "state": state, "seen_at": NOW,
        "had": "sms", "has": "totp", "closed_at": NOW if state == "confirmed" else None,
    }  # fmt: skip


@pytest.fixture
def lived(scene: Scene) -> Scene:
    """A ledger in which all sorts of things happened: letter 6 is sent, 2 and 3 are uncertain, 5 waits, 1 and 4 are withdrawn."""
    scene.queue(*(queue_row(f"a{n}") for n in range(1, 6)), confirmation("a1"))
    worker = scene.worker()
    for verdict in ("sent", "failed", "uncertain", "temporary"):
        (letter,) = worker.exchange([], NOW).begun
        worker.settle(letter, Settlement(verdict), NOW)  # type: ignore[arg-type]
    scene.claimed("dies")
    worker.sweep(NOW + 6 * MINUTE)
    with scene.ledger.begin() as connection:
        letters = connection.execute(sa.select(schema.letter.c.reference, schema.letter.c.state)).all()
        for ref in (each.reference for each in letters if each.state == "failed"):
            outbox.decide(connection, ref, "queued", NOW + 7 * MINUTE, actor="jo", reason="mended")
        assert outbox.withdraw_reminders(connection, scene.campaign_id, ["a1", "a4"], NOW, actor="jo", reason="exempt") == [1, 4]
        people = recorded(person("a1", "totp"), *(person(f"a{n}") for n in range(2, 6)), outcome="queued")
        account_rows.record_accounts(connection, scene.campaign_id, scene.run_seq, people.assign(change_count=2))
        grant(connection, "exemption", scene.campaign_id, [Grant("a2", NOW.date(), "ciso", "at sea", NOW, "jo")])
        same = {"campaign_id": scene.campaign_id, "run_seq": scene.run_seq}
        connection.execute(sa.insert(schema.change), [change(1, "confirmed") | same, change(2, "open") | same])
        connection.execute(sa.update(schema.run).values(read=5, counts='{"outcomes": {"queued": 5}, "standing": {"sms_only": 5}}'))
    return scene


def test_a_ledger_that_lived_agrees_with_itself(lived: Scene) -> None:
    assert wrong(lived.ledger) == {}


def test_an_empty_ledger_agrees_with_itself(ledger: Ledger) -> None:
    assert wrong(ledger) == {}


CORRUPTIONS: dict[str, list[tuple[str, str]]] = {
    "last-event": [
        ("UPDATE letter SET state = 'sent' WHERE id = 2",
         r"letter \w{8} is sent; its last event says uncertain"),
        ("DELETE FROM letter_event WHERE letter_id = 1", r"letter \w{8} is \w+; its last event says nothing"),
    ],
    "event-chain": [
        ("UPDATE letter_event SET from_state = 'failed' WHERE from_state = 'sending' AND to_state = 'sent'",
         r"event \d+ moves letter \w{8} from failed to sent; it was sending before"),
        ("UPDATE letter_event SET to_state = 'failed' WHERE letter_id = 6 AND from_state IS NULL",
         r"event \d+ moves letter \w{8} from nothing to failed; it was nothing"),
    ],
    "letter-notice": [
        ("UPDATE letter SET occasion = 'T-7' WHERE id = 1",
         r"letter \w{8} names notice 1, which does not exist or is about something else"),
    ],
    "references": [
        ("UPDATE letter SET address = 'eve@example.com' WHERE id = 1",
         r"letter \w{8} to eve@example.com does not have the reference of its notice and address"),
    ],
    "cutoffs references": [
        ("UPDATE notice SET told_cutoff = 'soon' WHERE id = 1", r"notice 1 \(T-30\) names the cutoff 'soon', which is no instant"),
        ("UPDATE notice SET told_cutoff = '2024-02-01' WHERE kind = 'change_confirmation'",
         r"notice 6 \(change-1\) confirms a change, and names the cutoff 2024-02-01"),
    ],
    "people": [
        ("UPDATE account SET tenure = 0 WHERE account_id = 'a5'", r"notice 5 is for holder 1 of 'a5', who is not recorded"),
    ],
    "people last-counts": [
        ("DELETE FROM account WHERE account_id = 'a5'", r"notice 5 is for holder 1 of 'a5', who is not recorded"),
    ],
    "attempts": [
        ("UPDATE letter SET attempts = 0 WHERE state = 'sent'", r"letter \w{8} is sent after 0 tries, and 1 times a worker began with it"),
        ("UPDATE letter SET attempts = 3 WHERE id = 5", r"letter \w{8} is queued after 3 tries, and 0 times a worker began with it"),
    ],
    "leases": [
        ("UPDATE letter SET owner = 'x' WHERE id = 1", r"letter \w{8} is \w+; only a letter that is claimed or sending has an owner"),
    ],
    "settled": [
        ("UPDATE letter SET settled_at = NULL WHERE state = 'sent'", r"letter \w{8} is sent, and its settled_at says otherwise"),
        ("UPDATE letter SET settled_at = 1 WHERE state = 'sent'", r"letter \w{8} became sent at another instant than its settled_at"),
        ("UPDATE letter SET settled_at = 1 WHERE state = 'queued'", r"letter \w{8} is queued, and its settled_at says otherwise"),
    ],
    "changes": [
        ("UPDATE change_ SET state = 'open' WHERE seq = 1", r"change 1 of account 'a1' is open, and has a confirmation"),
        ("UPDATE change_ SET closed_at = 1 WHERE seq = 2", r"change 2 of account 'a1' is open, and its closed_at says otherwise"),
        ("UPDATE change_ SET mailed = FALSE WHERE seq = 2", r"change 2 of account 'a1' is open, and such a change is never mailed"),
        ("UPDATE notice SET change_seq = 7 WHERE id = 6", r"notice 6 confirms change 7 of account 'a1', which was never seen"),
        ("UPDATE change_ SET state = 'confirmed' WHERE seq = 2", r"change 2 of account 'a1' is confirmed, and has none"),
    ],
    "change-numbers": [
        ("UPDATE account SET change_count = 1 WHERE account_id = 'a1'", r"account 'a1' counts 1 changes; its last one is number 2"),
    ],
    "counts last-counts": [
        ("""UPDATE run SET counts = '{"outcomes": {"queued": 4}, "standing": {"sms_only": 5}}'""",
         r"run r00001 read 5 rows and rejected 0; its outcomes are \{'queued': 4\}"),
    ],
    "last-counts": [
        ("UPDATE account SET outcome = 'held' WHERE account_id = 'a3'",
         r"run r00001, the last one, counted the outcomes queued 5; its accounts have held 1, queued 4"),
        ("UPDATE account SET standing = 'migrated' WHERE account_id = 'a3'",
         r"run r00001, the last one, counted the standing sms_only 5; its accounts have migrated 1, sms_only 4"),
        ("INSERT INTO rejection (run_seq, position, rejection) VALUES (1, 7, 'no id')",
         r"run r00001 rejected 0 rows, of which 1 are recorded"),
    ],
    "runs": [
        ("UPDATE run SET state = 'completed'", r"run r00001 is completed, and its finished_at says otherwise"),
        ("UPDATE run SET evidence = 'reports/x'", r"run r00001 is recorded, and has evidence without a manifest"),
        ("UPDATE run SET evidence = 'reports/x', manifest_digest = '5'", r"run r00001 is recorded, and its evidence has no date"),
    ],
    "exceptions": [
        ("UPDATE exemption SET until = '2024-1-2'", r"exemption 1 ends on '2024-1-2', which is no day"),
        ("UPDATE exemption SET removed_by = 'jo'", r"exemption 1 of 'a2' was taken back, but has no removed_at"),
        ("UPDATE exemption SET account_id = 'zoe'", r"exemption 1 is for 'zoe', which is no known account"),
    ],
}  # fmt: skip
"""The checks that find it, the one whose sentence is looked at first → what breaks the ledger, and the sentence."""


def test_what_does_not_agree_is_named(lived: Scene) -> None:
    quoted = lived.ledger.engine.dialect.identifier_preparer.quote_identifier("change")
    with lived.ledger.engine.execution_options(migrate_writes=True).connect() as connection:
        for names, several in CORRUPTIONS.items():
            for sql, says in several:
                connection.execute(sa.text(sql.replace("change_ ", f"{quoted} ")))
                found = {each.check: each.examples for each in check(connection) if each.wrong}
                connection.rollback()
                assert set(found) == set(names.split()), sql
                assert any(re.match(says, example) for example in found[names.split()[0]]), (sql, found)


def test_a_reminder_that_stands_in_two_letters_is_named(lived: Scene) -> None:
    lived.queue(queue_row("a2", address="a2@new.example"))
    assert wrong(lived.ledger) == {"once": ("notice 2 (T-30 for 'a2') has 2 letters that are waiting, sent or uncertain",)}


def test_a_lease_that_would_hold_a_letter_for_ever_is_named(lived: Scene) -> None:
    claimed = lived.claimed()
    assert wrong(lived.ledger) == {}
    with lived.ledger.begin() as connection:
        connection.execute(
            sa.update(schema.letter).where(schema.letter.c.state == "sending").values(lease_until=datetime.now(UTC) + timedelta(days=365))
        )
    assert wrong(lived.ledger) == {"leases": (f"letter {claimed.reference} has a lease that does not end within a day",)}


def test_a_notice_without_a_letter_is_named(lived: Scene) -> None:
    with lived.ledger.begin() as connection:
        connection.execute(sa.delete(schema.letter_event).where(schema.letter_event.c.letter_id == 5))
        connection.execute(sa.delete(schema.letter).where(schema.letter.c.id == 5))
    assert wrong(lived.ledger) == {"notice-letters": ("notice 5 (T-30 for 'a5') has no letter",)}


def supersede(lived: Scene, account_id: str, since_run: int, until_run: int) -> None:
    """Puts a version of an account into the history that held from one run to another."""
    with lived.ledger.begin() as connection:
        account = schema.account.c
        columns = [column.name for column in account if column.name != "since_run"]
        old = sa.select(*(account[name] for name in columns), sa.literal(since_run), sa.literal(until_run))
        into = sa.insert(schema.account_history).from_select(
            [*columns, "since_run", "until_run"], old.where(account.account_id == account_id)
        )
        connection.execute(into)


def test_versions_that_do_not_follow_each_other_are_named(lived: Scene) -> None:
    with lived.ledger.begin() as connection:
        later = runs.begin(connection, lived.campaign_id, facts()).seq
    supersede(lived, "a2", lived.run_seq, later)
    supersede(lived, "a3", lived.run_seq, lived.run_seq)
    assert wrong(lived.ledger)["versions"] == (
        "account 'a3': its version of run 1 ends at run 1, which is not later",
        "account 'a2': no version follows that of run 1, which ends at run 2",
    )


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_what_a_row_names_and_is_not_there_is_named(lived: Scene, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "migrate.db")) as database, database:
        database.execute("UPDATE account SET since_run = 7 WHERE account_id = 'a2'")
        database.execute("UPDATE letter_event SET letter_id = 99 WHERE letter_id = 5")
    found = wrong(lived.ledger)
    assert found["foreign-keys"] == (
        "account.since_run is 7, which no row of run has", "letter_event.letter_id is 99, which no row of letter has",
    )  # fmt: skip
    assert found["versions"] == ("account 'a2' is recorded as of run 7, which its campaign does not have",)


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_file_that_breaks_its_own_rules_is_named_and_not_looked_at_further(lived: Scene, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "migrate.db")) as database, database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute("UPDATE letter SET role = 'anybody', owner = 'x' WHERE id = 1")
    assert wrong(lived.ledger) == {"integrity": ("CHECK constraint failed in letter",)}


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_file_too_damaged_to_be_looked_at_is_named(lived: Scene, tmp_path: Path) -> None:
    path = tmp_path / "migrate.db"
    lived.ledger.close()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_letter_account'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : page * size] = b"\x01" * size
    path.write_bytes(content)
    with Ledger.open_readonly(LedgerSettings(url=f"sqlite:///{path}")) as ledger:
        assert list(wrong(ledger)) == ["integrity"]


def test_of_many_the_first_are_shown_and_all_are_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consistency, "SHOWN", 2)
    scene.queue(*(queue_row(f"a{n}") for n in range(5)))
    with scene.ledger.begin() as connection:
        connection.execute(sa.update(schema.letter).values(lease_until=NOW + timedelta(minutes=1)))
    with scene.ledger.read() as connection:
        (found,) = [each for each in check(connection) if each.check == "leases"]
    assert (found.wrong, len(found.examples)) == (5, 2)
