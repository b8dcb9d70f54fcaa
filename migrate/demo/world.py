"""The sample directory and how it changes day by day: a SQLite database, which the job only reads.

People are kept in memory, and each day's changes are written to the table `users`. Everything depends on the seed and the day, so that two
directories of one seed are equal row for row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from operator import attrgetter
from pathlib import Path
from random import Random
from typing import Final

from migrate.demo.config import CAMPAIGN, DAYS
from migrate.demo.moves import What, daily, mood
from migrate.demo.people import ACQUIRED, DEPARTMENTS, MODERN, TELEPHONE, Personnel, User, listed, moment, population, text

SEED: Final = "sms-retirement"

_CREATE: Final = """
create table users (
    id text primary key, login text not null unique, mail text, security_mails text, name text not null, given text, lang text, dept text,
    manager text, active integer not null, sso integer not null, kind text not null, is_admin integer not null, mfa_methods text,
    mfa_default text, mfa_changed_at text, last_login text, mobile text
)"""
_row: Final = attrgetter(*(field.name for field in fields(User)))
_WRITE: Final = f"insert or replace into users values ({', '.join('?' * len(fields(User)))})"  # noqa: S608 (question marks only)


@dataclass(frozen=True, slots=True)
class Happening:
    """An event in the life of one account. `day` is the day of the first run that can see it; the event itself is up to a day older."""

    day: date
    what: What
    account_id: str


class World:
    """A new directory at `path`, as it is on the day before the campaign; `live` moves it on by a day."""

    def __init__(self, path: Path, seed: str = SEED) -> None:
        self._path = path
        self._seed = seed
        self._personnel = Personnel()
        self._users = {user.id: user for user in population(self._personnel, seed)}
        self._away: list[User] = []
        self._freed_id: str | None = None
        self._next_day = DAYS[0]
        path.touch(mode=0o600, exist_ok=False)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(_CREATE)
            database.executemany(_WRITE, map(_row, self._users.values()))

    def live(self, day: date) -> tuple[Happening, ...]:
        """Writes to the directory everything that happens from six in the morning of the day before until six of `day`.

        Days come one after another from the first of `DAYS` on; a day out of order, or a second time, is a ValueError.
        """
        if day != self._next_day:
            raise ValueError(f"the day to live is {self._next_day}, not {day}")
        self._next_day += timedelta(days=1)
        random = Random(f"{self._seed}:{day}")
        before = dict(self._users)
        happened = self._planned(day, random)
        happened += self._people(day - timedelta(days=1), random, spared=frozenset(account_id for _, account_id in happened))
        if day == CAMPAIGN.cutoff_date:
            happened += self._cut_off()
        self._sign_in(day - timedelta(days=1), random)
        self._write(before)
        return tuple(Happening(day, what, account_id) for what, account_id in happened)

    def depending(self) -> list[str]:
        """The ids of the people who have a telephone and nothing else, in order."""
        return sorted(user.id for user in self._ordinary() if user.methods and user.methods <= TELEPHONE)

    @contextmanager
    def torn(self) -> Iterator[None]:
        """Leaves only the first third of the rows in the directory while the context lasts, as an export that ended early would."""
        kept = sorted(self._users)[: len(self._users) // 3]
        lost = [user for user in self._users.values() if user.id not in kept]
        with closing(sqlite3.connect(self._path)) as database, database:
            database.executemany("delete from users where id = ?", [(user.id,) for user in lost])
        yield
        with closing(sqlite3.connect(self._path)) as database, database:
            database.executemany(_WRITE, map(_row, lost))

    def _planned(self, day: date, random: Random) -> list[tuple[What, str]]:
        """The events with a day of their own. Cron starts the job on each of these days, so that a run sees the directory before, during
        and after it."""
        plans: dict[date, tuple[What, Callable[[], list[User]]]] = {
            date(2023, 12, 29): ("left", lambda: self._free_an_id(random)),
            date(2024, 1, 9): ("id_reused", lambda: self._reuse_the_id(random)),
            date(2024, 1, 11): ("vanished", lambda: self._vanish(random)),
            date(2024, 1, 12): ("came_back", self._come_back),
            date(2024, 1, 16): ("moved_domain", self._move_domain),
            date(2024, 1, 23): ("moved_domain", self._move_domain),
            date(2024, 1, 24): ("moved_to_sso", self._move_to_sso),
        }
        if day not in plans:
            return []
        what, happen = plans[day]
        return [(what, user.id) for user in happen()]

    def _ordinary(self) -> list[User]:
        """The people for whom an event can be planned: at work, with an address and a second step of their own, and nobody's manager."""
        heads = {user.manager for user in self._users.values()}
        return [u for u in self._users.values() if u.kind == "person" and u.active and not u.sso and u.mail and u.mail not in heads]

    def _free_an_id(self, random: Random) -> list[User]:
        leaver = random.choice([user for user in self._ordinary() if user.methods and user.methods <= TELEPHONE])
        self._freed_id = leaver.id
        return [self._users.pop(leaver.id)]

    def _reuse_the_id(self, random: Random) -> list[User]:
        return [self._hire(date(2024, 1, 8), random, self._freed_id)]

    def _vanish(self, random: Random) -> list[User]:
        self._away = random.sample(self._ordinary(), 4)
        for user in self._away:
            del self._users[user.id]
        return self._away

    def _come_back(self) -> list[User]:
        back, self._away = self._away, []
        self._users |= {user.id: user for user in back}
        return back

    def _move_domain(self) -> list[User]:
        """Moves the mailboxes of the acquired company to our domain, half of the department at a time."""
        waiting = [user.id for user in self._users.values() if user.dept == ACQUIRED and (user.mail or "").endswith("@example.org")]
        half = waiting[: DEPARTMENTS[ACQUIRED] // 2]
        # look each one up again: moving a manager changes the rows of the people they manage
        return [self._readdress(self._users[id_], self._personnel.move(self._users[id_], "@example.com")) for id_ in half]

    def _move_to_sso(self) -> list[User]:
        team = [user for user in self._ordinary() if user.dept == "Finance"][:12]
        self._users |= {user.id: replace(user, sso=True) for user in team}
        return team

    def _people(self, eve: date, random: Random, spared: frozenset[str]) -> list[tuple[What, str]]:
        """What people did by themselves: at most one thing each, and nothing if an event was planned for them."""
        today, happened = mood(eve), list[tuple[What, str]]()
        for user in list(self._users.values()):
            if user.id not in spared and (did := daily(user, today, random)):
                what, self._users[user.id] = did
                happened.append((what, user.id))
        untouched = [user for user in self._ordinary() if user.id not in spared.union(account_id for _, account_id in happened)]
        leaving = [user for user in untouched if random.random() < 0.0006 * today.pace]
        for user in leaving:
            del self._users[user.id]
            happened.append(("left", user.id))
        if random.random() < 0.15 * today.pace:
            newlywed = random.choice([user for user in untouched if user not in leaving])
            happened.append(("married", self._readdress(newlywed, self._personnel.marry(newlywed, random)).id))
        for _ in range(random.choice((0, 0, 1, 1, 2)) if today.pace == 1 else 0):
            happened.append(("joined", self._hire(eve, random).id))
        return happened

    def _hire(self, eve: date, random: Random, account_id: str | None = None) -> User:
        """Adds a new person, under a manager who is still there. A telephone can be registered until the cutoff."""
        dept = random.choices(list(DEPARTMENTS), list(DEPARTMENTS.values()))[0]
        head = [user.manager for user in self._users.values() if user.dept == dept][-1]
        old_methods = 0.25 if eve < CAMPAIGN.cutoff_date else 0.0
        user = self._personnel.hire(random, eve, dept, head, old_methods=old_methods, account_id=account_id)
        self._users[user.id] = user
        return user

    def _readdress(self, user: User, readdressed: User) -> User:
        """Gives a user their new address, also in the rows of the people they manage."""
        self._users[user.id] = readdressed
        self._users |= {u.id: replace(u, manager=readdressed.mail) for u in self._users.values() if u.manager == user.mail}
        return readdressed

    def _cut_off(self) -> list[tuple[What, str]]:
        """Removes every telephone, as the product does at the cutoff; people with nothing else have no second step then."""
        affected = [user for user in self._users.values() if user.methods & TELEPHONE]
        for user in affected:
            left = user.methods - TELEPHONE
            default = user.mfa_default if user.mfa_default in left else next(iter(sorted(left & MODERN)), None)
            self._users[user.id] = replace(user, mfa_methods=listed(left), mfa_default=default, mfa_changed_at=text(CAMPAIGN.cutoff_at))
        return [("cut_off", user.id) for user in affected]

    def _sign_in(self, eve: date, random: Random) -> None:
        """Lets a third of those who ever signed in do so on a day; an instant that cannot be read stays as it is."""
        for user in self._users.values():
            if user.active and (user.last_login or "0") > "1" and random.random() < 0.33:
                self._users[user.id] = replace(user, last_login=moment(eve, random))

    def _write(self, before: dict[str, User]) -> None:
        with closing(sqlite3.connect(self._path)) as database, database:
            database.executemany("delete from users where id = ?", [(gone,) for gone in before.keys() - self._users.keys()])
            database.executemany(_WRITE, [_row(user) for user in self._users.values() if before.get(user.id) is not user])
