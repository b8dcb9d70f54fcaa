"""Single files, links and folders, made at a place of their own or put in the place of one that this program made.

What may be replaced or removed is only what is recognised as ours: a file of this user whose content fits a pattern (for `put`, the first
`_SMALL` bytes of it), or a link of this user to a name that fits one. Anything else is left as it is.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from migrate.files.marks import MARK, NEW, NotOursError, entered, opened, placed, sealed, seen, walk
from migrate.files.work import work_folder

_SMALL: Final = 4096
"""Bytes that a file of ours has at most, if it is to be recognised by its content."""


def stray(prefix: str, suffix: str) -> tuple[Path, BinaryIO]:
    """A new private file among the temporary files, which is not removed."""
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix)
    return Path(name), os.fdopen(handle, "w+b")


def make_folder(path: Path) -> None:
    """Makes a folder, and the folders above it, if it is missing; a new one is private to its owner. Raises OSError, for a dangling link
    too."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def create(path: Path, mode: int = 0o600) -> BinaryIO:
    """A new file, by default readable by its owner only. Raises FileExistsError if anything is there, even a link."""
    return os.fdopen(os.open(path, NEW, mode), "w+b")


def link(source: Path, target: Path) -> None:
    """A new file with the content of another one: the same file if the disk allows a hard link, else a copy.

    Neither may be written afterwards. Raises FileExistsError if anything is there.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # another disk, or one without links
        with source.open("rb") as whole, create(target) as copy:
            shutil.copyfileobj(whole, copy)


def free(base: Path, name: str) -> Iterator[str]:
    """The name and then the name with a number, `name-2`, `name-3` …, as far as nothing in the folder has it."""
    number, wanted = 1, name
    while True:
        if not os.path.lexists(base / wanted):
            yield wanted
        number += 1
        wanted = f"{name}-{number}"


def pointed_at(path: Path, to: str, ours: re.Pattern[str]) -> None:
    """Makes a link at `path` point to the name `to` beside it, in one step. On a disk without links it is a text file with the name.

    An earlier link (or text file) of this user to a name that fits `ours` is replaced. Anything else there is a NotOursError.
    """
    parent, name = placed(path)
    with work_folder(parent, "link", name) as work:
        try:
            os.symlink(to, name, dir_fd=work.fd)
        except (OSError, NotImplementedError):
            with work.create(name) as file:
                file.write((to + "\n").encode())
        if why := no_link_of_ours(path, ours):
            raise NotOursError(path, why)
        os.rename(name, name, src_dir_fd=work.fd, dst_dir_fd=work.base)
        os.fsync(work.base)


def take_away(path: Path, like: re.Pattern[bytes]) -> None:
    """Removes a small file of this user whose whole content fits the pattern `like`; leaves anything else. Raises OSError."""
    parent, name = placed(path)
    with opened(parent) as base:
        status = seen(base, name)
        if status is None or not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_size > _SMALL:
            return
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=base), "rb") as file:
            ours = like.fullmatch(file.read(_SMALL))
        if ours:
            os.unlink(name, dir_fd=base)


def put(folder: Path, made: str, contents: Mapping[str, bytes], ours: Mapping[str, re.Pattern[bytes]]) -> None:
    """Puts files (name → content) in a folder, which is made if it is missing. Each is written in a work folder and moved to its place in
    one step; it is private to its owner.

    A file of this user is replaced if its beginning fits the pattern in `ours` for its name. Anything else there is a NotOursError, and
    then no file is replaced. Raises OSError.
    """
    make_folder(folder)
    with work_folder(folder, made, made) as work:
        for name, content in contents.items():
            with work.create(name) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name in contents:
            if why := _no_file_of_ours(work.base, name, ours[name]):
                raise NotOursError(folder / name, why)
        for name in contents:
            os.rename(name, name, src_dir_fd=work.fd, dst_dir_fd=work.base)
        os.fsync(work.base)


def _no_file_of_ours(base: int, name: str, ours: re.Pattern[bytes]) -> str | None:
    """Why `put` may not replace what has this name; None if it may, or there is nothing."""
    status = seen(base, name)
    if status is None:
        return None
    if not stat.S_ISREG(status.st_mode):
        return "is a folder" if stat.S_ISDIR(status.st_mode) else "is no plain file"
    if status.st_uid != os.geteuid():
        return "belongs to another user"
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=base), "rb") as file:
        return None if ours.match(file.read(_SMALL)) else "is another file"


def no_link_of_ours(path: Path, ours: re.Pattern[str]) -> str | None:
    """Why `pointed_at` may not replace what is at a path; None if it may, or there is nothing."""
    parent, name = placed(path)
    with opened(parent) as base:
        status = seen(base, name)
        if status is None:
            return None
        if status.st_uid != os.geteuid():
            return "belongs to another user"
        if stat.S_ISLNK(status.st_mode):
            to = os.readlink(name, dir_fd=base)
        elif stat.S_ISREG(status.st_mode) and status.st_size <= _SMALL:
            to = path.read_text(encoding="utf-8", errors="replace").removesuffix("\n")
        else:
            return "is a folder" if stat.S_ISDIR(status.st_mode) else "is another file"
    return None if ours.fullmatch(to) else "points to something else" if stat.S_ISLNK(status.st_mode) else "is another file"


def adopt(path: Path, made: str, files: frozenset[str]) -> bool:
    """Marks a folder that an earlier version made without a mark, if it belongs to this user and holds exactly these files. Returns whether
    it did."""
    parent, name = placed(path)
    try:
        with opened(parent) as base, entered(base, name) as folder:
            there = {at: status for at, status, _ in walk(folder)}
            own = all(stat.S_ISREG(each.st_mode) and each.st_uid == os.geteuid() for each in there.values())
            if set(there) != files or not own or os.fstat(folder).st_uid != os.geteuid():
                return False
            with os.fdopen(os.open(MARK, NEW, 0o600, dir_fd=folder), "wb") as file:
                file.write(sealed(made, name, secrets.token_hex(8), dict.fromkeys(files)))
            return True
    except OSError:
        return False
