"""The cache of the last read: what the last run read and recorded, so that the next run processes only what has changed.

The setting for its folder is called `[ledger] image`. It holds the raw rows of the read, in the source's order (`Rows`), and the
records of all accounts, in order of id (`Records`). The next run finds it (`find`), compares its own rows with it, and asks which records
carry over (`Reuse`); at its end it makes the next cache (`merge`, `make`) and puts it in the folder (`keep`). See docs/decisions/0007.

The ledger has the last word: a cache is used only if the ledger's last run names its digest. If rules have changed since, everybody is
decided again, from the records of the cache; if these are rules by which rows are read, all rows are read anew as well. A cache may be
deleted at any time: the next run then reads the records out of the ledger (`restored`), compares accounts with them instead of raw rows,
and makes a new cache. With a cache or without, a run decides and records the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from migrate import __version__, files
from migrate.errors import MigrateError
from migrate.files.digests import file_digest
from migrate.incremental.records import BATCH, SCHEMA, RecordFile, Records, Whole, merge, restored
from migrate.incremental.reuse import Comparison, Ids, Part, Reuse
from migrate.incremental.rows import Rows, as_table

__all__ = [
    "BATCH",
    "Cache",
    "CacheWarning",
    "Comparison",
    "Ids",
    "LastRead",
    "Part",
    "RecordFile",
    "Records",
    "Reuse",
    "Rows",
    "Whole",
    "as_table",
    "doubted",
    "find",
    "keep",
    "make",
    "merge",
    "restored",
    "rules_digest",
    "unexpected",
]

FORMAT: Final = 7
"""Raised whenever a cache is made or read differently: older ones are then not used, nor are those with other columns."""
MADE: Final = "image"
"""What the mark of the folder says it is; the word of the setting."""
_FACTS, _ROWS, _UNFIT = "image.json", "rows.arrow", "unfit.npy"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRead:
    """What the last run knew, and under which rules it decided.

    * `records`: the records of all accounts.
    * `reading`, `rules`: the `rules_digest` of what the accounts of a row depend on, and of all that a decision depends on.
    * `as_of`: the instant that the run took for now.
    * `stages`: the name of each wave ('' for everybody else) → the stage that counted ('' for none).
    * `comparable`: whether what is read next may be compared with this; not under other rules of reading.
    """

    records: Records
    reading: str
    rules: str
    stages: Mapping[str, str]
    as_of: datetime
    comparable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache(LastRead):
    """The cache that a run made: what it knew, and what it read.

    `rows`: the file of raw rows. `unfit`: the file of the positions of rows that the next read must process in any case, because something
    in them is odd or they share an id. `hashes`: the SHA-256 of these two files.
    """

    rows: Path
    unfit: Path
    hashes: tuple[str, str]

    def facts(self) -> str:
        """The text of image.json, which describes the cache; equal for equal caches."""
        known = {
            "format": FORMAT,
            "columns": SCHEMA.names,
            "base": [_described(each) for each in self.records.base],
            "newer": _described(self.records.newer) if self.records.newer else None,
            "turn": self.records.turn,
            "reading": self.reading,
            "rules": self.rules,
            "stages": dict(self.stages),
            "as_of": self.as_of.astimezone(UTC).isoformat(),
            "hashes": self.hashes,
        }
        return json.dumps(known, sort_keys=True)

    @property
    def digest(self) -> str:
        """Identifies the cache, down to the last byte of its files."""
        return hashlib.sha256(self.facts().encode()).hexdigest()

    def files(self) -> dict[str, Path]:
        """Name in the folder of the cache → where the file is now."""
        return {_ROWS: self.rows, _UNFIT: self.unfit} | {each.path.name: each.path for each in self.records.files()}


def _described(file: RecordFile) -> tuple[str, int, Sequence[str], str]:
    return file.path.name, file.rows, file.firsts, file.digest


class CacheWarning(UserWarning):
    """The cache could not be used because of a bug in this program. A run goes on without it; a test fails, since tests turn warnings
    into errors."""


def unexpected(error: Exception) -> bool:
    """True for an error that only a bug explains: none that a disk, a directory or a ledger may cause at any time."""
    import sqlalchemy as sa

    foreseen = (OSError, MemoryError, sa.exc.SQLAlchemyError)
    return error.exit_code == 1 if isinstance(error, MigrateError) else not isinstance(error, foreseen)


def doubted(error: Exception) -> None:
    """Warns that the cache was not used, and where the error arose; without the error's message, which may contain personal data."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    warnings.warn(
        f"what the last run kept was not used ({type(error).__name__} in {Path(place.filename).name}, line {place.lineno}), and everybody "
        f"was looked at anew. The result is the same. This is a bug in migrate {__version__}: please report it.",
        CacheWarning,
        stacklevel=2,
    )


