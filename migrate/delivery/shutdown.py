"""The request to end a delivery: senders finish and settle the letter in hand, and leave the others queued."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential, wait_random

from migrate.errors import LedgerError, MailServerError
from migrate.process.signals import on_end


class Shutdown:
    """A request to end, which every sender checks before its next letter. It keeps the first reason: an error that makes going on
    pointless, or a signal."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.error: MailServerError | None = None
        self.signal: int | None = None

    @property
    def asked(self) -> bool:
        return self.event.is_set()

    def ask(self, error: MailServerError | None = None) -> None:
        self.error = self.error or error
        self.event.set()

    def wait(self, seconds: float) -> bool:
        """Sleeps so many seconds, or until the delivery is asked to end; then returns true at once."""
        return self.event.wait(seconds)

    def pause(self, seconds: float) -> None:
        """Sleeps between two tries at something that must be done even after a request to end. The request cuts short the pause that is
        running; later pauses take their full length."""
        if self.asked:
            time.sleep(seconds)
        else:
            self.wait(seconds)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Within it SIGTERM, Ctrl-C and SIGHUP ask to end. A second one kills the process; the letter in hand then becomes uncertain."""
        with on_end(self._heed):
            yield

    def _heed(self, number: int, _: FrameType | None) -> None:
        self.signal = self.signal or number
        signal.signal(number, signal.SIG_DFL)
        self.event.set()


_PATIENCE: Final = 600
"""Seconds for which a write to the ledger is tried again. A run that records a large directory may lock the ledger for minutes."""


def patiently(stop: Shutdown) -> Retrying:
    """Tries again while the ledger cannot be written: another run may be recording, or the disk is full and somebody may free space.

    `stop` does not end the tries, it only cuts a pause short. What is tried checks `stop` by itself.
    """
    return Retrying(
        retry=retry_if_exception_type(LedgerError),
        stop=stop_after_delay(_PATIENCE),
        wait=wait_exponential(multiplier=0.1, max=1) + wait_random(0, 0.25),
        sleep=stop.pause,
        reraise=True,
    )
