"""A large tenant: calls against the floor, the rate kept, memory flat, tokens that end, throttling and a broken page on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from directory.entra_tenants import directory
from graph.clock import VirtualClock
from graph.people import believable
from graph.server import Fake
from graph.tenant import guid

from migrate.directory.interface import Tally
from migrate.directory.translated import read

ROOT = Path(__file__).parents[2]


def walk(size: int, clock: VirtualClock, folder: Path, *, troubled: bool) -> None:
    """Reads a tenant to its end, and compares what it took with the floor."""
    with Fake(believable(size), clock=clock.now) as fake:
        fake.token_seconds = 90 if size > 50_000 else 5
        if troubled:
            fake.fail("/v1.0/reports", "429", times=2, after=size // 2500)
            fake.fail("/v1.0/reports", "429", times=1, after=size // 2000, retry_after=None)
            fake.fail("/v1.0/reports", "break off", after=size // 1500)
            fake.fail("/v1.0/users", "503", after=size // 2500, retry_after=None)
            fake.fail("/v1.0/users", "hang up", after=size // 2000)
        begun, tally, seen = clock.now(), Tally(), 0
        source = directory(fake, folder, groups=["All staff"], roles=["Global Administrator"])
        for frame in read(source, language="en", tally=tally):
            # The fake makes its people in order, so that whoever is left out or comes twice shows.
            assert frame["account_id"].tolist() == [guid(seen + 1 + at) for at in range(len(frame))]
            seen += len(frame)
        seconds = clock.now() - begun
        assert seen == size == tally.rows
        assert fake.violations == []
    pages, reports = -(-size // 999), -(-len(fake.tenant.reported()) // 999)
    calls = Counter(call.split(" ", 2)[2].split("/")[1] for call in fake.calls)
    assert calls["reports"] <= reports + 4 * troubled, "the report: a call a page, and what was tried again"
    assert calls["users"] <= pages + 2 * troubled
    assert fake.throttle.most["reports"] <= 5 and fake.throttle.refused == {}, "never more than 5 calls in 10 seconds"
    floor = max(reports - 5, 0) / 5 * 10
    assert floor <= seconds <= floor * 1.1 + 60 * troubled + 15
    assert fake.tokens_given >= 1 + int(seconds // fake.token_seconds) * (size > 50_000)


@pytest.mark.parametrize("troubled", [False, True])
def test_a_read_of_a_tenant_is_near_the_floor_and_never_above_the_rate(troubled: bool, clock: VirtualClock, tmp_path: Path) -> None:
    walk(7_000, clock, tmp_path, troubled=troubled)


@pytest.mark.soak
def test_a_read_of_a_hundred_thousand_is_whole_and_near_the_floor(clock: VirtualClock, tmp_path: Path) -> None:
    walk(100_000, clock, tmp_path, troubled=True)


READER = """
import resource, sys, tomllib
from pathlib import Path
from graph.clock import VirtualClock
from migrate.directory import open_directory, settings_model
from migrate.directory.entra.source import EntraDirectory
from migrate.directory.interface import Tally
from migrate.directory.translated import read
EntraDirectory.clock = VirtualClock()
told = tomllib.loads(sys.argv[1])["directory"]
tally = Tally()
for _ in read(open_directory(settings_model("entra")(**told, groups=["All staff"])), language="en", tally=tally):
    pass
print(tally.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(size: int) -> float:
    """MiB at most of a process that reads so many."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    served = [sys.executable, "-m", "tests.graph", "--people", str(size), "--unhurried"]
    with subprocess.Popen(served, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as fake:
        assert fake.stdout is not None
        told = "".join(iter(fake.stdout.readline, "# Stop it with Ctrl-C.\n"))
        assert tomllib.loads(told)
        try:
            said = subprocess.run([sys.executable, "-c", READER, told], env=environment, capture_output=True, text=True, check=True).stdout
        finally:
            fake.terminate()
    rows, kib = map(int, said.split())
    assert rows == size
    return kib / 1024


@pytest.mark.soak
def test_memory_does_not_grow_with_the_tenant() -> None:
    small, large = peak(10_000), peak(100_000)
    assert large - small < 60, f"{small:.0f} MiB for 10,000 users, and {large:.0f} MiB for 100,000"
