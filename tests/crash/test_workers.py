"""Four senders at one outbox, two of them killed midway: no letter twice, none forgotten, and one rate for all."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from crash.books import in_flight, leases_end, letters
from crash.killer import migrate, taken, wait_until
from journeys.test_delivery import T30, by_smtp, hired
from mail.scripted_smtp import ScriptedSmtp
from office import Office
from variants import soak

RATE = 20
LATER = "2024-01-02T09:00"


def counting(arrived: list[float], opened: threading.Event) -> ScriptedSmtp:
    """Notes when each letter was taken; greets nobody before it is opened, so that all senders are there when the first letter goes."""
    greets = (lambda: opened.wait(60), "220 scripted.example ESMTP")
    return ScriptedSmtp(connect=greets, dot=(lambda: arrived.append(time.monotonic()), "250 2.0.0 queued"))


def queued(office: Office, port: int, people: int) -> None:
    hired(office, people)
    by_smtp(office, port, rate=f"{RATE}/s", connections=4, timeout=60)
    office.run(T30, "--no-send")


def assert_each_once(office: Office, server: ScriptedSmtp, people: int) -> str:
    """After everybody has ended: what the dead had in hand is uncertain, everything else was sent, once."""
    flown = in_flight(office)
    leases_end(office)
    done = office.migrate("send", "--json", "--as-of", LATER)
    assert done.code == (5 if flown else 0), done.err
    got, states = taken(server), [state for _, state in letters(office).values()]
    uncertain = states.count("uncertain")
    assert max(got.values()) == 1
    assert uncertain == flown <= 8
    assert states.count("sent") == people - uncertain
    assert people - uncertain <= len(got) <= people
    return f"{people} letters, {len(got)} accepted by the server, none twice; {states.count('sent')} sent, {uncertain} uncertain"


def assert_the_rate_was_kept(arrived: list[float], opened: float, slow: float, fast: float) -> str:
    """Neither slower nor faster, since the server opened, than these shares of the rate. On a busy machine the first letter may be late."""
    found = len(arrived) / (max(arrived) - opened)
    assert slow <= found / RATE <= fast
    # Not in any part of the time either: what was left unused is never made up for.
    whole = sorted(arrived)
    busiest = max(sum(start <= one < start + 5 for one in whole) for start in whole)
    assert busiest <= 5 * RATE * 1.05 + 8
    return f"{found:.2f} a second of {RATE}, {max(arrived) - opened:.1f} s long"


@pytest.mark.parametrize(
    ("database", "seconds", "slow", "fast"),
    [("postgres", 5, 0.4, 1.25), soak("mariadb", 5, 0.4, 1.25), soak("postgres", 62, 0.95, 1.05), soak("mariadb", 62, 0.95, 1.05)],
)
def test_four_senders_two_of_them_killed_midway(
    database: str, seconds: int, slow: float, fast: float, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    office = Office(tmp_path / "office", ledger=request.getfixturevalue(f"{database}_url"))
    arrived: list[float] = []
    opened = threading.Event()
    with counting(arrived, opened) as server:
        queued(office, server.port, RATE * seconds)
        senders = [migrate(office.folder, "send", "--as-of", T30) for _ in range(4)]
        wait_until(lambda: server.connections >= 16, 60)
        opened.set()
        since = time.monotonic()
        for sender, share in ((senders[1], 2), (senders[3], 3)):
            wait_until(lambda share=share: len(arrived) > RATE * seconds * share // 4, 100)
            sender.kill()
        said = [sender.communicate(timeout=100) for sender in senders]
        assert [sender.returncode for sender in senders] == [0, -signal.SIGKILL, 0, -signal.SIGKILL], said
        paced = assert_the_rate_was_kept(arrived, since, slow, fast)
        request.node.user_properties.append(("counted", f"{database}: {assert_each_once(office, server, RATE * seconds)}; {paced}"))


def test_two_of_four_workers_of_one_command_killed_midway(tmp_path: Path, postgres_url: str) -> None:
    office = Office(tmp_path / "office", ledger=postgres_url)
    arrived: list[float] = []
    opened = threading.Event()
    with counting(arrived, opened) as server:
        queued(office, server.port, 5 * RATE)
        command = migrate(office.folder, "send", "--workers", "4", "--as-of", T30)
        wait_until(lambda: server.connections >= 4, 60)
        opened.set()
        for worker, share in zip(workers_of(command.pid), (2, 3), strict=False):
            wait_until(lambda share=share: len(arrived) > 5 * RATE * share // 4)
            os.kill(worker, signal.SIGKILL)
        _, err = command.communicate(timeout=60)
        assert command.returncode == 1
        assert "was killed by SIGKILL. What it had in hand becomes uncertain when its lease ends" in err
        assert_each_once(office, server, 5 * RATE)


def workers_of(parent: int) -> list[int]:
    """The processes that deliver for a command; multiprocessing has one more, to clean up."""
    children = [int(pid) for task in Path(f"/proc/{parent}/task").iterdir() for pid in (task / "children").read_text().split()]
    return [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
