"""The report folder: evidence appears in it whole or not at all, and nothing in it is ever overwritten.

Evidence is written to a folder aside (`migrate.files`), private to its owner, and renamed when all of it is on the disk. If the name is
taken, a number is added (`…-2`). `latest` points to the newest evidence of a run. Evidence is recognised by its manifest, which lists its
files; it is never replaced or removed.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from migrate import files
from migrate.errors import ReportError
from migrate.files import NotOursError, Side

LATEST: Final = "latest"
EVIDENCE: Final = "folder of evidence"
_WHERE: Final = "[reports] dir"
_NAME: Final = re.compile(r"\d{4}-\d{2}-\d{2}-r\d{5,}(-\d+)?")
"""A folder name of evidence; `latest` points to one of these."""


def writable(base: Path) -> None:
    """Checks that evidence can be written below `base`, which is made if it is missing; raises ReportError if not.

    A run calls this before it sends anything: a run that could not be reported must not begin.
    """
    with _explained(base, "run again"):
        files.make_folder(base)
        with files.work_folder(base, "try", "check") as work, work.create("file") as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
        why = files.no_link_of_ours(base / LATEST, _NAME)
    if why:
        raise _no_link(base, why)


@contextlib.contextmanager
def making(final: Path) -> Iterator[Side]:
    """A folder aside for new evidence. It is removed when the context ends, unless `place` gave it its name. Raises ReportError."""
    with _explained(final.parent), files.making(final, EVIDENCE) as side:
        yield side


def free(base: Path, name: str) -> str:
    """The name, with a number behind it if it is taken."""
    return next(files.free(base, name))


def point(base: Path, name: str) -> None:
    """Points `latest` at `name`, in one step. Where links are impossible, `latest` is a text file that holds the name."""
    with _explained(base):
        try:
            files.pointed_at(base / LATEST, name, _NAME)
        except NotOursError as error:
            raise _no_link(base, error.what) from None


def newest(base: Path) -> Path | None:
    """The folder that `latest` points to, or None."""
    latest = base / LATEST
    if latest.is_symlink():
        return base / latest.readlink()
    return base / latest.read_text(encoding="utf-8").strip() if latest.is_file() else None


def _no_link(base: Path, why: str) -> ReportError:
    return ReportError(
        f"{base / LATEST} {why}, where the link to the newest evidence belongs.",
        where=_WHERE,
        hint=f"Rename it: mv {base / LATEST} {base / LATEST}.old",
    )


@contextlib.contextmanager
def _explained(base: Path, then: str = "type `migrate report`") -> Iterator[None]:
    try:
        yield
    except NotOursError as error:
        raise ReportError(
            f"{error.filename} {error.what}, and is left as it is.", where=_WHERE, hint="Name a folder that does not exist yet."
        ) from error
    except OSError as error:
        raise ReportError(
            f"reports cannot be written to {base}: {error.strerror or error}.",
            where=_WHERE,
            hint=f"Make room or make the folder writable for this user, or name another folder; then {then}.",
        ) from error
