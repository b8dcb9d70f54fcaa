"""Limits as providers state them (design §11): a day that all workers, commands and days share, said to people, and never waited for."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from crash.killer import migrate, taken
from journeys.test_delivery import T30, by_smtp, hired
from journeys.test_refused import attempts
from mail.scripted_smtp import ScriptedSmtp
from office import Office

FORTY = ["1000/s", "40/day"]


def counted(office: Office) -> list[tuple[int, int]]:
    with contextlib.closing(sqlite3.connect(office.folder / "migrate.db")) as ledger:
        return ledger.execute("SELECT minute, letters FROM rate_count WHERE letters > 0 ORDER BY minute").fetchall()


def test_a_day_s_letters_go_and_the_rest_waits_for_the_next_with_no_try_counted_and_no_connection_made(office: Office) -> None:
    hired(office, 100)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port, rate=FORTY)
        office.write()
        done = office.migrate("run", "--as-of", "2024-01-02T06:30")
        assert (done.code, done.err, len(taken(server))) == (0, "", 40)
        assert "100 letters at 1,000/s and 40/day: done on Thursday, 4 January." in done.out
        assert "The mail server's limit of 40 a day is used up until Wednesday, 3 January, 06:31; 60 letters wait." in done.out
        connections = server.connections
        for hour in range(9, 18):
            done = office.migrate("send", "--json", "--as-of", f"2024-01-02T{hour:02}:00")
            assert (done.code, done.facts["letters"]["sent"], done.facts["letters"]["queued"]) == (0, 0, 60)
        assert server.connections == connections
        assert attempts(office) == {("sent", 1): 40, ("queued", 0): 60}
        assert "is used up until 06:31; 60 letters wait." in office.migrate("status", "--as-of", "2024-01-03T06:20").out
        assert office.migrate("run", "--json", "--as-of", "2024-01-03T06:31").facts["letters"]["sent"] == 40
        last = office.migrate("run", "--json", "--as-of", "2024-01-04T06:32").facts
        assert (last["letters"]["sent"], last["letters"]["queued"]) == (20, 0)
        got = taken(server)
    assert (len(got), set(got.values())) == (100, {1})
    assert attempts(office) == {("sent", 1): 100}


def test_facts_say_how_many_wait_until_when_and_when_all_will_have_gone(office: Office) -> None:
    hired(office, 100)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port, rate=FORTY)
        office.write()
        dry = office.migrate("dry-run", "--json", "--as-of", "2024-01-02T06:30").facts
        assert (dry["would_queue"], dry["delivery"]["letters"], dry["delivery"]["until"]) == (100, 100, None)
        assert dry["delivery"]["done_at"].startswith("2024-01-04T14:32:")
        facts = office.run("2024-01-02T06:30")
        expected = {"letters": 60, "per_day": 40, "until": "2024-01-03T14:31:00Z"}
        assert expected.items() <= facts["delivery"].items()
        assert facts["delivery"]["done_at"].startswith("2024-01-04T14:32:")
        for command in ("send", "status"):
            said = office.migrate(command, "--json", "--as-of", "2024-01-02T09:00").facts["delivery"]
            assert said == facts["delivery"], command
        office.hire("late", "sms")
        office.write()
        dry = office.migrate("dry-run", "--as-of", "2024-01-02T10:00")
        assert "61 letters, 60 that wait already among them, at 1,000/s and 40/day: done on Thursday, 4 January." in dry.out


def test_letters_that_wait_for_the_limit_through_a_whole_send_day_are_exit_5_and_it_says_why(office: Office) -> None:
    hired(office, 200)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port, rate=FORTY)
        office.write()
        assert office.migrate("run", "--as-of", "2024-01-02T06:30").code == 0
        assert office.migrate("run", "--as-of", "2024-01-03T06:31").code == 0
        done = office.migrate("run", "--as-of", "2024-01-04T06:32")
    assert done.code == 5
    assert (
        "80 letters have waited through a whole send day: the mail server's limit of 40 a day ([mail.smtp] rate) is too low for them"
        in done.out
    )


def test_the_day_s_letters_go_to_confirmations_first(office: Office) -> None:
    hired(office, 60)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port, rate=FORTY)
        office.safety += "\nmax_changes = 1.0"
        office.run("2023-12-20T06:30", "--no-send")
        for n in range(30, 60):
            office.change(f"u{n:03}", mfa="totp")
        office.run("2024-01-02T06:30")
        office.write()
    states = Counter((row["kind"], row["state"]) for row in office.report("notices"))
    assert states[("change_confirmation", "sent")] == 30
    assert states[("change_confirmation", "queued")] == 0


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--until-empty",), ("--workers", "3"), ("--workers", "3", "--until-empty")])
def test_no_way_to_send_goes_beyond_the_day_or_sits_until_the_next(office: Office, arguments: tuple[str, ...]) -> None:
    hired(office, 100)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port, rate=FORTY)
        office.run(T30, "--no-send")
        began = time.monotonic()
        process = migrate(office.folder, "send", "--as-of", T30, *arguments)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err, len(taken(server))) == (0, "", 40)
        assert time.monotonic() - began < 30
    assert "40 sent, 0 failed, 0 uncertain, 60 queued." in out
    assert sum(letters for _, letters in counted(office)) == 40


@pytest.mark.slow
def test_a_wait_that_is_short_is_waited(office: Office) -> None:
    """A daily run that begins half a minute before the same minute of the day before."""
    hired(office, 60)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port, rate=FORTY)
        assert office.run("2024-01-02T06:29:10")["letters"]["sent"] == 40
        assert office.run("2024-01-03T06:29:45")["letters"]["sent"] == 20
        assert len(taken(server)) == 60


def test_letters_that_the_server_did_not_take_are_not_of_the_day_s(office: Office) -> None:
    hired(office, 60)
    with ScriptedSmtp(rcpt=["550 5.1.1 no such user"] * 20) as server:
        by_smtp(office, server.port, rate=FORTY, connections=1)
        facts = office.run(T30, code=5)
        assert len(taken(server)) == 40
    assert (facts["letters"]["sent"], facts["letters"]["failed"], facts["letters"]["queued"]) == (40, 20, 0)
    assert [letters for _, letters in counted(office)] == [40]


def test_a_day_is_that_of_the_real_clock_whatever_as_of_says(office: Office) -> None:
    """Without `allow_time_travel`: a start that says it is tomorrow does not get tomorrow's letters."""
    now = datetime.now(UTC)
    hired(office, 60)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port, rate=FORTY)
        office.safety = ""
        office.write()
        config = office.folder / "config.toml"
        text = config.read_text().replace("2024-02-01T00:00:00", f"{now + timedelta(days=30):%Y-%m-%dT00:00:00}")
        config.write_text(text.replace("2023-08-01", f"{now - timedelta(days=1):%Y-%m-%d}"))
        assert office.migrate("run", "--json").facts["letters"]["sent"] == 40
        later = (now + timedelta(hours=23, minutes=58)).isoformat()
        assert office.migrate("send", "--json", "--as-of", later).facts["letters"]["sent"] == 0
        assert len(taken(server)) == 40
    (minute, letters), *more = counted(office)
    assert (letters + sum(number for _, number in more)) == 40
    assert timedelta(0) <= datetime.fromtimestamp(minute / 1e6, UTC) - now.replace(second=0, microsecond=0) <= timedelta(minutes=1)


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgres", "mariadb"])
def test_on_a_server_processes_share_the_day(office: Office, database: str, request: pytest.FixtureRequest) -> None:
    office.ledger = request.getfixturevalue(f"{database}_url")
    hired(office, 100)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port, rate=FORTY)
        office.run(T30, "--no-send")
        hosts = [migrate(office.folder, "send", "--as-of", T30, "--workers", "2") for _ in range(2)]
        for host in hosts:
            _, err = host.communicate(timeout=60)
            assert (host.returncode, err) == (0, "")
        assert len(taken(server)) == 40
        assert office.migrate("send", "--json", "--as-of", "2024-01-03T06:10").facts["letters"]["sent"] == 40
    assert office.migrate("ledger", "check").code == 0


