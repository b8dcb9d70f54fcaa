"""People for the measurements: a believable directory of eleven columns in SQLite, and what happens in it from one day to the next.

    python -m benchmarks.people make PATH ACCOUNTS SHARE
    python -m benchmarks.people change PATH SHARE DAY
    python -m benchmarks.people switch PATH SHARE DAY

It runs in a process of its own, because Linux counts a program's memory from that of whoever started it. The same arguments make the same
people.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final

_TABLE: Final = """
CREATE TABLE users (
  id TEXT PRIMARY KEY, login TEXT NOT NULL, mail TEXT, name TEXT, department TEXT, language TEXT, active INTEGER, sso INTEGER,
  mfa TEXT, mfa_default TEXT, changed TEXT
)"""
_GIVEN: Final = (
    "Maria", "Wei", "Amara", "Liam", "Zoë", "Ana", "John", "Ivan", "Fatima", "Noah", "Mia", "Omar", "Chloé", "Lukas", "Sofia", "Kenji",
    "Priya", "Jonas", "Elif", "Mateo", "Ingrid", "Pavel", "Aisha", "Tomás", "Hannah", "Yusuf", "Olga", "Diego", "Nora", "Samuel",
)  # fmt: skip
_FAMILY: Final = (
    "Santos", "Chen", "Okafor", "Murphy", "Weiß", "Silva", "Smith", "Petrov", "Haddad", "Jensen", "Müller", "Rossi", "Dubois", "Novák",
    "García", "Tanaka", "Sharma", "Larsen", "Yılmaz", "Torres", "Berg", "Kowalski", "Diallo", "Ferreira", "Cohen", "Demir", "Ivanova",
    "Romero", "Lindqvist", "Abara", "O'Connor", "van Dijk", "Nguyen", "Kim", "Schmidt", "Moreau", "Costa", "Popescu", "Horvat", "Virtanen",
)  # fmt: skip
_DEPARTMENTS: Final = (
    "Sales",
    "Research",
    "Finance",
    "Support",
    "Operations",
    "Legal",
    "Human Resources",
    "Engineering, Core",
    "Marketing",
)
_LANGUAGES: Final = ("en", "en", "en", "de", "fr", "es", "pt-BR", "ja")
_ON_SMS: Final = (("sms", "sms"), ("sms", "sms"), ("sms,backup_code", "sms"), ("sms,totp", "sms"))
_MOVED: Final = (
    ("totp", "totp"), ("totp,backup_code", "totp"), ("push,totp", "push"), ("totp,sms", "totp"), ("passkey", "passkey"), ("", ""),
)  # fmt: skip

_Person = tuple[str, str, str, str, str, str, int, int, str, str, str]


def _people(chance: Random, count: int, share: float, first: int = 0) -> Iterator[_Person]:
    """So many people. A share of them (to the percent) still depends on SMS; some of the others are not active, or sign in through SSO."""
    pick, bits, percent = chance.choice, chance.getrandbits, round(share * 100)
    for n in range(first, first + count):
        given, family = pick(_GIVEN), pick(_FAMILY)
        login = f"{given[0].lower()}.{n:07}"
        digits = f"{bits(128):032x}"
        account = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        on_sms = n * percent % 100 >= 100 - percent
        methods, default = pick(_ON_SMS if on_sms else _MOVED)
        active, sso = (1, 0) if on_sms else (int(bits(5) > 0), int(bits(3) == 0))
        changed = f"20{bits(1) + 21}-{bits(3) + 1:02}-{bits(4) + 1:02}T{bits(4):02}:{bits(5) + 10:02}:{bits(5) + 10:02}Z"
        mail, name = f"{login}@example.com", f"{given} {family}"
        yield account, login, mail, name, pick(_DEPARTMENTS), pick(_LANGUAGES), active, sso, methods, default, changed


def make(path: Path, count: int, share: float) -> None:
    """A new directory of so many, complete or not there at all; a `share` of them depends on SMS."""
    half = path.with_suffix(".new")
    half.unlink(missing_ok=True)
    with closing(sqlite3.connect(half)) as database:
        # The ids are as good as random, so that the index is written everywhere at once: it had better fit into memory.
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000;" + _TABLE)
        with database:
            _insert(database, _people(Random(count), count, share))
    half.rename(path)


def change(path: Path, share: float, day: int) -> None:
    """What happens in a day to a share of the people, and is mailed to nobody: new names and departments; a few leave, as many join."""
    with closing(sqlite3.connect(path)) as database, database:
        (count,) = database.execute("SELECT count(*) FROM users").fetchone()
        chance = Random(day)
        rows = chance.sample(range(1, count + 1), int(count * share))
        few = min(len(rows) // 10, count // 100)
        gone, named, moved = rows[:few], rows[few : (few + len(rows)) // 2], rows[(few + len(rows)) // 2 :]
        names = ((f"{chance.choice(_GIVEN)} {chr(65 + day % 26)}. {chance.choice(_FAMILY)}", row) for row in named)
        database.executemany("UPDATE users SET name = ? WHERE rowid = ?", names)
        teams = ((f"{chance.choice(_DEPARTMENTS)} {day}", row) for row in moved)
        database.executemany("UPDATE users SET department = ? WHERE rowid = ?", teams)
        # Who joins gets the place of who left, so that places stay without a gap. They have moved already: joining is no news to anybody.
        database.executemany("DELETE FROM users WHERE rowid = ?", ((row,) for row in gone))
        joining = _people(chance, few, 0.0, first=count + day * few)
        _insert(database, ((*person, row) for person, row in zip(joining, gone, strict=True)), ", rowid")


def switch(path: Path, share: float, day: int) -> None:
    """A share of the people registers another accepted method in a day: active people with their own second step, who had moved already."""
    with closing(sqlite3.connect(path)) as database, database:
        (count,) = database.execute("SELECT count(*) FROM users").fetchone()
        moved = "SELECT rowid, mfa FROM users WHERE active AND NOT sso AND mfa_default IN ('totp', 'push', 'passkey') ORDER BY rowid"
        rows = Random(day).sample(database.execute(moved).fetchall(), int(count * share))
        other = (("totp" if mfa == "passkey" else "passkey", row) for row, mfa in rows)
        database.executemany("UPDATE users SET mfa = ?1, mfa_default = ?1 WHERE rowid = ?2", other)


def _insert(database: sqlite3.Connection, rows: Iterator[tuple[object, ...]], place: str = "") -> None:
    columns = "id, login, mail, name, department, language, active, sso, mfa, mfa_default, changed" + place
    database.executemany(f"INSERT INTO users ({columns}) VALUES ({', '.join('?' * len(columns.split(', ')))})", rows)


if __name__ == "__main__":
    what, where, *numbers = sys.argv[1:]
    if what == "make":
        make(Path(where), int(numbers[0]), float(numbers[1]))
    else:
        (switch if what == "switch" else change)(Path(where), float(numbers[0]), int(numbers[1]))
