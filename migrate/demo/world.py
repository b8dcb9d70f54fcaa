"""The sample directory and the days it lives through: a SQLite database that the job only ever reads.

People are kept in memory, and each day's differences are written to the table `users`. Everything comes from the seed and the day, so
that two worlds of one seed are equal row for row.
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
    """One thing that one account went through. `day` is the day of the first run that can see it; the thing itself is up to a day older."""

    day: date
    what: What
    account_id: str


class World:
    """A new directory at `path`, as it stands on the eve of the campaign; `live` takes it on by a day."""

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
        """Everything that happens between six in the morning of the day before and six of `day`, written to the directory.

        Days are lived one after another from the first of `DAYS` on; a day out of turn, a second time included, is a ValueError.
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
        """The ids of those who have a telephone and nothing else, in order."""
        return sorted(user.id for user in self._ordinary() if user.methods and user.methods <= TELEPHONE)

    @contextmanager
    def torn(self) -> Iterator[None]:
        """The directory as an export that breaks off after a third of its rows, while the context lasts."""
        kept = sorted(self._users)[: len(self._users) // 3]
        lost = [user for user in self._users.values() if user.id not in kept]
        with closing(sqlite3.connect(self._path)) as database, database:
            database.executemany("delete from users where id = ?", [(user.id,) for user in lost])
        yield
        with closing(sqlite3.connect(self._path)) as database, database:
            database.executemany(_WRITE, map(_row, lost))

    def _planned(self, day: date, random: Random) -> list[tuple[What, str]]:
        """The happenings with a date of their own: cron fires on each, so that a run sees the directory before, during and after it."""
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
        """The people something can be planned for: at work, on their own second step, with an address, and nobody's manager."""
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
        """The bought company's mailboxes, half of the department at a time."""
        waiting = [user.id for user in self._users.values() if user.dept == ACQUIRED and (user.mail or "").endswith("@example.org")]
        half = waiting[: DEPARTMENTS[ACQUIRED] // 2]
        # looked up one by one: the first to move may be the manager whose address the others' rows have just been given
        return [self._readdress(self._users[id_], self._personnel.move(self._users[id_], "@example.com")) for id_ in half]

    def _move_to_sso(self) -> list[User]:
        team = [user for user in self._ordinary() if user.dept == "Finance"][:12]
        self._users |= {user.id: replace(user, sso=True) for user in team}
        return team

    def _people(self, eve: date, random: Random, spared: frozenset[str]) -> list[tuple[What, str]]:
        """What people did of their own accord; at most one thing each, and nothing where something was planned."""
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
        """Somebody new, under a head who is still there; a telephone can be registered until the cutoff."""
        dept = random.choices(list(DEPARTMENTS), list(DEPARTMENTS.values()))[0]
        head = [user.manager for user in self._users.values() if user.dept == dept][-1]
        old_methods = 0.25 if eve < CAMPAIGN.cutoff_date else 0.0
        user = self._personnel.hire(random, eve, dept, head, old_methods=old_methods, account_id=account_id)
        self._users[user.id] = user
        return user

    def _readdress(self, user: User, readdressed: User) -> User:
        """The user under their new address, which the people they manage name as well."""
        self._users[user.id] = readdressed
        self._users |= {u.id: replace(u, manager=readdressed.mail) for u in self._users.values() if u.manager == user.mail}
        return readdressed

    def _cut_off(self) -> list[tuple[What, str]]:
        """The product removes every telephone; whoever has nothing else is left without a second step."""
        affected = [user for user in self._users.values() if user.methods & TELEPHONE]
        for user in affected:
            left = user.methods - TELEPHONE
            default = user.mfa_default if user.mfa_default in left else next(iter(sorted(left & MODERN)), None)
            self._users[user.id] = replace(user, mfa_methods=listed(left), mfa_default=default, mfa_changed_at=text(CAMPAIGN.cutoff_at))
        return [("cut_off", user.id) for user in affected]

    def _sign_in(self, eve: date, random: Random) -> None:
        """A third of those who ever signed in do so on a day; an instant that cannot be read stays as it is."""
        for user in self._users.values():
            if user.active and (user.last_login or "0") > "1" and random.random() < 0.33:
                self._users[user.id] = replace(user, last_login=moment(eve, random))

    def _write(self, before: dict[str, User]) -> None:
        with closing(sqlite3.connect(self._path)) as database, database:
            database.executemany("delete from users where id = ?", [(gone,) for gone in before.keys() - self._users.keys()])
            database.executemany(_WRITE, [_row(user) for user in self._users.values() if before.get(user.id) is not user])
