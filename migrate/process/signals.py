"""Signals that ask this process to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_end(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Within it SIGTERM, Ctrl-C and SIGHUP (a terminal that was closed) call the handler. Under `nohup` SIGHUP stays ignored.

    In any other thread than the main one it does nothing: Python lets only the main thread handle signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
