"""Signals that ask this process to end, and waits for threads during which signals are handled."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from types import FrameType
from typing import Final, TypeVar

_T = TypeVar("_T")

_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ONCE_MORE: Final = 0.05
"""Seconds after which a signal is sent again whose exception Python discarded."""
_LOOK_UP: Final = 0.25
"""Seconds after which a wait for another thread looks whether a signal came."""


def first_done(futures: Collection[Future[_T]]) -> tuple[set[Future[_T]], set[Future[_T]]]:
    """Waits until one of the futures is done: those that are done, and the others. Two empty sets if there are no futures.

    Python calls a handler only in the main thread, between two of its instructions. So a signal that comes just before that thread begins
    to wait, or that the kernel hands to another thread, is not heeded before the wait is over. This one looks up now and then.
    """
    while True:
        done, running = wait(futures, _LOOK_UP, FIRST_COMPLETED)
        if done or not running:
            return done, running


def as_done(futures: Iterable[Future[_T]]) -> Iterator[Future[_T]]:
    """The futures, each when it is done, by waits during which signals are handled (`first_done`)."""
    running = set(futures)
    while running:
        done, running = first_done(running)
        yield from done


@contextmanager
def on_end(handler: Callable[[int, FrameType | None], None], numbers: Sequence[signal.Signals] = _ENDING) -> Iterator[None]:
    """Within it the signals (default: SIGTERM, Ctrl-C and SIGHUP, which a closed terminal sends) call the handler. Under `nohup` SIGHUP
    stays ignored.

    In any other thread than the main one it does nothing: Python lets only the main thread handle signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    before = {number: signal.signal(number, handler) for number in numbers if not (ignored and number is signal.SIGHUP)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Within it SIGTERM and SIGHUP end the process by an exception, as Ctrl-C does: locks are given back, and scratch folders with personal
    data are removed. A signal that was ignored before stays ignored.

    Python discards exceptions raised in `__del__` and the like, SystemExit too. The signal is then sent again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def once_more(dropped: sys.UnraisableHookArgs) -> None:
        if not isinstance(dropped.exc_value, (SystemExit, KeyboardInterrupt)):
            hook(dropped)
            return
        code = dropped.exc_value.code if isinstance(dropped.exc_value, SystemExit) else None
        number = code - 128 if isinstance(code, int) and code > 128 else signal.SIGINT
        threading.Timer(_ONCE_MORE, os.kill, (os.getpid(), number)).start()

    hook = sys.unraisablehook
    with on_end(end, [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]):
        sys.unraisablehook = once_more
        try:
            yield
        finally:
            sys.unraisablehook = hook
