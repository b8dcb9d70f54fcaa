"""SIGTERM while a delivery waits for a server, for the rate limiter, for the ledger: it ends at once, with nothing uncertain."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from crash.books import books, holder, letters
from crash.doomed import Command, start
from crash.killer import taken, wait_until
from journeys.test_delivery import T30, by_smtp, hired
from journeys.test_two_runs import nobody_reads
from mail.scripted_smtp import DROP, HANG, ScriptedSmtp
from office import Office

from migrate.ledger.schema import rate_slot

SOON = 6.0
"""Seconds: two looks at the ledger, the reports of a run, and a busy machine. What is waited for here would take a minute and more."""
COMMANDS = [("run",), ("send",), ("send", "--workers", "2")]


def command(office: Office, arguments: tuple[str, ...]) -> Command:
    """The command, with letters to send: of its own if it is a run, or queued already."""
    if "send" in arguments:
        office.run(T30, "--no-send")
    office.write()
    return start(office.folder, *arguments, "--as-of", T30)


def assert_ends_soon(office: Office, process: Command, server: ScriptedSmtp | None = None, by: signal.Signals = signal.SIGTERM) -> None:
    assert process.poll() is None, process.said
    asked = time.monotonic()
    process.send_signal(by)
    assert process.wait() == 128 + by, process.said
    assert time.monotonic() - asked < SOON
    assert "Error" not in process.said
    states = Counter(state for _, state in letters(office).values())
    got = len(taken(server)) if server else 0
    assert states == Counter(queued=sum(states.values()) - got, sent=got)


def test_while_the_server_does_not_greet(office: Office) -> None:
    hired(office, 8)
    with ScriptedSmtp(connect=HANG) as server:
        by_smtp(office, server.port, timeout=60)
        process = command(office, ("run",))
        wait_until(lambda: server.connections > 1)
        assert_ends_soon(office, process)


@pytest.mark.parametrize("arguments", COMMANDS)
def test_while_a_server_that_went_away_is_reconnected_to(office: Office, arguments: tuple[str, ...]) -> None:
    """Letters are in hand, but nothing was said of them on the new connection."""
    hired(office, 30)
    with ScriptedSmtp(connect=["220 hello"] * 4 + [HANG] * 50, mail=["250 ok"] * 8 + [DROP] * 50) as server:
        by_smtp(office, server.port, timeout=60)
        process = command(office, arguments)
        wait_until(lambda: server.connections > 5)
        assert_ends_soon(office, process, server)


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_terminal_that_is_closed_in_mid_delivery_ends_it_as_sigterm_does(office: Office, arguments: tuple[str, ...]) -> None:
    hired(office, 30)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port, rate="4/s", connections=2)
        process = command(office, arguments)
        wait_until(lambda: len(server.messages) > 1)
        assert_ends_soon(office, process, server, by=signal.SIGHUP)
    assert holder(office) is None


@pytest.mark.parametrize("arguments", COMMANDS)
def test_while_the_server_takes_its_time_over_the_end_of_a_letter(office: Office, arguments: tuple[str, ...]) -> None:
    """It may take ten minutes; whoever is asked to end waits no longer than for any other answer, and says what nobody can know."""
    hired(office, 8)
    with ScriptedSmtp(dot=HANG) as server:
        by_smtp(office, server.port, timeout=1, connections=2)
        process = command(office, arguments)
        wait_until(lambda: len(server.messages) == 2)
        time.sleep(1.5)
        assert process.poll() is None, process.said
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM, process.said
        assert time.monotonic() - asked < SOON
    states = Counter(state for _, state in letters(office).values())
    assert states == Counter(queued=6, uncertain=2)


def test_while_nobody_listens_where_the_server_should_be(office: Office) -> None:
    hired(office, 8)
    by_smtp(office, 1)
    process = command(office, ("send",))
    time.sleep(1.5)
    assert_ends_soon(office, process)


def test_while_the_rate_is_kept(office: Office) -> None:
    hired(office, 8)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port, rate="1/min")
        process = command(office, ("run",))
        wait_until(lambda: len(server.messages) == 1)
        assert_ends_soon(office, process, server)


@contextmanager
def locked(office: Office) -> Iterator[None]:
    """Somebody holds what a delivery has to write: on SQLite the file, on a server the rate's row."""
    if office.ledger.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(office.folder / "migrate.db", isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
    else:
        with books(office) as other:
            other.execute(sa.select(rate_slot).with_for_update())
            yield


@pytest.mark.parametrize(
    ("database", "arguments"),
    [("sqlite", ("run",)), ("sqlite", ("send", "--workers", "2")), ("postgres", ("run",)), ("mariadb", ("send",))],
)
def test_while_somebody_else_writes_to_the_ledger(
    office: Office, arguments: tuple[str, ...], database: str, request: pytest.FixtureRequest
) -> None:
    """What a server has just taken is still written down, as soon as the ledger lets it be; nothing else is waited for."""
    if database != "sqlite":
        office.ledger = request.getfixturevalue(f"{database}_url")
    hired(office, 40)
    with ScriptedSmtp() as server:
        by_smtp(office, server.port, rate="4/s", connections=2)
        process = command(office, arguments)
        wait_until(lambda: len(server.messages) > 1)
        with locked(office):
            time.sleep(1.5)
            process.send_signal(signal.SIGTERM)
            asked = time.monotonic()
            if database != "sqlite":
                assert process.wait() == 143, process.said
                assert time.monotonic() - asked < SOON
        assert process.wait() == 143, process.said
        assert time.monotonic() - asked < SOON
    got = len(taken(server))
    assert got < 40
    assert Counter(state for _, state in letters(office).values()) == Counter(queued=40 - got, sent=got)


def test_a_run_that_waits_to_record_ends_at_once_and_leaves_nothing_behind(office: Office) -> None:
    hired(office, 3)
    office.run("2024-01-01T06:00", "--no-send")
    with nobody_reads(office):
        process = start(office.folder, "run", "--as-of", T30)
        wait_until(lambda: holder(office) is not None)
        writing = locked(office)
        writing.__enter__()
    time.sleep(1.5)
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    assert process.wait() == 143, process.said
    assert time.monotonic() - asked < SOON
    writing.__exit__(None, None, None)
    assert [state for _, state in letters(office).values()] == ["queued"] * 3
