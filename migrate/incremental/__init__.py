"""The image: what the last run read and recorded, column by column in private files, so that the next run need not look at everything
again (docs/decisions/0006).

The ledger decides. An image is believed only if the ledger's last run names its digest, and only for runs under the same rules; it may be
deleted at any time, and the next run, slower by that, makes a new one. With an image or without, a run decides and records the same.
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
from migrate.incremental.beside import Beside, Ids, Part
from migrate.incremental.carried import Records, Whole, merge
from migrate.incremental.rows import Rows, as_table

__all__ = [
    "Beside",
    "CacheWarning",
    "Ids",
    "Image",
    "Part",
    "Records",
    "Rows",
    "Whole",
    "as_table",
    "doubted",
    "find",
    "keep",
    "make",
    "merge",
    "rules_digest",
    "unexpected",
]

FORMAT: Final = 4
"""Raised whenever an image is made or read differently: older ones are then not believed."""
IMAGE: Final = "image"
"""What the mark of the folder says it is."""
_FACTS, _ROWS, _UNFIT, _RECORDS = "image.json", "rows.arrow", "unfit.npy", "records.arrow"


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its files, with the `hashes` of the first two. It was made under `rules`, when `stages` counted (the name of
    each wave, '' for everybody else, → the stage or ''), by a run that took `as_of` for now.

    The rows are as they were read; `unfit` has the positions of those that may not stand for an account, because something in them is odd
    or they share an id.
    """

    rows: Path
    unfit: Path
    records: Records
    rules: str
    stages: Mapping[str, str]
    as_of: datetime
    hashes: tuple[str, str]

    def facts(self) -> str:
        """The text of image.json, the same for the same image."""
        known = {
            "records": (self.records.digest, self.records.firsts),
            "rules": self.rules,
            "stages": dict(self.stages),
            "as_of": self.as_of.astimezone(UTC).isoformat(),
            "hashes": self.hashes,
        }
        return json.dumps(known, sort_keys=True)

    @property
    def digest(self) -> str:
        """Names the image, down to the last byte of its files."""
        return hashlib.sha256(self.facts().encode()).hexdigest()

    def files(self) -> dict[str, Path]:
        """Name in the image's folder → where the file is now."""
        return {_ROWS: self.rows, _UNFIT: self.unfit, _RECORDS: self.records.path}


class CacheWarning(UserWarning):
    """The image could not be used, for a reason that only a fault of this program explains. The run goes on without it; in tests, where
    warnings are errors, it fails."""


def unexpected(error: Exception) -> bool:
    """True for an error that nobody foresaw: not what a disk, a directory or a ledger may do at any time."""
    import sqlalchemy as sa

    foreseen = (OSError, MemoryError, sa.exc.SQLAlchemyError)
    return error.exit_code == 1 if isinstance(error, MigrateError) else not isinstance(error, foreseen)


def doubted(error: Exception) -> None:
    """Says that the image was left aside, and where the fault is; its own words may quote people."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    warnings.warn(
        f"what the last run kept was not used ({type(error).__name__} in {Path(place.filename).name}, line {place.lineno}), and everybody "
        f"was looked at anew. The result is the same. This is a bug in migrate {__version__}: please report it.",
        CacheWarning,
        stacklevel=2,
    )


def rules_digest(settings: str, passed: Sequence[str]) -> str:
    """Digests what an account's standing and outcome depend on besides its row, its letters, its exemption and the stage; `passed` are the
    waves whose cutoff has."""
    return hashlib.sha256(f"{FORMAT} {__version__} {settings} {json.dumps(passed)}".encode()).hexdigest()[:32]


def find(folder: Path | None, digest: str | None) -> Image | None:
    """The image of a digest, or None if it is not there, or not as it was made. Whether its records are `whole` is still to be seen."""
    if folder is None or digest is None:
        return None
    try:
        text = (folder / _FACTS).read_bytes()
        if hashlib.sha256(text).hexdigest() != digest:  # before anything is made of it: it may be no text any more
            return None
        facts: dict[str, Any] = json.loads(text)
        if not {"as_of", "stages"} <= facts.keys():  # of an earlier format
            return None
        records, firsts = facts["records"]
        kept = Records(folder / _RECORDS, tuple(firsts), records)
        as_of = datetime.fromisoformat(facts["as_of"])
        found = Image(folder / _ROWS, folder / _UNFIT, kept, facts["rules"], facts["stages"], as_of, tuple(facts["hashes"]))
        return found if (file_digest(found.rows), file_digest(found.unfit)) == found.hashes else None
    except OSError:
        return None


def make(rows: Rows, unfit: np.ndarray, records: Records, rules: str, stages: Mapping[str, str], as_of: datetime) -> Image:
    """The image of a run at an instant."""
    path = rows.path.with_name(_UNFIT)
    np.save(path, unfit)
    return Image(rows.path, path, records, rules, stages, as_of, (rows.digest(), file_digest(path)))


def keep(image: Image, folder: Path | None, beside: Mapping[str, bytes]) -> None:
    """Puts an image where the next run finds it, if there is such a place, with other files `beside` it (name → content).

    It stays where it was made too, for this run's own reports: once the run lock is given back, another run may put its own image there.
    Without room or right for it the next run does without.
    """
    if folder is None:
        return
    if _of_0_1_0(folder):
        files.adopt(folder, IMAGE, frozenset({_FACTS, *image.files()}))
    with contextlib.suppress(OSError), files.making(folder, IMAGE) as side:
        for name, path in image.files().items():
            side.take(path, name)
        with side.create(side.path / _FACTS) as file:
            file.write(image.facts().encode())
        for name, content in beside.items():
            with side.create(side.path / name) as file:
                file.write(content)
        side.replace(compared=False)


def _of_0_1_0(folder: Path) -> bool:
    """Whether a folder without a mark says of itself that it is an image."""
    try:
        says = json.loads((folder / _FACTS).read_bytes())
        return not (folder / files.MARK).exists() and {"records", "rules", "stage", "hashes"} <= set(says)
    except (OSError, ValueError, TypeError):
        return False
