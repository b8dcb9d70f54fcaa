"""The command, killed on the spot again and again and started anew: never twice, never lost, never unsaid."""

from __future__ import annotations

import random
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import trustme
from crash.books import assert_promises_kept, in_flight, leases_end, letters
from crash.doomed import start
from crash.killer import MOMENTS, Killer, deadly_smtp, migrate, shot_at_random, taken
from mail.scripted_smtp import DROP, ScriptedSmtp
from office import Office
from variants import first, soak

START = datetime(2024, 1, 2, 6)
CONNECTIONS = 3
DEEP = [moment for moment in MOMENTS if moment[0] in ("mail", "rcpt", "data", "body", "dot")]
"""The moments that come once for every letter."""
ENOUGH: Final = 600
"""People for a few kills: on a busy machine dozens of letters are in hand at each, and some must be left for every moment."""
ALL_DATABASES = ("sqlite", "postgres", "mariadb")


def an_office(folder: Path, database: str, request: pytest.FixtureRequest) -> Office:
    return Office(folder) if database == "sqlite" else Office(folder, ledger=request.getfixturevalue(f"{database}_url"))


@dataclass(frozen=True)
class Encrypted:
    """A server's certificate, and the settings of a client that trusts it and signs in."""

    context: ssl.SSLContext
    ca_file: Path

    @property
    def settings(self) -> str:
        return f'security = "starttls"\nca_file = "{self.ca_file}"\nusername = "u"\npassword = "p"'


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Encrypted:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    return Encrypted(context, ca_file)


def staff(office: Office, port: int, people: int, encrypted: Encrypted | None = None) -> None:
    """Half of the people are to be reminded, the other half have just switched and get a confirmation: all of it is queued."""
    office.safety = "allow_time_travel = true\nmax_changes = 1.0\nstale_hours = 10000"
    office.mail = (
        f'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = {port}\ntimeout = 60\n'
        f'rate = "100000/s"\nconnections = {CONNECTIONS}\n'
    ) + (encrypted.settings if encrypted else 'security = "none"')
    for n in range(0, people, 2):
        office.hire(f"u{n:05}", "totp")
    office.run(at(timedelta(days=-1)), "--no-send")
    for n in range(people):
        office.hire(f"u{n:05}", "sms" if n % 2 else "totp,push")
    office.run(at(timedelta()), "--no-send")


def at(since: timedelta) -> str:
    """The instant so long after everything was queued, as a person types it."""
    return f"{START + since:%Y-%m-%dT%H:%M}"


def to_the_end(office: Office, killer: Killer, hour: int) -> None:
    """Nobody is killed any more: leases end, letters go out, until a delivery finds nothing left to do."""
    killer.order(None)
    for later in (hour, hour + 1, hour + 40):
        leases_end(office)
        process = start(office.folder, "send", "--as-of", at(timedelta(hours=later)))
        assert process.wait(600) in (0, 5), process.said


def some_orders(rng: random.Random) -> list[tuple[tuple[str, str], int]]:
    """Every moment once, each at one of its first times; two deep among the reminders, for confirmations go first; QUIT in the end."""
    early = [(moment, rng.randint(1, 2)) for moment in MOMENTS if moment[0] != "quit"]
    return [*early, (("dot", "before"), 40), (("dot", "after"), 40), (("quit", "before"), 1), (("quit", "after"), 1)]


@pytest.mark.parametrize("part", [0, 1, 2])
def test_killed_around_every_verb_of_smtp(part: int, tmp_path: Path, encrypted: Encrypted) -> None:
    killed_around_verbs(Office(tmp_path / "office"), ENOUGH, some_orders(random.Random(3))[part::3], encrypted)


@pytest.mark.parametrize("database", first(1, ["mariadb", "postgres"]))
def test_killed_around_some_verbs_with_the_ledger_on_a_server(
    database: str, tmp_path: Path, encrypted: Encrypted, request: pytest.FixtureRequest
) -> None:
    office = Office(tmp_path / "office", ledger=request.getfixturevalue(f"{database}_url"))
    killed_around_verbs(office, ENOUGH, some_orders(random.Random(4))[5::5], encrypted)


