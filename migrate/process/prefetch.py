"""Work in threads of its own: what is asked for next is made while the last is worked on, or something else is done meanwhile."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from typing import Any, Final, Generic, TypeVar

_T = TypeVar("_T")

_LOOK_UP: Final = 0.1
_PATIENCE: Final = 1.0
"""Seconds that a thread which is no longer wanted is waited for. One that waits for a server itself cannot be woken; it ends with the
program."""


def ahead(items: Generator[_T, None, None], most: int = 1, look: Callable[[], None] | None = None) -> Iterator[_T]:
    """The items, in their order, up to `most` of them made before they are asked for. What making them raises is raised here.

    The generator runs, and is closed, in that thread alone. While an item is waited for, `look` is called now and then; what it raises
    ends the waiting.
    """
    with begun(items, most, look) as made:
        yield from made


@contextmanager
def begun(items: Generator[_T, None, None], most: int = 1, look: Callable[[], None] | None = None) -> Iterator[Iterator[_T]]:
    """The same, but the first is made at once, before anybody asks; and none is any more when the context ends."""
    made = _Made(items, most, look)
    maker = threading.Thread(target=made.make, daemon=True)
    maker.start()
    try:
        yield iter(made)
    finally:
        made.enough.set()
        maker.join(_PATIENCE)


class _Made(Generic[_T]):
    """Items between the thread that makes them and whoever asks for them, until it is `enough`."""

    def __init__(self, items: Generator[_T, None, None], most: int, look: Callable[[], None] | None) -> None:
        self.enough = threading.Event()
        self._look = look
        self._items = items
        self._waiting: queue.Queue[Any] = queue.Queue(most)

    def make(self) -> None:
        try:
            with closing(self._items):
                for item in self._items:
                    self._put((item, None))
                    if self.enough.is_set():
                        return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where the items are asked for
            self._put((None, error))

    def _put(self, item: Any) -> None:
        while not self.enough.is_set():
            try:
                self._waiting.put(item, timeout=_LOOK_UP)
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
                return self._waiting.get(timeout=_LOOK_UP)
            except queue.Empty:
                if self.enough.is_set():  # never to be taken for the end of the items
                    raise RuntimeError("more was asked for than was made until the end of the context") from None
                if self._look is not None:
                    self._look()


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
