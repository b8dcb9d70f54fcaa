"""The promises of design §1 with several letters in hand and the next one announced: killed on the spot, and started anew."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections import Counter
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from crash.books import leases_end
from crash.killer import Killer, deadly_smtp, migrate, taken
from office import Office

from migrate.mail.transport import BURST

START = datetime(2024, 1, 2, 6)
CONNECTIONS = 2
PIPELINING = "250-scripted.example\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES"


def letters(office: Office) -> dict[str, str]:
    """Reference → state of every letter."""
    with contextlib.closing(sqlite3.connect(office.folder / "migrate.db")) as database:
        return dict(database.execute("SELECT reference, state FROM letter"))


def test_killed_with_many_letters_in_hand_none_goes_out_twice_and_none_is_lost(tmp_path: Path) -> None:
    killer, rng = Killer(), random.Random(9)
    with deadly_smtp(killer, ehlo=PIPELINING) as server:
        office = Office(tmp_path / "office", safety="allow_time_travel = true\nstale_hours = 10000")
        office.mail = (
            f'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\ntimeout = 5\n'
            f'rate = "100000/s"\nconnections = {CONNECTIONS}'
        )
        for n in range(300):
            office.hire(f"u{n:05}")
        office.run(f"{START:%Y-%m-%dT%H:%M}", "--no-send")
        hour = 0
        for moment in (("body", "before"), ("dot", "before"), ("dot", "after")):
            hour += 1
            killer.order(moment, rng.randint(15, 40))
            as_of = f"{START + timedelta(hours=hour):%Y-%m-%dT%H:%M}"
            leases_end(office)
            process = killer.hunts(partial(migrate, office.folder, "send", "--as-of", as_of))
            process.communicate(timeout=60)
        assert killer.kills == 3
        killer.order(None)
        for later in (hour + 1, hour + 2):
            leases_end(office)
            done = office.migrate("send", "--as-of", f"{START + timedelta(hours=later):%Y-%m-%dT%H:%M}")
            assert done.code in (0, 5), done.err
    known, got = letters(office), taken(server)
    states = Counter(known.values())
    assert set(states) == {"sent", "uncertain"}
    assert set(got) <= set(known)
    assert max(got.values()) == 1
    assert all(got[reference] == 1 for reference, state in known.items() if state == "sent")
    assert states["uncertain"] <= killer.kills * CONNECTIONS * BURST
