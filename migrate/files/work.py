"""Work folders: private, with a random name, locked while somebody works in them, and gone afterwards; those of the dead are swept."""

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
"""What a work folder holds is to become a folder of its own; files in it are listed in the mark before they are made."""
SCRATCH: Final = "scratch"
OLD: Final = "old-"
"""Begins the name of what was replaced, from when it left its place until the work folder goes."""
_NAMED: Final = re.compile(r"(?:\..*\.tmp-|migrate-)[0-9a-f]{16}", re.DOTALL)
_HOST: Final = socket.gethostname()
_LONG_AGO: Final = 24 * 3600
_LONGEST: Final = 120


@dataclass(frozen=True, slots=True)
class Work:
    """A work folder that is held: its `path`, and `fd`, from which everything in it is named, whatever happens to the path."""

    path: Path
    fd: int
    base: int
    mark: int

    def note(self, name: str) -> None:
        """Lists a file before it is made."""
        write_all(self.mark, (json.dumps(name) + "\n").encode())

    def create(self, name: str) -> BinaryIO:
        """A new file that only its owner may read."""
        return os.fdopen(os.open(name, NEW, 0o600, dir_fd=self.fd), "w+b")

    def drop(self, name: str) -> None:
        """Removes a file made here."""
        os.unlink(name, dir_fd=self.fd)

    def hand_over(self, name: str, folder: Path, as_name: str) -> None:
        """Gives a file made here its place in a folder of the same disk. What stands there is a NotOursError, and stays."""
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
    """A work folder in `parent` for what is `made` and will be called `name`; what dead commands left there is swept first.

    With `whole` everything in it is ours; otherwise the mark lists the files, and one that it does not list is a reason to leave the
    folder as it is, should this process die. Raises OSError.
    """
    short = os.fsdecode(os.fsencode(name)[:_LONGEST])
    with _held(parent, f".{short}.tmp-", made, name, whole=whole) as work:
        yield work


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """A work folder among the temporary files, for what nobody else is to see. Raises OSError."""
    with _held(parent or Path(tempfile.gettempdir()), "migrate-", "scratch folder", "", whole=True) as work:
        yield work.path


def inner(folder: Path) -> Path:
    """A new folder within a scratch folder, and gone with it."""
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
            # Nobody takes an empty mark for that of a dead process, so it is locked before anything is written into it.
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
    """Writes all of it: on a disk that is nearly full a part is written first."""
    while text:
        text = text[os.write(file, text) :]


def _locked(mark: int, *, wait: bool) -> bool:
    """Whether the lock could be had; raises BlockingIOError if somebody else has it."""
    try:
        fcntl.flock(mark, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a disk without locks
        return False
    return True


def _clear(base: int, name: str, fd: int) -> None:
    """Removes a work folder. The mark goes last, so that what a kill leaves is still known as ours."""
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
    """Removes what is in an open folder of ours, links as links."""
    for each in os.listdir(fd):
        if each == keep:
            continue
        found = seen(fd, each)
        if found is not None and stat.S_ISDIR(found.st_mode):
            shutil.rmtree(each, dir_fd=fd)
        elif found is not None:
            os.unlink(each, dir_fd=fd)


def _sweep(base: int) -> None:
    """Removes the work folders of dead processes of this user, which hold personal data; what is not certainly one stays."""
    with contextlib.suppress(OSError):
        for name in os.listdir(base):
            if _NAMED.fullmatch(name):
                with contextlib.suppress(OSError):
                    _bury(base, name)


def _bury(base: int, name: str) -> None:
    with entered(base, name) as fd:
        if os.fstat(fd).st_uid != os.geteuid():
            return
        mark = os.open(MARK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd)
        try:
            if not is_mark(os.fstat(mark)) or not _known(fd, name):
                return
            locked = _locked(mark, wait=False)
            # Read again: whoever held the lock may have written meanwhile.
            if not (known := _known(fd, name)) or not _is_dead(mark, known[0], locked=locked):
                return
            facts, listed = known
            if _only_ours(fd, facts, listed):
                _finish(base, fd, facts)
                _clear(base, name, fd)
        finally:
            os.close(mark)


def _known(fd: int, name: str) -> tuple[dict[str, Any], frozenset[str]] | None:
    """What a work folder's mark says, and the files that it lists; None if it is no mark of this folder."""
    lines = (read_mark(fd) or b"").split(b"\n")
    try:
        facts = json.loads(lines[0])
        sound = facts["name"] == name and all(isinstance(facts[key], str) for key in ("made", "final", "host"))
        # The last line may have been cut off: its file was not made yet.
        return (facts, frozenset(map(str, map(json.loads, lines[1:-1])))) if sound else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _is_dead(mark: int, facts: dict[str, Any], *, locked: bool) -> bool:
    """Whoever is at work holds the lock. Where locks do not reach, on another host or at all, a day without a new file must do."""
    if locked and facts.get("locked") and facts["host"] == _HOST:
        return True
    return time.time() - os.fstat(mark).st_mtime > _LONG_AGO


def _only_ours(fd: int, facts: dict[str, Any], listed: frozenset[str]) -> bool:
    """Whether everything in a work folder was made there: by this user, and listed where it is to be."""
    own = os.fstat(fd)
    for at, found, _ in walk(fd):
        if not belongs(found, own):
            return False
        if facts.get("whole") or at == MARK or at.partition("/")[0].startswith((SCRATCH, OLD)):
            continue
        top, _, inside = at.partition("/")
        if top != CONTENT or not (stat.S_ISDIR(found.st_mode) or inside in listed or inside == MARK):
            return False
    return True


def _finish(base: int, fd: int, facts: dict[str, Any]) -> None:
    """Finishes a replacement that a kill broke off: what was moved away has its place back, unless the new one has it.

    Until the new one has its place, it stands beside the old one. It takes the place if it is whole.
    """
    olds = sorted(each for each in os.listdir(fd) if each.startswith(OLD))
    if not olds or seen(fd, CONTENT) is None:
        return
    final = facts["final"]
    if seen(base, final) is None:
        whole = look(fd, CONTENT, facts["made"], final).why is None
        os.rename(CONTENT if whole else olds[-1], final, src_dir_fd=fd, dst_dir_fd=base)
