"""Behind: what only writes is done in a thread of its own, a step behind whoever has more to make. Arrow, files and digests let go of
Python's lock meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from migrate.report.lines import Out

_WAITING: Final = 2
"""So many pieces of work may not be done yet: what they hold is memory."""


class Behind:
    """Does what it is told in the order it was told. What goes wrong is raised when more is told, or at the end."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._told: deque[Future[object]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.shutdown(cancel_futures=error is not None)
        if error is None:
            self._settle(0)

    def do(self, work: Callable[[], object]) -> None:
        """Has it done, as soon as at most one piece before it is not."""
        self._settle(_WAITING - 1)
        self._told.append(self._thread.submit(work))

    def _settle(self, left: int) -> None:
        while len(self._told) > left:
            self._told.popleft().result()


class Later:
    """A file that is written behind."""

    def __init__(self, file: Out, behind: Behind) -> None:
        self._file = file
        self._behind = behind

    def write(self, data: bytes | memoryview) -> None:
        """Has it written; `data` may not change any more."""
        self._behind.do(lambda: self._file.write(data))
