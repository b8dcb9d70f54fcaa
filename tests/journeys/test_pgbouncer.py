"""A ledger behind PgBouncer in transaction mode, which gives each transaction whatever server connection is free."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from crash.killer import migrate, taken
from journeys.test_databases import lived
from journeys.test_delivery import T30, by_smtp, hired
from mail.scripted_smtp import ScriptedSmtp
from office import Office

from migrate.directory.sql import SqlDirectory, SqlSettings


def test_a_campaign_is_lived_through_behind_pgbouncer(tmp_path: Path, pgbouncer_url: str) -> None:
    assert lived(Office(tmp_path / "pgbouncer", ledger=pgbouncer_url)) == lived(Office(tmp_path / "sqlite"))


def test_run_run_send_with_two_workers_and_status_work_behind_pgbouncer(office: Office, pgbouncer_url: str) -> None:
    office.ledger = pgbouncer_url
    hired(office, 90)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port)
        assert office.run(T30, "--no-send")["outcomes"] == {"queued": 90}
        assert office.run("2024-01-02T07:00", "--no-send")["outcomes"] == {"nothing_due": 90}
        sending = migrate(office.folder, "send", "--workers", "2", "--json", "--as-of", "2024-01-02T08:00")
        out, err = sending.communicate(timeout=60)
        assert (sending.returncode, err) == (0, ""), (out, err)
        got = taken(server)
        assert (len(got), set(got.values())) == (90, {1})
        for command in (("ledger", "check"), ("report",), ("explain", "u007"), ("check",), ("dry-run", "--as-of", "2024-01-03T06:00")):
            done = office.migrate(*command)
            assert done.code == 0, (command, done.out, done.err)
        status = office.migrate("status")
        assert (status.code, "0 queued, 0 claimed, 0 sending, 90 sent" in status.out) == (0, True), status.out


def test_a_directory_leaves_no_prepared_statement_to_whoever_gets_its_session_next(pgbouncer_url: str) -> None:
    """Many pages are one statement, which the driver would prepare; each row says how many are prepared in its session."""
    engine = sa.create_engine(pgbouncer_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE VIEW users AS SELECT 'u' || n AS id, 'sms' AS mfa, 'a@example.com' AS mail, "
            "(SELECT count(*) FROM pg_prepared_statements)::text AS name FROM generate_series(100, 399) n"
        )
    columns = {"account_id": "id", "methods": "mfa", "email": "mail", "display_name": "name"}
    for _ in range(2):
        directory = SqlDirectory(SqlSettings(url=pgbouncer_url, table="users", key="id", columns=columns))
        directory.chunk_rows = 20  # type: ignore[misc]
        read = pd.concat(directory.frames())
        assert (len(read), set(read["display_name"])) == (300, {"0"})