def rules_digest(settings: str, passed: Sequence[str] = ()) -> str:
    """A digest of rules: the text of some settings, the waves whose cutoff has passed (`passed`), and this version of the program."""
    return hashlib.sha256(f"{FORMAT} {__version__} {settings} {json.dumps(passed)}".encode()).hexdigest()[:32]


def find(folder: Path | None, digest: str | None) -> Cache | None:
    """The cache with this digest. None if the folder has no such cache, or its rows were damaged; the caller checks `Records.whole`."""
    if folder is None or digest is None:
        return None
    try:
        text = (folder / _FACTS).read_bytes()
        if hashlib.sha256(text).hexdigest() != digest:  # checked before it is parsed: it may be damaged
            return None
        facts: dict[str, Any] = json.loads(text)
        if facts.get("format") != FORMAT or facts.get("columns") != SCHEMA.names:
            return None
        newer = _found(folder, *facts["newer"]) if facts["newer"] else None
        kept = Records(tuple(_found(folder, *each) for each in facts["base"]), newer, facts["turn"])
        cache = Cache(
            records=kept,
            reading=facts["reading"],
            rules=facts["rules"],
            stages=facts["stages"],
            as_of=datetime.fromisoformat(facts["as_of"]),
            rows=folder / _ROWS,
            unfit=folder / _UNFIT,
            hashes=tuple(facts["hashes"]),
        )
        return cache if (file_digest(cache.rows), file_digest(cache.unfit)) == cache.hashes else None
    except OSError:
        return None


def _found(folder: Path, name: str, rows: int, firsts: Sequence[str], digest: str) -> RecordFile:
    return RecordFile(folder / name, rows, tuple(firsts), digest)


def make(rows: Rows, unfit: np.ndarray, records: Records, under: tuple[str, str], stages: Mapping[str, str], as_of: datetime) -> Cache:
    """The cache of a run, still in the run's private folder. `under` are its `reading` and `rules`."""
    path = rows.path.with_name(_UNFIT)
    np.save(path, unfit)
    return Cache(
        records=records,
        reading=under[0],
        rules=under[1],
        stages=stages,
        as_of=as_of,
        rows=rows.path,
        unfit=path,
        hashes=(rows.digest(), file_digest(path)),
    )


def keep(cache: Cache, folder: Path | None, beside: Mapping[str, bytes]) -> None:
    """Puts a cache in the folder where the next run finds it, with other files `beside` it (name → content); does nothing without a folder.

    The files also stay where they were made, for the reports of this run: once the run lock is released, another run may replace the cache
    in the folder. If the cache cannot be written, the next run does without.
    """
    if folder is None:
        return
    if _of_0_1_0(folder):
        files.adopt(folder, MADE, frozenset({_FACTS, _ROWS, _UNFIT, "records.arrow"}))
    with contextlib.suppress(OSError), files.making(folder, MADE) as side:
        for name, path in cache.files().items():
            side.take(path, name)
        with side.create(side.path / _FACTS) as file:
            file.write(cache.facts().encode())
        for name, content in beside.items():
            with side.create(side.path / name) as file:
                file.write(content)
        side.replace(compared=False)


def _of_0_1_0(folder: Path) -> bool:
    """Whether a folder holds a cache of version 0.1.0, which made no marks."""
    try:
        says = json.loads((folder / _FACTS).read_bytes())
        return not (folder / files.MARK).exists() and {"records", "rules", "stage", "hashes"} <= set(says)
    except (OSError, ValueError, TypeError):
        return False
