"""The report folder: evidence appears in it whole or not at all, and nothing that is there is ever written over.

Evidence is written to a side folder, `.<name>.tmp-<random>`, private to its owner, and renamed when all of it is on the disk. If the
name is taken already, a number is put behind it (`…-2`). `latest` points to the newest evidence of a run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from migrate.errors import ReportError

LATEST: Final = "latest"
_WHERE: Final = "[reports] dir"
_STALE_SECONDS: Final = 24 * 3600


def writable(base: Path) -> None:
    """Proves that evidence can be written below `base`, which is made if it is missing; raises ReportError if not.

    For the job to call before anything is sent: a run that could not be reported must not begin.
    """
    with _explained(base, "run again"):
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".check.tmp-", dir=base) as probe:
            renamed = Path(f"{probe}.renamed")  # a name of its own: several runs may try at the same moment
            (Path(probe) / "file").write_bytes(b"\0" * 4096)
            Path(probe).rename(renamed)
            renamed.rename(probe)
    latest = base / LATEST
    if latest.is_dir() and not latest.is_symlink():
        raise ReportError(
            f"{latest} is a folder, where the link to the newest evidence belongs.",
            where=_WHERE,
            hint=f"Rename it: mv {latest} {latest}.old",
        )


@contextlib.contextmanager
def side_folder(final: Path) -> Iterator[Path]:
    """A private folder beside the one to come. It is gone afterwards unless `place` gave it its name; so are ones a killed process left."""
    with _explained(final.parent):
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final.parent)
        side = final.parent / f".{final.name}.tmp-{secrets.token_hex(4)}"
        side.mkdir(mode=0o700)
        try:
            yield side
        finally:
            shutil.rmtree(side, ignore_errors=True)


def remove(folder: Path) -> None:
    """Takes away a folder and what is in it."""
    shutil.rmtree(folder)


def create(path: Path) -> BinaryIO:
    """A new file that only its owner may read."""
    return open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600), "w+b")  # noqa: PTH123


class Sealed:
    """A file that is only ever added to, and whose SHA-256 is known when the last of it was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def write(self, data: bytes | memoryview) -> int:
        self._digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def hexdigest(self) -> str:
        """The SHA-256 of what was written, in hexadecimal."""
        return self._digest.hexdigest()


def settle(path: Path) -> None:
    """Brings a written file to the disk, and makes it private."""
    path.chmod(0o600)
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def free(base: Path, name: str) -> str:
    """The name, numbered if something of that name is there already."""
    number, wanted = 1, name
    while os.path.lexists(base / wanted):
        number += 1
        wanted = f"{name}-{number}"
    return wanted


def place(side: Path, final: Path) -> None:
    """Gives a finished side folder its name. What has appeared under that name meanwhile is not written over: that is an OSError."""
    _sync(side)
    side.rename(final)
    _sync(final.parent)


def replace(side: Path, final: Path, *, known_by: str) -> None:
    """As `place`, but an earlier folder of that name goes if it holds a file `known_by`; anything else there is a ReportError."""
    if os.path.lexists(final):
        if final.is_symlink() or not final.is_dir() or (any(final.iterdir()) and not (final / known_by).is_file()):
            raise ReportError(f"{final} is there and is something else.", where="--out", hint="Name a folder that is not there yet.")
        aside = final.parent / f".{final.name}.tmp-{secrets.token_hex(4)}"
        final.rename(aside)
        place(side, final)
        remove(aside)
    else:
        place(side, final)


def point(base: Path, name: str) -> None:
    """Lets `latest` point to `name`, in one step; where links are impossible it is a text file that holds the name."""
    with _explained(base):
        aside = base / f".{LATEST}.tmp-{secrets.token_hex(4)}"
        try:
            aside.symlink_to(name, target_is_directory=True)
        except (OSError, NotImplementedError):
            aside.write_text(name + "\n", encoding="utf-8")
        try:
            aside.replace(base / LATEST)
        except OSError:
            aside.unlink()
            raise
        _sync(base)


def newest(base: Path) -> Path | None:
    """The folder that `latest` points to, or None."""
    latest = base / LATEST
    if latest.is_symlink():
        return base / latest.readlink()
    return base / latest.read_text(encoding="utf-8").strip() if latest.is_file() else None


@contextlib.contextmanager
def _explained(base: Path, then: str = "type `migrate report`") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReportError(
            f"reports cannot be written to {base}: {error.strerror or error}.",
            where=_WHERE,
            hint=f"Make room or make the folder writable for this user, or name another folder; then {then}.",
        ) from error


def _sweep(base: Path) -> None:
    """Side folders hold personal data: what a killed process left is removed a day later, when nobody can be at work in it."""
    for left in base.glob(".*.tmp-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS and left.is_dir():
                shutil.rmtree(left)


def _sync(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
