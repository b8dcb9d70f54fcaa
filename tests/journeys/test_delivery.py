"""Delivery as people start it: several processes, a signal in the middle, a server that refuses everybody, a forecast."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from crash.books import leases_end
from crash.killer import migrate, taken, wait_until
from mail.scripted_smtp import DROP, Answer, ScriptedSmtp
from office import Office
from variants import soak

T30 = "2024-01-02T06:00"


def by_smtp(office: Office, port: int, **settings: Any) -> None:
    values = {"host": "127.0.0.1", "port": port, "security": "none", "timeout": 5, "rate": "1000/s", "connections": 4} | settings
    lines = "\n".join(f"{key} = {value!r}" for key, value in values.items())
    office.mail = f'transport = "smtp"\n[mail.smtp]\n{lines}'
    office.safety = "allow_time_travel = true"


def hired(office: Office, people: int) -> None:
    for n in range(people):
        office.hire(f"u{n:03}", "sms")


def slowly(seconds: float) -> Answer:
    return (lambda: time.sleep(seconds), "250 2.0.0 queued")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_asked_to_stop_finishes_its_letters_and_writes_its_reports(number: signal.Signals, code: int, office: Office) -> None:
    hired(office, 60)
    with ScriptedSmtp(dot=slowly(0.3)) as server:
        by_smtp(office, server.port)
        office.write()
        process = migrate(office.folder, "run", "--json", "--as-of", T30)
        wait_until(lambda: len(server.messages) > 5)
        asked = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        took = time.monotonic() - asked
    assert (process.returncode, err) == (code, "")
    assert took < 5
    got = taken(server)
    states = Counter(row["state"] for row in office.report("notices"))
    assert states == {"sent": len(got), "queued": 60 - len(got)}
    assert f'"sent": {len(got)}' in out
    assert 5 < len(got) < 30


def test_a_server_that_refuses_everybody_is_exit_6_and_the_rest_stays_queued(office: Office) -> None:
    hired(office, 60)
    with ScriptedSmtp(rcpt="554 5.7.1 relaying denied") as server:
        by_smtp(office, server.port)
        facts = office.run(T30, code=6)
    assert (facts["letters"]["failed"], facts["letters"]["queued"]) == (0, 60)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port)
        office.write()
        done = office.migrate("send", "--json", "--as-of", "2024-01-02T20:00")
    assert (done.code, done.facts["letters"]["sent"], done.facts["letters"]["queued"]) == (0, 60, 0)


def test_several_workers_share_an_outbox_and_one_of_them_may_be_killed(office: Office, postgres_url: str) -> None:
    """Another host goes down with its worker; the others and a later `send` leave no letter behind and send none twice."""
    office.ledger = postgres_url
    hired(office, 150)
    with ScriptedSmtp(dot=slowly(0.02)) as server:
        by_smtp(office, server.port)
        office.run(T30, "--no-send")
        shared = migrate(office.folder, "send", "--workers", "2", "--json", "--as-of", T30)
        alone = migrate(office.folder, "send", "--as-of", T30)
        wait_until(lambda: len(server.messages) > 20)
        alone.kill()
        alone.communicate()
        out, err = shared.communicate(timeout=60)
        assert (shared.returncode, err) == (0, ""), out
        leases_end(office)
        done = office.migrate("send", "--json", "--as-of", "2024-01-02T09:00")
    got = taken(server)
    assert max(got.values()) == 1
    letters = office.migrate("status", "--json").facts["outbox"]
    assert letters["uncertain"] <= 4
    assert done.facts["letters"]["queued"] == 0
    assert letters["sent"] + letters["uncertain"] == 150
    assert letters["sent"] <= len(got) <= 150


def test_three_processes_share_a_ledger_that_is_a_file(office: Office) -> None:
    hired(office, 120)
    with ScriptedSmtp(dot=slowly(0.02)) as server:
        by_smtp(office, server.port, connections=2)
        office.run(T30, "--no-send")
        sending = [migrate(office.folder, "send", "--as-of", T30) for _ in range(3)]
        for process in sending:
            _, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (0, "")
        got = taken(server)
    assert (len(got), set(got.values())) == (120, {1})


def test_connections_to_the_ledger_that_are_ended_twice_while_letters_go_out_cost_no_letter(office: Office, postgres_url: str) -> None:
    office.ledger = postgres_url
    hired(office, 150)
    engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)
    ours = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with ScriptedSmtp(dot=slowly(0.05)) as server:
        by_smtp(office, server.port, connections=2)
        office.run(T30, "--no-send")
        process = migrate(office.folder, "send", "--json", "--as-of", T30)
        for few in (20, 60):
            wait_until(lambda few=few: len(server.messages) > few)
            with engine.connect() as connection:
                assert connection.execute(sa.text(f"SELECT count(pg_terminate_backend(pid)) {ours}")).scalar_one() > 0
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, ""), out
        got = taken(server)
    assert (len(got), set(got.values())) == (150, {1})
    assert office.migrate("ledger", "check").code == 0


def test_a_server_that_hangs_up_after_ten_letters_gets_each_once(office: Office) -> None:
    hired(office, 45)
    with ScriptedSmtp(dot=[*["250 2.0.0 queued"] * 9, ("250 2.0.0 queued", DROP)] * 5) as server:
        by_smtp(office, server.port, connections=1)
        facts = office.run(T30)
        got = taken(server)
    assert (facts["letters"]["sent"], server.connections) == (45, 5)
    assert (len(got), set(got.values())) == (45, {1})


def test_more_workers_than_connections_are_refused(office: Office) -> None:
    by_smtp(office, 1, connections=2)
    office.write()
    done = office.migrate("send", "--workers", "3", "--as-of", T30)
    assert done.code == 2
    assert "connections = 2" in done.err


def test_workers_that_are_asked_to_stop_all_finish_their_letters(office: Office) -> None:
    hired(office, 120)
    with ScriptedSmtp(dot=slowly(0.1)) as server:
        by_smtp(office, server.port, connections=2)
        office.run(T30, "--no-send")
        process = migrate(office.folder, "send", "--workers", "2", "--json", "--as-of", T30)
        wait_until(lambda: len(server.messages) > 5)
        process.terminate()
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (143, "")
    assert f'"sent": {len(taken(server))}' in out
    assert office.migrate("send", "--json", "--as-of", "2024-01-02T06:30").code in (0, 6)


@pytest.mark.parametrize(("seconds", "exact"), [(5, 0.15), soak(60, 0.05)])
def test_processes_together_keep_the_rate(seconds: int, exact: float, office: Office) -> None:
    arrived: list[float] = []
    hired(office, 20 * seconds)
    with ScriptedSmtp(dot=(lambda: arrived.append(time.monotonic()), "250 2.0.0 queued")) as server:
        by_smtp(office, server.port, rate="20/s")
        office.run(T30, "--no-send")
        process = migrate(office.folder, "send", "--workers", "4", "--as-of", T30)
        _, err = process.communicate(timeout=100)
    assert (process.returncode, err, len(arrived)) == (0, "", 20 * seconds)
    assert (len(arrived) - 1) / (max(arrived) - min(arrived)) == pytest.approx(20, rel=exact)


def test_a_run_and_a_dry_run_say_when_the_letters_will_have_gone(office: Office) -> None:
    hired(office, 7)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port, rate="600/min")
        office.write()
        dry = office.migrate("dry-run", "--as-of", T30)
        real = office.migrate("run", "--as-of", T30)
    assert "7 letters at 600/min: done about " in dry.out
    assert "7 letters at 600/min: done about " in real.out


def test_a_letter_that_was_put_off_is_sent_by_a_later_run(office: Office) -> None:
    hired(office, 3)
    with ScriptedSmtp(rcpt=["450 4.2.0 greylisted"]) as server:
        by_smtp(office, server.port)
        assert office.run(T30)["letters"] == {"sent": 2, "failed": 0, "uncertain": 0, "withdrawn": 0, "queued": 1}
        assert office.run("2024-01-03T06:00")["letters"]["sent"] == 1
    assert sorted(taken(server).values()) == [1, 1, 1]


def test_a_provider_that_is_known_needs_no_host(tmp_path: Path) -> None:
    office = Office(tmp_path / "preset")
    office.mail = 'transport = "smtp"\n[mail.smtp]\nprovider = "exchange_online"'
    hired(office, 90)
    office.write()
    done = office.migrate("dry-run", "--as-of", T30)
    assert "90 letters at 30/min and 10,000/day: done about " in done.out


def test_a_run_that_is_terminated_while_it_reads_leaves_nothing_behind(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that takes its time: SIGTERM comes before anything was decided."""
    scratch = office.folder / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    hired(office, 3)
    forever = "with recursive n(i) as (select 1 union all select i + 1 from n) select i as id, 'a@example.com' as mail, 'sms' as mfa from n"
    office.directory = f'kind = "sql"\nurl = "sqlite:///directory.db"\nquery = "{forever}"'
    office.write()
    text = (office.folder / "config.toml").read_text()
    kept = ("account_id", "email", "methods")
    start, _, rest = text.partition("[directory.columns]\n")
    columns, _, end = rest.partition("\n\n")
    lines = [line for line in columns.splitlines() if line.startswith(tuple(f"{name} =" for name in kept))]
    (office.folder / "config.toml").write_text(start + "[directory.columns]\n" + "\n".join(lines) + "\n\n" + end)
    process = migrate(office.folder, "run", "--as-of", T30)
    wait_until(lambda: any(path.stat().st_size for path in scratch.rglob("*") if path.is_file()), 30)
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (143, "")
    assert list(scratch.iterdir()) == []
    with contextlib.closing(sqlite3.connect(office.folder / "migrate.db")) as ledger:
        assert ledger.execute("SELECT count(*) FROM run_lock").fetchone() == (0,)
