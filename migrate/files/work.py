"""Work folders: private folders with a random name, in which everything is made before it gets its place.

A command holds a lock on the mark of its work folder, and removes the folder when it is done. If the command is killed, the folder stays;
the next command that makes a work folder in the same place sees that the lock is free, and removes it (`_sweep`). It holds personal data.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from migrate import __version__
from migrate.files.marks import (
    FOLDER,
    MARK,
    NEW,
    NotOursError,
    belongs,
    entered,
    is_mark,
    look,
    opened,
    read_mark,
    seen,
    walk,
)

CONTENT: Final = "content"
"""The folder in a work folder that will be moved to its place when it is finished. The mark lists each file in it before it is made."""
SCRATCH: Final = "scratch"
OLD: Final = "old-"
"""How the name begins under which a replaced folder stays in the work folder until that is removed."""
_NAMED: Final = re.compile(r"(?:\..*\.tmp-|migrate-)[0-9a-f]{16}", re.DOTALL)
_HOST: Final = socket.gethostname()
_LONG_AGO: Final = 24 * 3600
_LONGEST: Final = 120


@dataclass(frozen=True, slots=True)
class Work:
    """A work folder that this process has locked. `path`: its path. `fd`, `base`, `mark`: descriptors of the folder, of the folder it is
    in, and of its mark. Files are named relative to `fd`, so that nobody can exchange the folder."""

    path: Path
    fd: int
    base: int
    mark: int

    def note(self, name: str) -> None:
        """Lists a file in the mark; call this before the file is made."""
        write_all(self.mark, (json.dumps(name) + "\n").encode())

    def create(self, name: str) -> BinaryIO:
        """A new file that only its owner may read."""
        return os.fdopen(os.open(name, NEW, 0o600, dir_fd=self.fd), "w+b")

    def drop(self, name: str) -> None:
        """Removes a file made here."""
        os.unlink(name, dir_fd=self.fd)

    def hand_over(self, name: str, folder: Path, as_name: str) -> None:
        """Moves a file to a folder on the same disk. Raises NotOursError if the name is taken there, and leaves what has it."""
        with opened(folder) as there:
            try:
                os.link(name, as_name, src_dir_fd=self.fd, dst_dir_fd=there, follow_symlinks=False)
            except FileExistsError:
                raise NotOursError(folder / as_name, "is there already") from None
            except OSError:  # a disk without hard links
                if seen(there, as_name) is not None:
                    raise NotOursError(folder / as_name, "is there already") from None
                os.rename(name, as_name, src_dir_fd=self.fd, dst_dir_fd=there)
            else:
                os.unlink(name, dir_fd=self.fd)


@contextmanager
def work_folder(parent: Path, made: str, name: str, *, whole: bool = True) -> Iterator[Work]:
    """A work folder in `parent` for a file or folder of the kind `made` that will be called `name`. Work folders that killed commands left
    there are removed first.

    If this process is killed, another one removes the folder: with `whole` whatever is in it, else only if the mark lists every file.
    Raises OSError.
    """
    short = os.fsdecode(os.fsencode(name)[:_LONGEST])
    with _held(parent, f".{short}.tmp-", made, name, whole=whole) as work:
        yield work


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """A work folder among the temporary files, for private files. Raises OSError."""
    with _held(parent or Path(tempfile.gettempdir()), "migrate-", "scratch folder", "", whole=True) as work:
        yield work.path


def inner(folder: Path) -> Path:
    """A new folder within a scratch folder, removed together with it."""
    return Path(tempfile.mkdtemp(dir=folder))


@contextmanager
def _held(parent: Path, prefix: str, made: str, final: str, *, whole: bool) -> Iterator[Work]:
    name = prefix + secrets.token_hex(8)
    with opened(parent) as base:
        _sweep(base)
        os.mkdir(name, 0o700, dir_fd=base)
        fd = mark = -1
        try:
            fd = os.open(name, FOLDER, dir_fd=base)
            if os.fstat(fd).st_uid != os.geteuid():
                raise NotOursError(parent / name, "was exchanged by another user")
            mark = os.open(MARK, NEW, 0o600, dir_fd=fd)
            # Locked before it is written: nobody takes an empty mark for one of a dead process.
            locked = _locked(mark, wait=True)
            known = {"made by": f"sms-migrate {__version__}", "made": made, "name": name, "final": final, "whole": whole}
            write_all(mark, (json.dumps(known | {"host": _HOST, "locked": locked, "pid": os.getpid()}) + "\n").encode())
            yield Work(parent / name, fd, base, mark)
        finally:
            with contextlib.suppress(OSError):
                _clear(base, name, fd)
            for descriptor in (mark, fd):
                if descriptor >= 0:
                    os.close(descriptor)


def write_all(file: int, text: bytes) -> None:
    """Writes all of `text`: on a disk that is nearly full, `os.write` may write only a part."""
    while text:
        text = text[os.write(file, text) :]


def _locked(mark: int, *, wait: bool) -> bool:
    """Locks a mark; False if the disk has no locks. Raises BlockingIOError if another process has the lock and `wait` is false."""
    try:
        fcntl.flock(mark, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a disk without locks
        return False
    return True


def _clear(base: int, name: str, fd: int) -> None:
    """Removes a work folder. The mark is removed last, so that the rest is still recognised as ours if this process is killed meanwhile."""
    if fd < 0:
        os.rmdir(name, dir_fd=base)
        return
    empty_out(fd, keep=MARK)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(MARK, dir_fd=fd)
    there = seen(base, name)
    if there is not None and os.path.samestat(there, os.fstat(fd)):
        os.rmdir(name, dir_fd=base)


def empty_out(fd: int, keep: str = "") -> None:
    """Removes everything in an open folder but `keep`; of links, the links themselves."""
    for each in os.listdir(fd):
        if each == keep:
            continue
        status = seen(fd, each)
        if status is not None and stat.S_ISDIR(status.st_mode):
            shutil.rmtree(each, dir_fd=fd)
        elif status is not None:
            os.unlink(each, dir_fd=fd)


def _sweep(base: int) -> None:
    """Removes the work folders that dead processes of this user left in an open folder; leaves whatever is not certainly one."""
    with contextlib.suppress(OSError):
        for name in os.listdir(base):
            if _NAMED.fullmatch(name):
                with contextlib.suppress(OSError):
                    _remove_if_dead(base, name)


def _remove_if_dead(base: int, name: str) -> None:
    with entered(base, name) as fd:
        if os.fstat(fd).st_uid != os.geteuid():
            return
        mark = os.open(MARK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd)
        try:
            if not is_mark(os.fstat(mark)) or not _known(fd, name):
                return
            locked = _locked(mark, wait=False)
            # Read again: the process that held the lock may have written to the mark meanwhile.
            if not (known := _known(fd, name)) or not _is_dead(mark, known[0], locked=locked):
                return
            facts, listed = known
            if _only_ours(fd, facts, listed):
                _finish(base, fd, facts)
                _clear(base, name, fd)
        finally:
            os.close(mark)


def _known(fd: int, name: str) -> tuple[dict[str, Any], frozenset[str]] | None:
    """The first line of a work folder's mark, and the files that the other lines list; None if it is no mark of this folder."""
    lines = (read_mark(fd) or b"").split(b"\n")
    try:
        facts = json.loads(lines[0])
        sound = facts["name"] == name and all(isinstance(facts[key], str) for key in ("made", "final", "host"))
        # The last line may be cut off; then its file was not made.
        return (facts, frozenset(map(str, map(json.loads, lines[1:-1])))) if sound else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _is_dead(mark: int, facts: dict[str, Any], *, locked: bool) -> bool:
    """Whether the process of a work folder has ended. A living one holds the lock. Where locks say nothing (another host, a disk without
    locks), a mark that is older than a day counts as dead: every new file is written to it."""
    if locked and facts.get("locked") and facts["host"] == _HOST:
        return True
    return time.time() - os.fstat(mark).st_mtime > _LONG_AGO


def _only_ours(fd: int, facts: dict[str, Any], listed: frozenset[str]) -> bool:
    """Whether everything in a work folder belongs to this user and, where the mark must list files, is listed."""
    own = os.fstat(fd)
    for at, status, _ in walk(fd):
        if not belongs(status, own):
            return False
        if facts.get("whole") or at == MARK or at.partition("/")[0].startswith((SCRATCH, OLD)):
            continue
        top, _, inside = at.partition("/")
        if top != CONTENT or not (stat.S_ISDIR(status.st_mode) or inside in listed or inside == MARK):
            return False
    return True


def _finish(base: int, fd: int, facts: dict[str, Any]) -> None:
    """Finishes a replacement during which the process was killed: the new folder takes the place if it is complete, else the old one gets
    its place back. Nothing is done if the new one is in its place already, or something else is.
    """
    olds = sorted(each for each in os.listdir(fd) if each.startswith(OLD))
    if not olds or seen(fd, CONTENT) is None:
        return
    final = facts["final"]
    if seen(base, final) is None:
        whole = look(fd, CONTENT, facts["made"], final).why is None
        os.rename(CONTENT if whole else olds[-1], final, src_dir_fd=fd, dst_dir_fd=base)
