"""Work in a thread of its own: the next items of a generator are made while the caller works on the last one (`ahead`, `begun`), or one
function runs while the caller does something else (`meanwhile`)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from typing import Any, Final, Generic, TypeVar

_T = TypeVar("_T")

_LOOK_UP: Final = 0.1
"""Seconds after which a thread that waits for the queue looks whether it still should."""
_PATIENCE: Final = 1.0
"""Seconds that the end of the context waits for the producer thread. A thread that is waiting for a server cannot be woken; it is a daemon
thread and ends with the program."""


def ahead(items: Generator[_T, None, None], most: int = 1, look: Callable[[], None] | None = None) -> Iterator[_T]:
    """The items of a generator, in order; a thread makes up to `most` of them in advance. An exception of the generator is raised here.

    The generator runs, and is closed, in that thread only. While the caller waits for an item, `look` is called every `_LOOK_UP` seconds;
    an exception that it raises ends the waiting.
    """
    with begun(items, most, look) as made:
        yield from made


@contextmanager
def begun(items: Generator[_T, None, None], most: int = 1, look: Callable[[], None] | None = None) -> Iterator[Iterator[_T]]:
    """Like `ahead`, but the thread starts at once, when the context is entered. It stops when the context exits."""
    prefetcher = _Prefetcher(items, most, look)
    producer = threading.Thread(target=prefetcher.make, daemon=True)
    producer.start()
    try:
        yield iter(prefetcher)
    finally:
        prefetcher.stop.set()
        producer.join(_PATIENCE)


class _Prefetcher(Generic[_T]):
    """A queue between the thread that makes items (`make`) and the caller who iterates over them, until `stop` is set."""

    def __init__(self, items: Generator[_T, None, None], most: int, look: Callable[[], None] | None) -> None:
        self.stop = threading.Event()
        self._look = look
        self._items = items
        self._queue: queue.Queue[Any] = queue.Queue(most)

    def make(self) -> None:
        """Runs the generator to its end, or until `stop` is set."""
        try:
            with closing(self._items):
                for item in self._items:
                    self._put((item, None))
                    if self.stop.is_set():
                        return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where the items are asked for
            self._put((None, error))

    def _put(self, item: Any) -> None:
        while not self.stop.is_set():
            try:
                self._queue.put(item, timeout=_LOOK_UP)
            except queue.Full:
                continue
            return

    def __iter__(self) -> Iterator[_T]:
        while (made := self._get()) is not None:
            item, error = made
            if error is not None:
                raise error
            yield item

    def _get(self) -> Any:
        while True:
            try:
                return self._queue.get(timeout=_LOOK_UP)
            except queue.Empty:
                if self.stop.is_set():  # an error, so that nobody takes it for the end of the items
                    raise RuntimeError("more was asked for than was made until the end of the context") from None
                if self._look is not None:
                    self._look()


def meanwhile(work: Callable[[], _T]) -> Future[_T]:
    """Runs `work` in a daemon thread: the future has its result or exception. The program does not wait for it at its end."""
    done: Future[_T] = Future()

    def do() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            done.set_exception(error)

    threading.Thread(target=do, daemon=True).start()
    return done
