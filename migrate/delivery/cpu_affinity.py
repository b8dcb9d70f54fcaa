"""The processor that the senders of one process keep to, on Linux.

Python lets one thread of a process run at a time. Senders that are spread over processors hand this right from one processor to another
at almost every call, which has to be woken for it; on one processor they merely take turns: docs/decisions/0005 has the figures.
Further processors are used by further processes (`workers`), by the mail server and by the database.
"""

from __future__ import annotations

import math
import os
import random
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_LOOK: Final = (1.0, 2.0)
"""Seconds between two looks at the others, at random: two processes that see the same would move together for ever."""
_MARGIN: Final = 0.25
"""How much more of a second must be free elsewhere for it to be worth moving."""
_IDLE: Final = (3, 4)
"""The fields of a processor's line in /proc/stat that are no work: idle, and idle until the disk answers."""


class CpuAffinity:
    """One of those that this process may use: the `first`, counted round, if it is told one of several, else where it is running anyway.

    Threads that call `keep` again and again are kept to it. Every second or two it looks whether another processor is much less busy
    with the work of others, and moves.
    """

    def __init__(self, first: int | None = None) -> None:
        self._allowed = _allowed()
        self._first = first
        self._turn = threading.Lock()
        self._kept = threading.local()
        self._where = self._allowed
        self._look_at = 0.0
        self._seen: tuple[float, float, Mapping[int, float]] | None = None

    def keep(self) -> None:
        """Keeps the calling thread to the processor."""
        if not self._allowed:
            return
        try:
            if time.monotonic() >= self._look_at:
                self._look()
            self._stay(self._where)
        except (OSError, LookupError, ValueError):
            # Containers may forbid it, or number processors in their own way. Letters go out all the same, from anywhere.
            self._look_at = math.inf
            self._where = self._allowed

    def _stay(self, where: frozenset[int]) -> None:
        if getattr(self._kept, "to", self._allowed) != where:
            os.sched_setaffinity(0, where)  # 0 is this thread
            self._kept.to = where

    def _look(self) -> None:
        with self._turn:
            now = time.monotonic()
            if now < self._look_at:
                return  # another thread was quicker
            earlier, self._seen = self._seen, (now, time.process_time(), _busy())
            if earlier is None:
                in_turn = sorted(self._allowed)
                here = _running_on() if self._first is None else in_turn[self._first % len(in_turn)]
            else:
                passed, ours = now - earlier[0], self._seen[1] - earlier[1]
                (here,) = self._where
                others = {each: (self._seen[2][each] - earlier[2][each]) / passed for each in self._allowed}
                others[here] -= ours / passed
                here = freest(here, others)
            self._where = frozenset({here})
            self._look_at = now + random.uniform(*_LOOK)  # noqa: S311 - jitter


def freest(here: int, others: Mapping[int, float]) -> int:
    """Which processor to use from now on; `others` are the shares of each that others use, from 0 to 1."""
    least = min(others, key=others.__getitem__)
    return least if others[here] - others[least] > _MARGIN else here


if sys.platform == "linux":

    def _allowed() -> frozenset[int]:
        return frozenset(os.sched_getaffinity(0))

    def _running_on() -> int:
        return int(Path("/proc/thread-self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[36])

    def _busy() -> dict[int, float]:
        """Seconds that each processor has worked since the machine was started."""
        tick = os.sysconf("SC_CLK_TCK")
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        parts = [line.split() for line in lines if line.startswith("cpu") and not line.startswith("cpu ")]
        return {int(name[3:]): sum(int(field) for at, field in enumerate(fields) if at not in _IDLE) / tick for name, *fields in parts}

else:

    def _allowed() -> frozenset[int]:
        return frozenset()

    def _running_on() -> int:
        return 0

    def _busy() -> dict[int, float]:
        return {}