def killed_around_verbs(office: Office, people: int, orders: list[tuple[tuple[str, str], int]], encrypted: Encrypted) -> None:
    """Shot at each of the moments in turn, all of which come."""
    killer, flown, turns = Killer(), 0, []
    with deadly_smtp(killer, encrypted.context) as server:
        staff(office, server.port, people, encrypted)
        for hour, (moment, nth) in enumerate(orders, 1):
            killer.order(moment, nth)
            leases_end(office)
            process = killer.hunts(partial(start, office.folder, "send", "--as-of", at(timedelta(hours=hour))))
            ended = process.wait()
            turns.append((moment, nth, ended, process.said))
            flown += in_flight(office)
        to_the_end(office, killer, len(orders) + 1)
        assert killer.kills >= len(orders) - 1, turns  # who has said QUIT may be gone before it is shot
        assert_promises_kept(office, server, flown)


@pytest.mark.parametrize(
    ("database", "people"), [("sqlite", 200), ("postgres", 120), ("mariadb", 120), *(soak(name, 5000) for name in ALL_DATABASES)]
)
def test_a_faulty_server_and_our_books_agree_in_the_end(
    database: str, people: int, tmp_path: Path, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    """A fifth put off, a twentieth refused for good, some connections dropped before the letter is taken and some after."""
    rng = random.Random(5)
    rcpt = rng.choices(["250 ok", "451 4.3.0 later", "550 5.6.0 never", DROP], [73, 20, 5, 2], k=8 * people)
    dot = rng.choices(["250 ok", ("250 ok", DROP), DROP], [98, 1, 1], k=8 * people)
    office = an_office(tmp_path / "office", database, request)
    with ScriptedSmtp(rcpt=list(rcpt), dot=list(dot)) as server:
        staff(office, server.port, people)
        said = Counter[str]()
        for day in range(14):
            done = office.migrate("send", "--json", "--as-of", at(timedelta(hours=30 * day)))
            assert done.code in (0, 5), done.err
            said.update({word: done.facts["letters"][word] for word in ("sent", "failed", "uncertain")})
            if done.facts["letters"]["queued"] == 0 and day > 2:
                break
    known, got = letters(office), taken(server)
    states = Counter(state for _, state in known.values())
    assert len(known) == people
    assert {"sent", "failed"} <= set(states) <= {"sent", "failed", "uncertain"}
    assert states["sent"] == said["sent"]
    assert states["failed"] == said["failed"]
    assert max(got[reference] for reference, (kind, _) in known.items() if kind != "change_confirmation") == 1
    assert all(got[reference] for reference, (_, state) in known.items() if state == "sent")
    # Whatever the server took is known here as taken, or as something that cannot be known.
    assert {reference for reference in got if known[reference][1] == "failed"} == set()
    record_property("counted", f"{database}: {dict(states)}; the server took {len(got)} letters, {sum(got.values())} times")


@pytest.mark.soak
@pytest.mark.parametrize(("database", "people", "kills"), [("sqlite", 16_000, 60), ("postgres", 6000, 20), ("mariadb", 6000, 20)])
def test_letters_by_the_thousand_killed_again_and_again(
    database: str, people: int, kills: int, tmp_path: Path, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    """The installed command itself, at random moments: around a verb in one turn, at any time whatever in the next."""
    killer, rng, turn, flown = Killer(), random.Random(4), 0, 0
    office = an_office(tmp_path / "office", database, request)
    with deadly_smtp(killer) as server:
        staff(office, server.port, people)
        while killer.kills < kills:
            turn += 1
            leases_end(office)
            process = killer.hunts(partial(migrate, office.folder, "send", "--as-of", at(timedelta(minutes=20 * turn))))
            timer = None
            if turn % 2:
                killer.order(rng.choice(DEEP), nth=rng.randint(1, people // 80))
            else:
                killer.order(None)
                timer = shot_at_random(killer, 2.5, rng)
            process.communicate(timeout=600)
            if timer:
                timer.cancel()
                timer.join()
            flown += in_flight(office)
            if not any(state in ("queued", "sending") for _, state in letters(office).values()):
                break
        assert killer.kills >= kills * 5 // 6
        to_the_end(office, killer, turn // 3 + 2)
        assert_promises_kept(office, server, flown)
    states, got = Counter(state for _, state in letters(office).values()), taken(server)
    twice = sum(times > 1 for times in got.values())
    told = f"{database}: {people} letters, {killer.kills} kills, {flown} in flight at them: {dict(states)}; the server took {len(got)}"
    record_property("counted", f"{told}, {twice} of them (confirmations) more than once")
