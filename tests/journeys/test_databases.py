"""The same campaign on each database that can hold the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from office import Office


def lived(office: Office) -> list[Any]:
    """A few eventful days: what every run said, who was told what, and the last report."""
    for n in range(12):
        office.hire(f"u{n:02}", "sms" if n % 3 else "sms;totp", mfa_default="sms", dept="Sales" if n % 2 else None)
    office.hire("ann", "sms", mail="ann@old.example", security_mails="home@ann.example")
    said: list[Any] = []
    for day, what in (
        ("2023-12-30T06:00", {}),
        ("2024-01-02T06:00", {"u01": {"mfa": "totp"}, "ann": {"mail": "ann@new.example", "mfa": "sms;totp"}}),
        ("2024-01-03T06:00", {"u02": {"mail": None, "mfa": ""}}),
        ("2024-01-18T06:00", {"u02": {"mail": "u02@example.com"}, "u04": {"sso": "yes"}}),
        ("2024-01-18T18:00", {}),
    ):
        for account_id, change in what.items():
            office.change(account_id, **change)
        facts = office.run(day)
        said.append({name: facts[name] for name in ("run_id", "read", "rejected", "standing", "changes", "outcomes", "letters")})
        if day.startswith("2024-01-03"):
            office.leave("u05")
    said.append(office.told())
    exact = ("account_id", "standing", "outcome", "outcome_reason", "methods", "notices_sent", "last_notice", "last_notice_state")
    said.append([[row[name] for name in exact] for row in office.report("accounts")])
    return said


def test_every_database_tells_the_same_people_the_same(tmp_path: Path, postgres_url: str, mariadb_url: str) -> None:
    here = lived(Office(tmp_path / "sqlite"))
    assert here == lived(Office(tmp_path / "postgres", ledger=postgres_url))
    assert here == lived(Office(tmp_path / "mariadb", ledger=mariadb_url))


@pytest.mark.parametrize(
    ("done", "says"),
    [
        ("DROP TABLE letter CASCADE", "lacks a table or a column of a ledger"),
        ("ALTER DATABASE {name} SET default_transaction_read_only = on", "cannot be written"),
    ],
)
def test_what_a_database_refuses_is_no_bug_and_sends_nothing(office: Office, postgres_url: str, done: str, says: str) -> None:
    for n in range(5):
        office.hire(f"u{n}", "sms")
    office.ledger = postgres_url
    office.run("2024-01-02T06:00", "--no-send")
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(done.format(name=sa.make_url(postgres_url).database))
    told = office.migrate("run", "--as-of", "2024-01-18T06:00")
    assert (told.code, says in told.err, "bug" in told.err) == (2, True, False), (told.code, told.err)
    assert told.err.startswith("Error: [ledger] url: the postgresql database")
    assert office.mails() == []
