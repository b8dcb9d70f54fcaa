"""A crash leaves no more letters in doubt than were being spoken of: counted at the server, and in the ledger after each kill."""

from __future__ import annotations

import itertools
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from crash.books import in_flight, leases_end, letters
from crash.doomed import start
from crash.killer import Killer, deadly_smtp, shot_at_random, taken
from office import Office
from variants import soak

from migrate.mail.transport import BURST

START = datetime(2024, 1, 2, 6)
CONNECTIONS = 4
PLAIN = "250-scripted.example\r\n250 ENHANCEDSTATUSCODES"
PIPELINING = "250-scripted.example\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES"


class Talk:
    """Who talks to a server, each connection with a thread of its own. `pause` is what a letter takes."""

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self.with_: set[int] = set()

    def greeted(self) -> None:
        self.with_.add(threading.get_ident())

    def letter(self) -> None:
        time.sleep(self.pause)


def queued(folder: Path, port: int, people: int) -> Office:
    office = Office(folder, safety="allow_time_travel = true\nstale_hours = 10000")
    office.mail = (
        f'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\ntimeout = 5\n'
        f'rate = "100000/s"\nconnections = {CONNECTIONS}'
    )
    for n in range(people):
        office.hire(f"u{n:05}", "sms")
    office.run(at(0), "--no-send")
    return office


def at(minutes: int) -> str:
    return f"{START + timedelta(minutes=minutes):%Y-%m-%dT%H:%M}"


def held(office: Office) -> int:
    with closing(sqlite3.connect(office.folder / "migrate.db")) as ledger:
        (found,) = ledger.execute("SELECT count(*) FROM letter WHERE state = 'claimed'").fetchone()
    return int(found)


@dataclass
class Outcome:
    """What came of a delivery: what the server took of each letter, and after each kill how many connections had talked to the server,
    how many letters were in doubt and how many only claimed."""

    office: Office
    got: Counter[str]
    talking: list[int]
    doubted: list[int]
    claimed: list[int]


def killed(folder: Path, people: int, kills: int, talk: Talk, offers: str, deep: int = 0) -> Outcome:
    """Delivers until every letter is settled, killed so often at random moments; with `deep` at one of so many letters taken."""
    killer, rng = Killer(), random.Random(11)
    talking, doubted, claimed = [], [], []
    dot = (talk.letter, "250 2.0.0 queued", partial(killer.comes, ("dot", "after")))
    with deadly_smtp(killer, ehlo=(offers, talk.greeted), dot=dot) as server:
        office = queued(folder, server.port, people)
        for turn in itertools.count(1):
            talk.with_.clear()
            killer.order(("dot", "after") if deep and killer.kills < kills else None, rng.randint(1, deep or 1))
            leases_end(office)
            process = killer.hunts(partial(start, office.folder, "send", "--as-of", at(20 * turn)))
            while not talk.with_ and process.poll() is None:
                time.sleep(0.005)
            timer = shot_at_random(killer, 1.0, rng) if not deep and killer.kills < kills else None
            code = process.wait(600)
            if timer:
                timer.cancel()
                timer.join()
            if code in (0, 5):
                break
            talking.append(len(talk.with_))
            doubted.append(in_flight(office))
            claimed.append(held(office))
        # What the killed ones had claimed comes free with the end of its lease, and what they had begun with is uncertain then.
        for later in (1, 2):
            leases_end(office)
            assert start(office.folder, "send", "--as-of", at(20 * turn + 20 * later)).wait(600) in (0, 5)
        return Outcome(office, taken(server), talking, doubted, claimed)


def assert_only_those_are_in_doubt(done: Outcome, people: int) -> None:
    got = done.got
    known = {reference: state for reference, (_, state) in letters(done.office).items()}
    states = Counter(known.values())
    assert len(known) == people
    assert set(states) <= {"sent", "uncertain"}
    assert states["uncertain"] == sum(done.doubted)
    assert max(got.values()) == 1
    assert all(got[reference] == 1 for reference, state in known.items() if state == "sent")


@pytest.mark.parametrize(
    ("offers", "people", "kills"),
    [soak(PLAIN, 200, 3), (PIPELINING, 200, 3), soak(PIPELINING, 4000, 30)],
    ids=["plain", "pipelining", "soak"],
)
def test_a_slow_server_has_one_letter_in_doubt_for_each_connection_that_talked_to_it(
    offers: str, people: int, kills: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    pause = 0.1 if people < 1000 else 0.05
    done = killed(tmp_path / "office", people, kills, Talk(pause), offers)
    assert len(done.doubted) == kills
    assert all(doubted <= talking <= CONNECTIONS for doubted, talking in zip(done.doubted, done.talking, strict=True)), done
    assert_only_those_are_in_doubt(done, people)
    told = f"{people} letters, {kills} kills, {sum(done.talking)} letters spoken of at them, {sum(done.doubted)} uncertain"
    record_property("counted", told)


@pytest.mark.parametrize(("people", "kills"), [(800, 3), soak(16_000, 20)], ids=["some", "soak"])
def test_a_fast_server_has_one_burst_in_doubt_for_each_connection_and_not_what_was_claimed(
    people: int, kills: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    done = killed(tmp_path / "office", people, kills, Talk(0), PIPELINING, deep=people // (2 * kills))
    assert max(done.doubted) <= CONNECTIONS * BURST
    assert_only_those_are_in_doubt(done, people)
    record_property("counted", f"{people} letters; after each kill {done.doubted} in doubt and {done.claimed} claimed")
