"""CPU affinity: keeps all sender threads of a process on one core, on Linux.

Python runs one thread of a process at a time, the one that holds the global interpreter lock (GIL). If threads run on several cores, the
lock passes from core to core at almost every call, and each time the other core must wake up. On one core they simply take turns:
docs/decisions/0005 has the figures. The other cores serve further processes (`workers`), the mail server and the database.

`CpuAffinity.keep` is the one way in. Without an object of this class threads run anywhere, and letters go out as well, only more slowly.
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
"""Seconds between two looks at the load of the cores, at random: two processes that look at the same time would move together for ever."""
_MARGIN: Final = 0.25
"""Moving is worth it if another core is free for a share of time that is greater by this."""
_IDLE: Final = (3, 4)
"""The fields of a core's line in /proc/stat that are not work: idle, and idle while waiting for the disk."""


class CpuAffinity:
    """Chooses a core among those that this process may use: the one where it is running, or the core number `first` (modulo their number)
    if this is one of several processes.

    A thread stays on the core by calling `keep` again and again. Every second or two the load of the cores is compared; if another core is
    much less busy with other processes, the threads move there.
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
        """Keeps the calling thread on the core."""
        if not self._allowed:
            return
        try:
            if time.monotonic() >= self._look_at:
                self._look()
            self._stay(self._where)
        except (OSError, LookupError, ValueError):
            # A container may forbid it, or number cores in its own way. Then threads run anywhere, and letters go out all the same.
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
    """The core to use from now on; `others` is core → the share of its time that other processes use, 0 to 1."""
    least = min(others, key=others.__getitem__)
    return least if others[here] - others[least] > _MARGIN else here


if sys.platform == "linux":

    def _allowed() -> frozenset[int]:
        return frozenset(os.sched_getaffinity(0))

    def _running_on() -> int:
        return int(Path("/proc/thread-self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[36])

    def _busy() -> dict[int, float]:
        """Core → seconds that it has worked since the machine was started."""
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
