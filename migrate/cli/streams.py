"""Standard output and error that may fail: the reader ended, the disk is full, the terminal was closed, or the stream never existed.

What a command does matters more than what it prints. Lost output stops no command half-way, and changes no exit code of a command that does
something; a command that only prints has failed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_READER_GONE: Final = (errno.EPIPE, errno.EIO)
"""Errors that mean that nobody misses the output: the reader of a pipe ended, or the terminal was closed."""


class Enduring:
    """A text stream that raises no error when it cannot be written. `lost` is the reason why output was lost; None if all was written,
    or nobody was there to read it. `used` is true once anything was written."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.lost: str | None = None
        self.used = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self.used = self.used or bool(text)
        try:
            return int(self._stream.write(text))
        except (OSError, ValueError) as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._give_up(error)

    def _give_up(self, error: OSError | ValueError) -> None:
        """Discards all further output, and what is still in the buffer."""
        if not (isinstance(error, OSError) and error.errno in _READER_GONE):
            self.lost = self.lost or (isinstance(error, OSError) and error.strerror) or str(error)
        with contextlib.suppress(OSError, ValueError):
            discard(self._stream.fileno())


def discard(descriptor: int) -> None:
    """Redirects a descriptor to the null device."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


@contextmanager
def enduring() -> Iterator[Enduring]:
    """Makes standard output, which is given, and standard error `Enduring` while the context lasts."""
    # Where a standard stream is closed, the next file to be opened would get its number, and output meant for the stream.
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            discard(descriptor)
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as nowhere:
        streams = []
        for stream in before:
            usable = nowhere.enter_context(open(os.devnull, "w")) if stream is None else stream  # noqa: PTH123
            if hasattr(usable, "reconfigure"):
                usable.reconfigure(errors="backslashreplace")
            streams.append(Enduring(usable))
        sys.stdout, sys.stderr = streams
        try:
            yield streams[0]
        finally:
            for each in streams:
                each.flush()
            sys.stdout, sys.stderr = before
