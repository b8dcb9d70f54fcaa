"""The mark in a folder that this program made, and whether a folder is still as it was made, so that it may be replaced.

The mark is a file, `.made-by-migrate`. A folder is looked at through a descriptor, so that nobody can exchange it meanwhile, and links in
it are not followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pwd
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from migrate import __version__

MARK: Final = ".made-by-migrate"
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_LOOKS: Final = 100
_LARGEST: Final = 64 << 20


class NotOursError(FileExistsError):
    """A file or folder cannot be put at `path`: something is there that this program may not replace. `what` says why, as the end of a
    sentence."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(None, what, str(path))
        self.what = what


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at a path. `why`: the reason why it may not be replaced, None if it may. `state`: inode, size and time of each file,
    by which a later change is noticed."""

    why: str | None
    state: Mapping[str, tuple[int, ...]]


def placed(path: Path) -> tuple[Path, str]:
    """A path's folder, and its name in that folder; the root has an empty name."""
    whole = path.absolute()
    if whole.name in ("", ".."):
        whole = Path(os.path.realpath(whole))
    return whole.parent, whole.name


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A descriptor of a folder that the operator named. Links in its path are followed: the operator chose them."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def entered(base: int, name: str) -> Iterator[int]:
    """A descriptor of a folder inside another one. Raises OSError if it is a link."""
    descriptor = os.open(name, FOLDER, dir_fd=base)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def seen(base: int, name: str) -> os.stat_result | None:
    """The status of what has this name, of a link itself; None if there is nothing."""
    try:
        return os.stat(name, dir_fd=base, follow_symlinks=False)
    except FileNotFoundError:
        return None


def walk(folder: int, at: str = "") -> Iterator[tuple[str, os.stat_result, int]]:
    """Everything in a folder and the folders below: its relative name, its status, and the descriptor of the folder it is in."""
    for name in sorted(os.listdir(folder)):
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        yield at + name, status, folder
        if stat.S_ISDIR(status.st_mode):
            with entered(folder, name) as inner:
                yield from walk(inner, f"{at}{name}/")


def digest(folder: int, name: str) -> str:
    """The SHA-256 of a file that is no link, in hex."""
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sealed(made: str, name: str, random: str, files: Mapping[str, str | None]) -> bytes:
    """The content of the mark of a finished folder.

    `files`: the name of each file → its SHA-256, or None if the file may be replaced whatever it contains by then; names of folders end
    in `/`.
    """
    said = {"made by": f"sms-migrate {__version__}", "made": made, "name": name, "random": random, "files": dict(files)}
    return (json.dumps(said, indent=1, sort_keys=True) + "\n").encode()


def obstacle(path: Path) -> str | None:
    """Why a new folder cannot be put at a path, as the end of a sentence; None if nothing is there, or an empty folder of this user.

    It is None as well if this user cannot look: putting something there will raise the error.
    """
    parent, name = placed(path)
    try:
        with opened(parent) as base:
            return _obstacle(base, name)
    except OSError:
        return None


def strange(path: Path, made: str) -> str | None:
    """Why a folder of the kind `made` may not replace what is at a path, as the end of a sentence; None if it may, as in `obstacle`."""
    parent, name = placed(path)
    try:
        with opened(parent) as base:
            return look(base, name, made).why
    except OSError:
        return None


def other_owner(path: Path) -> str | None:
    """The name of the user to whom a folder belongs, if that is neither this user nor the superuser."""
    owner = path.stat().st_uid
    return None if owner in (os.geteuid(), 0) else _user(owner)


def look(base: int, name: str, made: str, known_as: str | None = None) -> Look:
    """What `strange` says, with the state of the files, of a name in an open folder; `known_as` is the name in its mark, if it was renamed.

    Another command may replace the folder meanwhile; then it looks again.
    """
    for _ in range(_LOOKS):
        before = seen(base, name)
        try:
            result = _looked(base, name, made, known_as)
        except FileNotFoundError:
            continue
        after = seen(base, name)
        if before is None or after is None:
            same = before is after
        else:
            same = os.path.samestat(before, after) and before.st_ctime_ns == after.st_ctime_ns
        if same:
            return result
    return Look("is changed all the time by somebody else", {})


