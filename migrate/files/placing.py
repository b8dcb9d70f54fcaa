"""Single files, links and folders, made at a place of their own or put in the place of one that this program made.

What may be replaced or removed is only what is recognised as ours: a small file of this user whose content fits a pattern, or a link of
this user to a name that fits one. Anything else is left as it is.
"""

from __future__ import annotations

import os
import re
import secrets
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
    """A new private file among the temporary files, which stays."""
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix)
    return Path(name), os.fdopen(handle, "w+b")


def make_folder(path: Path) -> None:
    """A folder with those above it, private to its owner if it was not there. Raises OSError; a dangling link is one."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def create(path: Path, mode: int = 0o600) -> BinaryIO:
    """A new file, which only its owner may read if nothing else is said. Raises FileExistsError if anything is there, a link too."""
    return os.fdopen(os.open(path, NEW, mode), "w+b")


def free(base: Path, name: str) -> Iterator[str]:
    """The name, and the name with numbers behind it, that nothing in a folder has."""
    number, wanted = 1, name
    while True:
        if not os.path.lexists(base / wanted):
            yield wanted
        number += 1
        wanted = f"{name}-{number}"


def pointed_at(path: Path, to: str, ours: re.Pattern[str]) -> None:
    """Lets a link point to a name beside it, in one step; where links are impossible it is a text file that holds the name.

    It replaces such a link (or text) of this user to a name like `ours`, and nothing else: that is a NotOursError.
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
    """Removes a small file of this user that holds nothing but what is `like` ours; anything else stays. Raises OSError."""
    parent, name = placed(path)
    with opened(parent) as base:
        found = seen(base, name)
        if found is None or not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_size > _SMALL:
            return
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=base), "rb") as file:
            ours = like.fullmatch(file.read(_SMALL))
        if ours:
            os.unlink(name, dir_fd=base)


def put(folder: Path, made: str, contents: Mapping[str, bytes], ours: Mapping[str, re.Pattern[bytes]]) -> None:
    """Files in a folder, which is made if it is missing: each is written aside and put in its place in one step, private to its owner.

    A file of this user that begins as its pattern says is replaced. Anything else there is a NotOursError, and then all stays as it is.
    Raises OSError.
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
    """Why what stands in a folder may not be replaced; None if it may, or nothing is there."""
    found = seen(base, name)
    if found is None:
        return None
    if not stat.S_ISREG(found.st_mode):
        return "is a folder" if stat.S_ISDIR(found.st_mode) else "is no plain file"
    if found.st_uid != os.geteuid():
        return "belongs to another user"
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=base), "rb") as file:
        return None if ours.match(file.read(_SMALL)) else "is another file"


def no_link_of_ours(path: Path, ours: re.Pattern[str]) -> str | None:
    """Why what stands at a path is not a link that `pointed_at` may replace; None if it is, or nothing is there."""
    parent, name = placed(path)
    with opened(parent) as base:
        found = seen(base, name)
        if found is None:
            return None
        if found.st_uid != os.geteuid():
            return "belongs to another user"
        if stat.S_ISLNK(found.st_mode):
            to = os.readlink(name, dir_fd=base)
        elif stat.S_ISREG(found.st_mode) and found.st_size <= _SMALL:
            to = path.read_text(encoding="utf-8", errors="replace").removesuffix("\n")
        else:
            return "is a folder" if stat.S_ISDIR(found.st_mode) else "is another file"
    return None if ours.fullmatch(to) else "points to something else" if stat.S_ISLNK(found.st_mode) else "is another file"


def adopt(path: Path, made: str, files: frozenset[str]) -> bool:
    """Marks a folder of an earlier version, which made no marks, if it is this user's own and holds just these files; whether it did."""
    parent, name = placed(path)
    try:
        with opened(parent) as base, entered(base, name) as folder:
            there = {at: found for at, found, _ in walk(folder)}
            own = all(stat.S_ISREG(each.st_mode) and each.st_uid == os.geteuid() for each in there.values())
            if set(there) != files or not own or os.fstat(folder).st_uid != os.geteuid():
                return False
            with os.fdopen(os.open(MARK, NEW, 0o600, dir_fd=folder), "wb") as file:
                file.write(sealed(made, name, secrets.token_hex(8), dict.fromkeys(files)))
            return True
    except OSError:
        return False
