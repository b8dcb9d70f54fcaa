"""The `maildir` transport: a folder of real messages, which any mail program can open and which needs no server.

A letter is `sent` once its file and the folder's entry for it are on the disk. The file's name contains the letter's reference: if a letter
was delivered twice, two files have the same reference. Letters are only added. A folder that is neither empty nor a Maildir is refused, and
unfinished files are in a folder of our own inside `tmp` (`migrate.files`).
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from migrate import files
from migrate.errors import MailServerError
from migrate.files import Work
from migrate.mail.letter import Letter
from migrate.mail.settings import MailSettings
from migrate.mail.transport import Receipt
from migrate.outside import log

_WHERE: Final = "[mail.maildir] path"
_FOLDERS: Final = ("tmp", "new", "cur")
_deliveries = itertools.count()
_HOST: Final = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())


class MaildirTransport:
    """Delivers into the Maildir at `path`, and makes it if it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def connect(self) -> Iterator[MaildirConnection]:
        with ExitStack() as stack:
            with _blaming(self._path):
                _made(self._path)
                work = stack.enter_context(files.work_folder(self._path / "tmp", "letters", "letters"))
            yield MaildirConnection(self._path, work)


class MaildirConnection:
    """An open Maildir; `work` is our folder for unfinished letters."""

    at_once: Final = 25
    """Fewer than `BURST`: writing a file takes as long as a commit, so more letters in hand would bring no speed, and all of them are
    `uncertain` if the process is killed."""

    def __init__(self, path: Path, work: Work) -> None:
        self._path = path
        self._work = work

    def send(self, letter: Letter, then: Letter | None = None) -> Receipt:  # noqa: ARG002 - a folder needs no announcement
        name, new = _unique_name(letter.reference), self._path / "new"
        with _blaming(self._path):
            with self._work.create(name) as file:
                file.write(f"Return-Path: <{letter.envelope_from}>\n".encode() + letter.message.replace(b"\r\n", b"\n"))
                file.flush()
                os.fsync(file.fileno())
            self._work.hand_over(name, new, name)
        try:
            _sync_folder(new)
        except OSError as error:
            return Receipt("uncertain", log(f"written, but the folder could not be saved: {error.strerror}"))
        return Receipt("sent", log(f"saved as new/{name}"))


def open_maildir(settings: MailSettings, _ended: threading.Event) -> MaildirTransport:
    """The transport of `[mail.maildir]`. It never waits, so it ignores `ended`."""
    return MaildirTransport(settings.maildir.path)


def _unique_name(reference: str) -> str:
    """A file name by the Maildir convention: the time, then a part that is unique on this host, then the host."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return f"{seconds}.M{nanoseconds // 1000:06}P{os.getpid()}Q{next(_deliveries)}R{reference}.{_HOST}"


def _made(path: Path) -> None:
    """Makes the three folders of a Maildir where they are missing. Raises MailServerError for a folder that holds other things."""
    files.make_folder(path)
    there = {each.name: each for each in path.iterdir()}
    own = [each for name in _FOLDERS if (each := there.get(name)) and each.is_dir() and not each.is_symlink()]
    if len(own) < len(_FOLDERS) and len(own) < len(there):
        other = min(name for name, each in there.items() if each not in own)
        raise MailServerError(
            f"{path} is no Maildir and holds other things ({other}), so no letter is put into it.",
            where=_WHERE,
            hint="Name a folder that is not there yet or is empty, then type `migrate send`; what is left stays queued.",
        )
    for name in _FOLDERS:
        files.make_folder(path / name)
    if not os.access(path / "new", os.W_OK | os.X_OK):
        raise PermissionError(13, "Permission denied", str(path / "new"))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MailServerError(
            f"letters cannot be saved in {path}: {error.strerror}.",
            where=_WHERE,
            hint="Make room or make the folder writable, then type `migrate send`; what is left stays queued.",
        ) from error
