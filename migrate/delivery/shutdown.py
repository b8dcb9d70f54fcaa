"""Asking a delivery to end: finish the letter in hand, settle it, leave the rest queued."""

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
    """Seen by every sender before its next letter. The first reason to end is kept: an error that makes going on pointless, or a signal."""

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
        """Sleep so long, or until it is asked to end: then true, at once."""
        return self.event.wait(seconds)

    def pause(self, seconds: float) -> None:
        """Sleep so long between two tries at what must be done even by whoever is asked to end; being asked cuts one pause short."""
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
"""Seconds that what is known of a letter is kept trying to be written down; a run that records a large directory may take minutes."""


def patiently(stop: Shutdown) -> Retrying:
    """Tries again when the ledger cannot be written just now: another run is recording, or the disk is full and may be helped.

    What is tried looks for itself whether it is still wanted: `stop` only cuts a pause short.
    """
    return Retrying(
        retry=retry_if_exception_type(LedgerError),
        stop=stop_after_delay(_PATIENCE),
        wait=wait_exponential(multiplier=0.1, max=1) + wait_random(0, 0.25),
        sleep=stop.pause,
        reraise=True,
    )
