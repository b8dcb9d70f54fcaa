"""A thread that writes files while the next part of a report is worked out. Arrow, files and digests release Python's lock (GIL)
meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

_UNFINISHED: Final = 2
"""At most so many tasks are unfinished at once: each keeps its data in memory."""


class BackgroundWriter:
    """Runs tasks in one thread, in the order in which they are given. An error of a task is raised by a later `do`, or when the context
    ends."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._tasks: deque[Future[object]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.shutdown(cancel_futures=error is not None)
        if error is None:
            self._settle(0)

    def do(self, work: Callable[[], object]) -> None:
        """Queues a task; first waits until at most one earlier task is unfinished."""
        self._settle(_UNFINISHED - 1)
        self._tasks.append(self._thread.submit(work))

    def _settle(self, left: int) -> None:
        while len(self._tasks) > left:
            self._tasks.popleft().result()
