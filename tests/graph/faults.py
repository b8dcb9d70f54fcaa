"""What goes wrong on purpose, and how often a budget was overdrawn."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import ClassVar, Literal

Kind = Literal[
    "429",
    "503",
    "500",
    "401",
    "no premium",
    "break off",
    "hang up",
    "empty page",
    "same page",
    "same link",
    "other host",
    "expired",
    "html",
    "huge",
]


@dataclass(slots=True)
class Fault:
    """Calls whose path has `path` in it go wrong, `times` of them after the first `after`."""

    path: str
    kind: Kind
    times: int = 1
    after: int = 0
    retry_after: int | None = 3

    def strikes(self, path: str) -> bool:
        if self.path not in path or self.times <= 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


class Throttle:
    """So many calls in so many seconds, of each API, by the clock of whoever asks."""

    LIMITS: ClassVar = {"reports": (5, 10.0), "activity": (10, 60.0), "directory": (3500, 10.0)}

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._calls: dict[str, deque[tuple[float, int]]] = defaultdict(deque)
        self.count: dict[str, int] = defaultdict(int)
        self.refused: dict[str, int] = defaultdict(int)
        self.most: dict[str, int] = defaultdict(int)
        """The most that an API was asked in its window."""

    def over(self, api: str, now: float, cost: int = 1) -> int | None:
        """Seconds to wait, or None if the call may pass."""
        units, seconds = self.LIMITS[api]
        with self._turn:
            calls = self._calls[api]
            while calls and calls[0][0] <= now - seconds:
                calls.popleft()
            self.count[api] += 1
            used = sum(each for _, each in calls) + cost
            self.most[api] = max(self.most[api], used)
            if used > units:
                self.refused[api] += 1
                return int(calls[0][0] + seconds - now) + 1
            calls.append((now, cost))
            return None
