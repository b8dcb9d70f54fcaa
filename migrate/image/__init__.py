"""The image: what the last run read and recorded, column by column in private files, so that the next run need not look at everything
again (docs/decisions/0006).

The ledger decides. An image is believed only if the ledger's last run names its digest, and only for runs under the same rules; it may be
deleted at any time, and the next run, slower by that, makes a new one. With an image or without, a run decides and records the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from migrate import __version__
from migrate.image.beside import Beside, Part
from migrate.image.records import Records, Whole, merge
from migrate.image.rows import Rows, as_table

__all__ = ["Beside", "Image", "Part", "Records", "Rows", "Whole", "as_table", "find", "keep", "make", "merge", "rules_digest"]

FORMAT: Final = 1
"""Raised whenever an image is made or read differently: older ones are then not believed."""
_FACTS, _ROWS, _RECORDS = "image.json", "rows.arrow", "records.arrow"


@dataclass(frozen=True, slots=True)
class Image:
    """An image in `folder`. It was made under `rules`, when `stage` (or '') counted. `doubled` are positions of rows in it that may
    not stand for an account, because they share an id."""

    folder: Path
    rules: str
    stage: str
    doubled: tuple[int, ...]
    firsts: tuple[str, ...]
    hashes: tuple[str, str]

    @property
    def rows(self) -> Path:
        return self.folder / _ROWS

    @property
    def records(self) -> Records:
        return Records(self.folder / _RECORDS, self.firsts)

    def facts(self) -> str:
        """The text of image.json, the same for the same image."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "folder"}, sort_keys=True)

    @property
    def digest(self) -> str:
        """Names the image, down to the last byte of its files."""
        return hashlib.sha256(self.facts().encode()).hexdigest()


def rules_digest(config_digest: str, after_cutoff: bool) -> str:
    """Digests what an account's standing and outcome depend on besides its row, its letters, its exemption and the stage."""
    return hashlib.sha256(f"{FORMAT} {__version__} {config_digest} {after_cutoff}".encode()).hexdigest()[:32]


def find(folder: Path | None, digest: str | None) -> Image | None:
    """The image of a digest, or None if it is not there, or not whole."""
    if folder is None or digest is None:
        return None
    try:
        text = (folder / _FACTS).read_text()
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            return None
        facts: dict[str, Any] = json.loads(text)
        tuples: dict[str, Any] = {name: tuple(facts.pop(name)) for name in ("doubled", "firsts", "hashes")}
        found = Image(folder, **facts, **tuples)
        return found if _hashes(folder) == found.hashes else None
    except OSError:
        return None


def make(folder: Path, rules: str, stage: str, rows: Rows, records: Records, doubled: Iterable[int]) -> Image:
    """The image of a run, of the rows and records in its folder."""
    rows.path.touch()
    return Image(folder, rules, stage, tuple(sorted(doubled)), records.firsts, _hashes(folder))


def _hashes(folder: Path) -> tuple[str, str]:
    found = []
    for name in (_ROWS, _RECORDS):
        with (folder / name).open("rb") as file:
            found.append(hashlib.file_digest(file, "sha256").hexdigest())
    return found[0], found[1]


def keep(image: Image, folder: Path | None) -> Image | None:
    """Puts an image where the next run finds it; it stays where it is if there is no such place. None if there is no room or no right:
    then that run does without."""
    if folder is None:
        return image
    new = folder.with_name(folder.name + ".new")
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        for name in (_ROWS, _RECORDS):
            shutil.move(image.folder / name, new / name)
            (new / name).chmod(0o600)
        with open(os.open(new / _FACTS, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 - private from the start
            file.write(image.facts())
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    except OSError:
        for half in (new, folder):
            with contextlib.suppress(OSError):
                shutil.rmtree(half)
        return None
    return replace(image, folder=folder)
