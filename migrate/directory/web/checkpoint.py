"""Keeps what was read of single accounts in a private file until the read is complete, so that a long read that failed can be continued.

The file holds ids and words of ours about them, and nothing else of what a server answered.
"""

from __future__ import annotations

import json
import os
import re
import stat
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

from migrate import files

OLDEST: Final = timedelta(hours=12)
"""A file that was begun longer ago than this is not used: everything in it is read again."""
_HEAD: Final = re.compile(rb'\{"migrate": "checkpoint"[^\n]*\}\n')


class Checkpoint:
    """The answers so far, `key` → words. `of`: a digest of what is asked; a file with another digest is not used.

    `kept` is false if the file cannot be written, or is not ours.
    """

    def __init__(self, path: Path, of: str, now: datetime | None = None) -> None:
        self.path, self.kept = path, True
        self._of, self._now = of, now or datetime.now(UTC)
        self._known: dict[str, list[str]] = {}
        self._file: BinaryIO | None = None
        try:
            self._load()
        except FileNotFoundError:
            pass
        except OSError:
            self.kept = False

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def get(self, key: str) -> list[str] | None:
        """The words of a key, None if they are not known."""
        return self._known.get(key)

    def add(self, key: str, words: list[str]) -> None:
        """Adds the words of a key, and writes them to the file at once."""
        self._known[key] = words
        if not self.kept:
            return
        try:
            if self._file is None:
                self._file = files.create(self.path)
                self._write({"migrate": "checkpoint", "of": self._of, "begun": self._now.isoformat()})
            self._write([key, words])
            self._file.flush()
        except OSError:
            self.kept = False

    def done(self) -> None:
        """Removes the file, because the read is complete."""
        self.close()
        with suppress(OSError, files.NotOursError):
            self._clear()

    def close(self) -> None:
        """Closes the file, and leaves it for the next read."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _write(self, line: object) -> None:
        assert self._file is not None
        self._file.write(json.dumps(line).encode() + b"\n")

    def _load(self) -> None:
        """Raises OSError."""
        with self.path.open("rb") as file:
            status = os.fstat(file.fileno())
            first = file.readline(4096)
            if not (stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and _HEAD.fullmatch(first)):
                self.kept = False
                return
            if not self._is_mine(json.loads(first)):
                self._clear()
                return
            for line in file:
                with suppress(ValueError, TypeError):  # the last line may be cut off, if the read was killed
                    key, words = json.loads(line)
                    self._known[str(key)] = [str(word) for word in words]
        self._file = self.path.open("ab")
        self._file.write(b"\n")

    def _is_mine(self, head: dict[str, Any]) -> bool:
        try:
            return head["of"] == self._of and self._now - datetime.fromisoformat(head["begun"]) < OLDEST
        except (KeyError, TypeError, ValueError):
            return False

    def _clear(self) -> None:
        with self.path.open("r+b") as file:
            file.truncate(len(file.readline(4096)))
        files.take_away(self.path, _HEAD)