def _looked(base: int, name: str, made: str, known_as: str | None) -> Look:
    why = _obstacle(base, name)
    if why != _NOT_EMPTY:
        return Look(why, {})
    try:
        with entered(base, name) as folder:
            return _compared(folder, known_as or name, made)
    except PermissionError:
        return Look("cannot be looked through by this user", {})


_NOT_EMPTY: Final = "is a folder that is not empty"


def _obstacle(base: int, name: str) -> str | None:
    status = seen(base, name) if name else os.stat("/")
    if status is None:
        return None
    if stat.S_ISLNK(status.st_mode):
        return "is a link"
    if not stat.S_ISDIR(status.st_mode):
        return "is a file"
    if status.st_uid != os.geteuid():
        return f"belongs to another user ({_user(status.st_uid)})"
    if not name:
        return "is the root of the file system"
    try:
        with entered(base, name) as folder:
            if os.listdir(folder):
                return _NOT_EMPTY
    except PermissionError:
        return "cannot be looked through by this user"
    return None if os.access(name, os.W_OK | os.X_OK, dir_fd=base) else "may not be written by this user"


def _compared(folder: int, name: str, made: str) -> Look:
    """Whether an open folder holds exactly what its mark lists, unchanged."""
    mark = _mark(folder)
    if mark is None:
        return Look(f"is a folder without the mark of a {made} ({MARK})", {})
    if mark["made"] != made:
        return Look(f"is no {made} but the folder of a {mark['made']}", {})
    if mark["name"] != name:
        return Look(f"was made as {mark['name']} and has another name now", {})
    files: dict[str, str | None] = dict(mark["files"])
    own, state = os.fstat(folder), {}
    for at, status, holder in walk(folder):
        if not belongs(status, own):
            return Look(f"also holds {at}, which belongs to somebody else", {})
        if at == MARK:
            continue
        if stat.S_ISDIR(status.st_mode) and f"{at}/" in files:
            del files[f"{at}/"]
            continue
        if at not in files or not stat.S_ISREG(status.st_mode):
            return Look(f"also holds {at}, which the {made} did not write", {})
        known = files.pop(at)
        if known is not None and digest(holder, at.rpartition("/")[2]) != known:
            return Look(f"holds {at}, which was changed since it was written", {})
        state[at] = (status.st_ino, status.st_size, status.st_mtime_ns)
    if files:
        return Look(f"no longer holds {min(files)}, which the {made} wrote", {})
    return Look(None, state)


def belongs(status: os.stat_result, folder: os.stat_result) -> bool:
    """Whether something in a folder belongs to the folder's user, and is no mount point. (Only for folders are device numbers compared: on
    some disks each file has another one.)"""
    return status.st_uid == folder.st_uid and (status.st_dev == folder.st_dev or not stat.S_ISDIR(status.st_mode))


def state(folder: int) -> dict[str, tuple[int, ...]]:
    """The state of the files in an open folder, as `Look` has it."""
    files = ((at, status) for at, status, _ in walk(folder) if stat.S_ISREG(status.st_mode) and at != MARK)
    return {at: (status.st_ino, status.st_size, status.st_mtime_ns) for at, status in files}


def _mark(folder: int) -> dict[str, Any] | None:
    """The mark of a finished folder, or None if there is none that can be read."""
    text = read_mark(folder)
    try:
        mark = json.loads(text or b"")
        files = mark["files"]
        sound = all(isinstance(mark[key], str) for key in ("made", "name", "random")) and isinstance(files, dict)
        return mark if sound and all(_HEX.fullmatch(known) for known in files.values() if known is not None) else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


_HEX: Final = re.compile("[0-9a-f]{64}")


def read_mark(folder: int) -> bytes | None:
    """The text of a mark that this user wrote, or None."""
    try:
        file = os.open(MARK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(file, "rb") as open_file:
        return open_file.read() if is_mark(os.fstat(file)) else None


def is_mark(status: os.stat_result) -> bool:
    """Whether a file may be a mark of this user."""
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1 and status.st_size <= _LARGEST


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"number {number}"