def test_letters_that_the_server_put_off_are_not_foretold_to_be_done_before_they_are_tried_again(office: Office) -> None:
    """A sender refused at noon: what was refused waits 90 minutes, or longer, and so do `run`, `status` and JSON say."""
    hired(office, 45)
    with ScriptedSmtp(mail="550 5.1.8 <security@example.com>: bad outbound sender") as server:
        by_smtp(office, server.port)
        office.write()
        done = office.migrate("run", "--as-of", "2024-01-02T12:00")
        assert done.code == 6
    for command in ("status", "send"):  # which is a probe, and delivers the others
        with ScriptedSmtp() as server:
            by_smtp(office, server.port)
            office.write()
            done = office.migrate(command, "--as-of", "2024-01-02T12:10")
        assert "at 1,000/s: done about 13:3" in done.out.splitlines()[-1], command
    facts = office.migrate("status", "--json", "--as-of", "2024-01-02T12:20").facts
    assert 0 < facts["outbox"]["queued"] < 45
    assert facts["delivery"]["done_at"].startswith("2024-01-02T21:3")
    with ScriptedSmtp() as server:
        by_smtp(office, server.port)
        office.write()
        assert office.migrate("send", "--json", "--as-of", "2024-01-02T13:40").facts["letters"]["queued"] == 0


def test_letters_put_off_beyond_the_send_hours_are_foretold_for_the_next_ones(office: Office) -> None:
    hired(office, 3)
    office.more = '[schedule]\nsend_hours = "08:00-18:00"'
    with ScriptedSmtp(mail="550 5.1.8 <security@example.com>: bad outbound sender") as server:
        by_smtp(office, server.port)
        facts = office.run("2024-01-02T17:00", code=6)
    assert facts["delivery"]["done_at"].startswith("2024-01-03T16:00:")


def test_nothing_is_foretold_while_reminders_wait_for_a_run_to_read_the_directory(office: Office) -> None:
    hired(office, 3)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port)
        office.run("2024-01-02T06:30", "--no-send")
        for command in ("status", "send"):
            delivery = office.migrate(command, "--json", "--as-of", "2024-01-04T06:30").facts["delivery"]
            assert (delivery["letters"], delivery["done_at"]) == (3, None), command
        assert "done" not in office.migrate("status", "--as-of", "2024-01-04T06:30").out.splitlines()[-1]
    assert taken(server) == {}
