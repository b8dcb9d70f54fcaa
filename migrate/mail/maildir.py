"""The `maildir` transport: a folder of real messages, which any mail program can open and which needs no server.

A letter is `sent` once its file and the folder that names it are on the disk. The file's name carries the letter's reference, so that a
second delivery of one letter shows as two files with one reference.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from migrate.errors import MailServerError
from migrate.mail.letters import Letter
from migrate.mail.settings import MailSettings
from migrate.mail.transport import Receipt
from migrate.outside import log

_WHERE: Final = "[mail.maildir] path"
_deliveries = itertools.count()
_HOST: Final = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())


class MaildirTransport:
    """Delivers into the Maildir at `path`, which is made if it is not there."""

    at_once: Final = 25

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def connect(self) -> Iterator[MaildirTransport]:
        with _blaming(self._path):
            for folder in (self._path, *(self._path / name for name in ("tmp", "new", "cur"))):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(self._path / "new", os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied", str(self._path / "new"))
        yield self

    def send(self, letter: Letter, then: Letter | None = None) -> Receipt:  # noqa: ARG002 - a folder needs no announcement
        name = _unique_name(letter.reference)
        unfinished, delivered = self._path / "tmp" / name, self._path / "new" / name
        try:
            with _blaming(self._path):
                _write(unfinished, f"Return-Path: <{letter.envelope_from}>\n".encode() + letter.message.replace(b"\r\n", b"\n"))
                unfinished.rename(delivered)
        except MailServerError:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        try:
            _sync_folder(delivered.parent)
        except OSError as error:
            return Receipt("uncertain", log(f"written, but the folder could not be saved: {error.strerror}"))
        return Receipt("sent", log(f"saved as new/{name}"))


def open_maildir(settings: MailSettings, _ended: threading.Event) -> MaildirTransport:
    """The transport of `[mail.maildir]`. A folder is not waited for."""
    return MaildirTransport(settings.maildir.path)


def _unique_name(reference: str) -> str:
    """A name as the Maildir convention asks: time, then what makes it unique on this host, then the host."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return f"{seconds}.M{nanoseconds // 1000:06}P{os.getpid()}Q{next(_deliveries)}R{reference}.{_HOST}"


def _write(path: Path, message: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(message)
        file.flush()
        os.fsync(file.fileno())


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
