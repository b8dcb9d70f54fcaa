"""The installed command, killed on the spot again and again and started anew: never twice, never lost, never unsaid."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from crash.killer import MOMENTS, Killer, deadly_smtp, migrate, shot_at_random, taken
from mail.scripted_smtp import DROP, ScriptedSmtp
from office import Office

START = datetime(2024, 1, 2, 6)
CONNECTIONS = 3


def an_office(folder: Path, port: int, people: int) -> Office:
    """Half of the people are to be reminded, the other half have just switched and get a confirmation."""
    office = Office(folder, safety="allow_time_travel = true\nmax_changes = 1.0\nstale_hours = 10000", more="")
    office.mail = (
        f'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\ntimeout = 5\nrate = "100000/s"\n'
        f"connections = {CONNECTIONS}"
    )
    for n in range(people):
        office.hire(f"u{n:05}", "sms" if n % 2 else "totp")
    office.run(f"{START - timedelta(days=1):%Y-%m-%dT%H:%M}", "--no-send")
    clear(office)
    for n in range(0, people, 2):
        office.change(f"u{n:05}", mfa="totp,push")
    office.run(f"{START:%Y-%m-%dT%H:%M}", "--no-send")
    return office


def clear(office: Office) -> None:
    """The letters of the first day are none of this test's."""
    with contextlib.closing(sqlite3.connect(office.folder / "migrate.db")) as database, database:
        database.execute("UPDATE letter SET state = 'withdrawn', settled_at = queued_at, reason = 'not_reminded' WHERE state = 'queued'")


def letters(office: Office) -> dict[str, tuple[str, str]]:
    """Reference → (kind, state) of every letter but those withdrawn."""
    with contextlib.closing(sqlite3.connect(office.folder / "migrate.db")) as database:
        rows = database.execute("SELECT reference, kind, state FROM letter WHERE state <> 'withdrawn'")
        return {reference: (kind, state) for reference, kind, state in rows}


def to_the_end(office: Office, killer: Killer, hour: int) -> None:
    """Nobody is killed any more: leases end, letters go out, until a delivery finds nothing left to do."""
    killer.order(None)
    for later in (hour, hour + 1, hour + 40):
        process = migrate(office.folder, "send", "--as-of", f"{START + timedelta(hours=later):%Y-%m-%dT%H:%M}")
        _, said = process.communicate(timeout=600)
        assert process.returncode in (0, 5), said


def assert_promises_kept(office: Office, server: ScriptedSmtp, kills: int) -> None:
    got, known = taken(server), letters(office)
    assert set(got) <= set(known)
    states = Counter(state for _, state in known.values())
    assert set(states) <= {"sent", "failed", "uncertain"}, states
    for reference, (kind, state) in known.items():
        if kind == "change_confirmation":
            assert got[reference] >= 1 or state == "uncertain"
        else:
            assert got[reference] <= 1
        assert state != "sent" or got[reference] >= 1
    assert states["uncertain"] <= kills * CONNECTIONS
    confirmations = [state for kind, state in known.values() if kind == "change_confirmation"]
    assert confirmations and states["sent"] > len(known) / 2


def test_killed_around_every_verb_of_smtp(tmp_path: Path) -> None:
    killer, rng = Killer(), random.Random(3)
    with deadly_smtp(killer) as server:
        office = an_office(tmp_path / "office", server.port, 160)
        early = [(moment, rng.randint(1, 3)) for moment in rng.sample(MOMENTS[:-2], 7)]
        # Confirmations go first: only beyond them is it reminders that the server has just taken.
        orders = [*early, (("dot", "before"), 90), (("dot", "after"), 6), (("dot", "before"), 6)]
        for hour, (moment, nth) in enumerate(orders, 1):
            killer.order(moment, nth)
            process = migrate(office.folder, "send", "--as-of", f"{START + timedelta(hours=hour):%Y-%m-%dT%H:%M}")
            killer.victims = [process]
            process.communicate(timeout=60)
        to_the_end(office, killer, len(orders) + 1)
        assert killer.kills >= 8
        assert_promises_kept(office, server, killer.kills)


def test_a_faulty_server_and_our_books_agree_in_the_end(tmp_path: Path) -> None:
    """A fifth put off, a twentieth refused for good, some connections dropped before the letter is taken and some after."""
    rng = random.Random(5)
    rcpt = rng.choices(["250 ok", "451 4.3.0 later", "550 5.7.1 never", DROP], [70, 20, 5, 2], k=1500)
    dot = rng.choices(["250 ok", ("250 ok", DROP), DROP], [96, 2, 2], k=1500)
    with ScriptedSmtp(rcpt=list(rcpt), dot=list(dot)) as server:
        office = an_office(tmp_path / "office", server.port, 200)
        said = Counter[str]()
        for day in range(12):
            done = office.migrate("send", "--json", "--as-of", f"{START + timedelta(hours=30 * day):%Y-%m-%dT%H:%M}")
            assert done.code in (0, 5), done.err
            said.update({word: done.facts["letters"][word] for word in ("sent", "failed", "uncertain")})
            if done.facts["letters"]["queued"] == 0 and day > 2:
                break
    known, got = letters(office), taken(server)
    states = Counter(state for _, state in known.values())
    assert set(states) == {"sent", "failed", "uncertain"}
    assert states["sent"] == said["sent"]
    assert states["failed"] == said["failed"]
    assert max(got[reference] for reference, (kind, _) in known.items() if kind != "change_confirmation") == 1
    assert all(got[reference] for reference, (_, state) in known.items() if state == "sent")
    # Whatever the server took is known here as taken, or as something that cannot be known.
    assert {reference for reference in got if known[reference][1] == "failed"} == set()


@pytest.mark.soak
def test_five_thousand_letters_killed_at_least_fifty_times(tmp_path: Path) -> None:
    killer, rng, hour = Killer(), random.Random(4), 0
    with deadly_smtp(killer) as server:
        office = an_office(tmp_path / "office", server.port, 5000)
        while killer.kills < 60:
            hour += 1
            process = migrate(office.folder, "send", "--as-of", f"{START + timedelta(minutes=20 * hour):%Y-%m-%dT%H:%M}")
            killer.victims = [process]
            timer = None
            if hour % 2:
                killer.order(rng.choice(MOMENTS[4:]), nth=rng.randint(1, 60))
            else:
                killer.order(None)
                timer = shot_at_random(killer, 2.5, rng)
            process.communicate(timeout=600)
            if timer:
                timer.cancel()
                timer.join()
            if not any(state in ("queued", "sending") for _, state in letters(office).values()):
                break
        assert killer.kills >= 50
        to_the_end(office, killer, hour // 3 + 2)
        assert_promises_kept(office, server, killer.kills)
