"""A ledger behind PgBouncer in transaction mode, which gives each transaction whatever server connection is free."""

from __future__ import annotations

from pathlib import Path

from crash.killer import migrate, taken
from journeys.test_databases import lived
from journeys.test_delivery import T30, by_smtp, hired
from mail.scripted_smtp import ScriptedSmtp
from office import Office


def test_a_campaign_is_lived_through_behind_pgbouncer(tmp_path: Path, pgbouncer_url: str) -> None:
    assert lived(Office(tmp_path / "pgbouncer", ledger=pgbouncer_url)) == lived(Office(tmp_path / "sqlite"))


def test_run_run_send_with_two_workers_and_status_work_behind_pgbouncer(office: Office, pgbouncer_url: str) -> None:
    office.ledger = pgbouncer_url
    hired(office, 120)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port)
        assert office.run(T30, "--no-send")["outcomes"] == {"queued": 120}
        assert office.run("2024-01-02T07:00", "--no-send")["outcomes"] == {"nothing_due": 120}
        sending = migrate(office.folder, "send", "--workers", "2", "--json", "--as-of", "2024-01-02T08:00")
        out, err = sending.communicate(timeout=60)
        assert (sending.returncode, err) == (0, ""), (out, err)
        got = taken(server)
    assert (len(got), set(got.values())) == (120, {1})
    status = office.migrate("status", "--json")
    assert (status.code, status.err) == (0, "")
    assert '"sent": 120' in status.out
    for command in (("ledger", "check"), ("report",), ("explain", "u007"), ("check",), ("dry-run", "--as-of", "2024-01-03T06:00")):
        done = office.migrate(*command)
        assert done.code == 0, (command, done.out, done.err)
