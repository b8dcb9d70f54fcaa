"""One world, lived through from the first day to the last, and photographed every morning."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from migrate.demo.config import DAYS
from migrate.demo.people import User
from migrate.demo.world import Happening, World


def read(path: Path) -> dict[str, User]:
    """The table `users` as anybody may read it, by id."""
    with closing(sqlite3.connect(path)) as database:
        return {row[0]: User(*row) for row in database.execute("select * from users")}


@dataclass(frozen=True)
class Lived:
    """A whole campaign: the rows on its eve, those of each morning, and what had happened by then."""

    path: Path
    eve: dict[str, User]
    mornings: dict[date, dict[str, User]]
    happened: dict[date, tuple[Happening, ...]]

    @property
    def happenings(self) -> list[Happening]:
        return [happening for day in self.happened.values() for happening in day]


def live(path: Path, **seed: str) -> Lived:
    world = World(path, **seed)
    eve, mornings, happened = read(path), {}, {}
    for day in DAYS:
        happened[day] = world.live(day)
        mornings[day] = read(path)
    return Lived(path, eve, mornings, happened)
