"""Runs a command for one tenant in a process of its own, so that a failure there cannot harm another tenant."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final

from migrate import files
from migrate.process.signals import on_end

COMMAND: Final = (sys.executable, "-P", "-m", "migrate")
"""The command of this installation. With -P Python does not import a `migrate` from the working directory instead."""
GRACE: Final = 60.0
"""Seconds between SIGTERM and SIGKILL for a process whose time is up: enough to finish the letter in hand."""
_LONGEST: Final = 64 * 2**20
"""Bytes of output that are read at most; no command prints so large a JSON object."""
_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit `code` (negative: the signal that killed it), the JSON object that it printed (`facts`, None if it
    cannot be parsed) and the last `lines` on its error stream. `late` is true if it was ended because its time was up."""

    code: int
    facts: Mapping[str, Any] | None
    lines: tuple[str, ...] = ()
    late: bool = False

    def told(self, name: str) -> Any:
        """The value of that name in the object, or None."""
        return None if self.facts is None else self.facts.get(name)


class Processes:
    """Runs commands in processes, any number at a time, from any thread. `signal` is the first signal that asked all of them to end.

    Each process leads a session of its own. So Ctrl-C at a terminal does not reach it directly, but only once, through us.
    """

    def __init__(self, limit: timedelta, grace: float = GRACE) -> None:
        self._limit, self._grace = limit.total_seconds(), grace
        self._turn = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.signal: int | None = None

    def call(self, words: Sequence[str], scratch: Path) -> Ended | None:
        """Runs a command and waits for its end; None if it was not started because a signal had come. Its output goes into files in the
        private folder `scratch`: a pipe could be kept open by children of a dead process."""
        place = files.inner(scratch)
        with files.create(place / "out") as out, files.create(place / "err") as err:
            with self._turn:
                if self.signal:
                    return None
                process = subprocess.Popen(  # noqa: S603 - our own command, and words of ours
                    [*COMMAND, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
                )
                self._running.add(process)
            try:
                late = self._waited(process)
            finally:
                with self._turn:
                    self._running.discard(process)
            return Ended(process.returncode, _object(out), _last_lines(err), late)

    def _waited(self, process: subprocess.Popen[bytes]) -> bool:
        """Waits for the end of a process; true if it had to be ended because its time was up."""
        try:
            process.wait(self._limit)
        except subprocess.TimeoutExpired:
            _send(process, signal.SIGTERM)
        else:
            return False
        try:
            process.wait(self._grace)
        except subprocess.TimeoutExpired:
            _send(process, signal.SIGKILL)
            process.wait()
        return True

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Within it Ctrl-C, SIGTERM and SIGHUP are passed on to every process, each time, and no other process is begun. `call` goes on
        waiting for those that run."""
        with on_end(self._pass_on):
            yield

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        # Signals are handled in the main thread, which never holds this lock elsewhere: waiting for it here cannot deadlock.
        with self._turn:
            self.signal = self.signal or number
            for process in self._running:
                _send(process, number)


def _send(process: subprocess.Popen[bytes], number: int) -> None:
    """Sends a signal to a process and its children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _object(out: Any) -> Mapping[str, Any] | None:
    out.seek(0)
    try:
        found = json.loads(out.read(_LONGEST))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _last_lines(err: Any) -> tuple[str, ...]:
    err.seek(max(0, err.seek(0, os.SEEK_END) - 2**16))
    return tuple(err.read().decode("utf-8", "replace").splitlines()[-_LINES:])
