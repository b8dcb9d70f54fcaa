"""Work in threads of its own: what is asked for next is made while the last is worked on, or something else is done meanwhile."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import closing
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

_LOOK_UP: Final = 0.1
_PATIENCE: Final = 1.0
"""Seconds that a thread which is no longer wanted is waited for. One that waits for a server itself cannot be woken; it ends with the
program."""


def ahead(items: Generator[_T, None, None], most: int = 1) -> Iterator[_T]:
    """The items, in their order, up to `most` of them made before they are asked for. What making them raises is raised here.

    The generator runs, and is closed, in that thread alone.
    """
    waiting: queue.Queue[Any] = queue.Queue(most)
    enough = threading.Event()

    def put(item: Any) -> None:
        while not enough.is_set():
            try:
                waiting.put(item, timeout=_LOOK_UP)
            except queue.Full:
                continue
            return

    def make() -> None:
        try:
            with closing(items):
                for item in items:
                    put((item, None))
                    if enough.is_set():
                        return
            put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where the items are asked for
            put((None, error))

    maker = threading.Thread(target=make, daemon=True)
    maker.start()
    try:
        while (made := waiting.get()) is not None:
            item, error = made
            if error is not None:
                raise error
            yield item
    finally:
        enough.set()
        maker.join(_PATIENCE)


def meanwhile(work: Callable[[], _T]) -> Future[_T]:
    """What `work` returns or raises, once it has; a program that ends does not wait for it."""
    done: Future[_T] = Future()

    def do() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            done.set_exception(error)

    threading.Thread(target=do, daemon=True).start()
    return done
