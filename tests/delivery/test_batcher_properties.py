"""Two batchers, as of two processes, at one outbox and one day's limit: filled, settled, emptied, left behind and swept in any order."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
import sqlalchemy as sa
from delivery.post_office import states
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger.scenes import MINUTE, NOW, Scene, Simulated, confirmation, facts, queue_row

from migrate.delivery import RateLimiter
from migrate.delivery.batcher import Batcher, Place
from migrate.ledger import runs, schema
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.mail.rates import Rates
from migrate.outbox.claims import ClaimedLetter, Claims, SettledAs, Settlement
from migrate.outbox.rates import DAY, sent_lately

SERVER: Final = "mail.example.com:587"
LETTERS: Final = 24
TRY: Final = 2 * MINUTE
LEASE: Final = 5 * MINUTE
VERDICTS: Final[tuple[SettledAs, ...]] = ("sent", "sent", "sent", "temporary", "released", "failed", "uncertain")


class World:
    """What happened: `said` are the letters that a server took or may have taken, and when."""

    def __init__(self, ledger: Ledger, scene: Scene, limit: int) -> None:
        self.ledger, self.scene, self.limit = ledger, scene, limit
        self.now = NOW
        self.said: list[tuple[str, datetime]] = []
        self.workers = 0
        self.killed = 0
        self.limiters: list[RateLimiter] = []
        self.batchers: list[tuple[Batcher, list[Place], Claims]] = []
        for _ in range(2):
            self.start(len(self.batchers))

    def start(self, at: int) -> None:
        self.workers += 1
        claims = Simulated(self.ledger, self.scene.campaign_id, f"w{self.workers}", LEASE, longest_try=TRY)
        limiter = RateLimiter(self.ledger, SERVER, Rates.of(["1000/s", f"{self.limit}/day"]), lambda: self.now)
        batcher = Batcher(claims, lambda: self.now, limiter=limiter)
        self.batchers[at : at + 1] = [(batcher, [batcher.place(), batcher.place()], claims)]
        self.limiters[at : at + 1] = [limiter]

    def say(self, at: int, place: int, verdict: SettledAs, minutes: int) -> None:
        """As a sender does with the first letter in hand; it takes some minutes at most."""
        batcher, places, claims = self.batchers[at]
        mine = places[place]
        if not mine.hand:
            return
        if not claims.in_time(mine.hand[0], self.now):
            batcher.settle(mine, Settlement("released"))
            return
        this: ClaimedLetter = mine.hand[0]
        self.now += min(minutes * MINUTE, TRY)
        later = self.now + 30 * MINUTE if verdict == "temporary" else None
        if verdict in ("sent", "uncertain"):
            self.said.append((this.address, self.now))
        batcher.settle(mine, Settlement(verdict, not_before=later))

    def kill(self, at: int) -> None:
        self.killed += 1
        self.start(at)

    def close(self) -> None:
        for (batcher, places, _), limiter in zip(self.batchers, self.limiters, strict=True):
            for mine in places:
                mine.wants = 0
                while mine.hand:
                    batcher.settle(mine, Settlement("released"))
            batcher.close()
            limiter.close()


STEP = st.one_of(
    st.tuples(st.just("fill"), st.integers(0, 1), st.integers(0, 1), st.integers(1, 8)),
    st.tuples(st.just("say"), st.integers(0, 1), st.integers(0, 1), st.sampled_from(VERDICTS), st.integers(0, 3)),
    st.tuples(st.just("say"), st.integers(0, 1), st.integers(0, 1), st.just("sent"), st.integers(0, 1)),
    st.tuples(st.just("flush"), st.integers(0, 1)),
    st.tuples(st.just("rest"), st.integers(0, 1)),
    st.tuples(st.just("sweep"), st.integers(0, 1)),
    st.tuples(st.just("kill"), st.integers(0, 1)),
    st.tuples(st.just("wait"), st.sampled_from([1, 4, 6, 40, 24 * 60 - 2, 24 * 60 + 1])),
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "empty.db"
    Ledger.open(LedgerSettings(url=f"sqlite:///{path}"), create=True).close()
    return path


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEP, min_size=10, max_size=60), limit=st.integers(2, 12))
def test_whatever_two_desks_do_no_reminder_goes_twice_and_no_day_has_more_than_its_limit(
    empty: Path, steps: list[tuple[Any, ...]], limit: int
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "migrate.db"
        shutil.copy(empty, path)
        with Ledger.open(LedgerSettings(url=f"sqlite:///{path}"), create=False) as ledger:
            scene = _scene(ledger)
            world = World(ledger, scene, limit)
            for what, *about in steps:
                _do(world, what, about)
            world.close()
            _look(world, scene)
            for _ in range(2 * LETTERS):  # a day goes by, and again, until all is done
                world.now += DAY + 2 * MINUTE
                world.batchers[0][0].sweep()
                _drain(world)
                if not set(states(scene)) & {"queued", "claimed", "sending"}:
                    break
            _look(world, scene)
            # Nothing is left lying, and nothing is in doubt but what was tried, or begun with when a batcher was killed or kept too long.
            assert set(states(scene)) <= {"sent", "failed", "uncertain"}


def _scene(ledger: Ledger) -> Scene:
    with ledger.begin() as connection:
        connection.execute(sa.insert(schema.campaign).values(name="sms", secret="5" * 64, created_at=NOW))
        campaign_id = connection.execute(sa.select(schema.campaign.c.id)).scalar_one()
        run = runs.begin(connection, campaign_id, facts())
    scene = Scene(ledger, campaign_id, run.seq)
    far = NOW + timedelta(days=4000)
    scene.queue(*(queue_row(f"r{n}", ends=far) for n in range(LETTERS - 6)), *(confirmation(f"c{n}") for n in range(6)))
    return scene


def _do(world: World, what: str, about: Sequence[Any]) -> None:
    match what:
        case "fill":
            batcher, places, _ = world.batchers[about[0]]
            places[about[1]].wants = about[2]
            batcher.fill(places[about[1]])
        case "say":
            world.say(*about)
        case "flush":
            world.batchers[about[0]][0].flush()
        case "rest":
            world.batchers[about[0]][0].rest()
        case "sweep":
            world.batchers[about[0]][0].sweep()
        case "kill":
            world.kill(about[0])
        case "wait":
            world.now += about[0] * MINUTE


def _drain(world: World) -> None:
    batcher, (mine, _), _ = world.batchers[0]
    mine.wants = 4
    batcher.fill(mine)
    while mine.hand:
        world.say(0, 0, "sent", 0)
        batcher.fill(mine)
    world.close()


def _look(world: World, scene: Scene) -> None:
    reminders = Counter(address for address, _ in world.said if address.startswith("r"))
    assert max(reminders.values(), default=0) <= 1
    rows = scene.letters()
    assert all(rows[address].state in ("sent", "uncertain", "sending") for address in reminders)
    for _, start in world.said:
        assert sum(start <= at < start + DAY for _, at in world.said) <= world.limit
    if not world.killed:
        with scene.ledger.read() as connection:
            counted = sum(letters for _, letters in sent_lately(connection, SERVER, world.now))
        lately = sum(at > world.now - DAY - MINUTE for _, at in world.said)
        assert abs(counted - lately) <= sum(world.now - DAY - 2 * MINUTE < at <= world.now - DAY + MINUTE for _, at in world.said)
