"""Sends many small reads in few calls: JSON batches (OData JSON 4.01 §19), in which each read has its own status.

A server may count a batch as one call, or every read in it. At first batches are counted; once the server turns a read in a batch away
because of its rate limit, reads are counted from then on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

from migrate.directory.web.budget import Budget
from migrate.directory.web.client import LONGEST_WAIT, TRIES, Client, RefusedError
from migrate.errors import UnreachableError
from migrate.process.prefetch import meanwhile
from migrate.process.signals import first_done

MOST: Final = 20
"""How many reads a batch of Microsoft Graph has at most."""
TOGETHER: Final = 4
"""How many batches are sent at the same time."""
_AGAIN: Final = frozenset({401, 408, 424, 429, 500, 502, 503, 504})
_USUAL_PAUSE: Final = 10.0
"""Seconds until reads that failed are sent again, if the server does not say how many."""


@dataclass(slots=True)
class Asked:
    """One read. `key`: the account it is about. `url`: relative to the API version of the batch. `tries`: how often it was sent."""

    key: str
    url: str
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """The answer to one read: status 200 with its `body`, or 404 without."""

    key: str
    status: int
    body: Any


class Batches:
    """Sends reads in batches to `url` of a client, several at a time. Raises RefusedError and DirectoryError."""

    def __init__(self, client: Client, url: str, budget: Budget) -> None:
        self._client, self._url, self._budget = client, url, budget
        self._each_counts = False
        self._proven = False
        """True once a whole batch was answered; until then batches are sent one at a time."""

    def answers(self, reads: Iterable[Asked]) -> Iterator[Said]:
        """The answers as they come, in any order."""
        left, again = iter(reads), deque[Asked]()
        running: set[Future[tuple[list[Said], list[Asked]]]] = set()
        while True:
            while len(running) < (TOGETHER if self._proven else 1) and (some := self._some(left, again)):
                running.add(meanwhile(partial(self._one, some)))
            if not running:
                return
            with self._client.ending(running):
                done, running = first_done(running)
                for each in done:
                    said, unsaid = each.result()
                    again.extend(unsaid)
                    yield from said

    def _some(self, left: Iterator[Asked], again: deque[Asked]) -> list[Asked]:
        most = min(MOST, self._budget.units) if self._each_counts else MOST
        some = [again.popleft() for _ in range(min(most, len(again)))]
        return some + list(islice(left, most - len(some)))

    def _one(self, some: list[Asked]) -> tuple[list[Said], list[Asked]]:
        """Sends one batch. Gives its answers, and the reads to send again."""
        asked = {str(number): each for number, each in enumerate(some)}
        body = {"requests": [{"id": number, "method": "GET", "url": each.url} for number, each in asked.items()]}
        cost = len(some) if self._each_counts else 1
        answered = self._client.call("POST", self._url, budget=self._budget, shape=_responses, cost=cost, body=body)
        said: list[Said] = []
        unsaid: list[Asked] = []
        for number, each in asked.items():
            status, after, told = answered.get(number, (503, None, None))
            if status in _AGAIN:
                unsaid.append(self._once_more(each, status, after))
            elif status in (200, 404):
                said.append(Said(each.key, status, told if status == 200 else None))
            else:
                raise RefusedError(status, *self._client.server.explained(told))
        self._proven = self._proven or not unsaid
        return said, unsaid

    def _once_more(self, each: Asked, status: int, after: float | None) -> Asked:
        each.tries += 1
        if each.tries >= TRIES:
            raise UnreachableError(
                f"{self._client.server.name} gives no answer that can be used (it answered {status} in a batch), tried {TRIES} times. "
                "Nothing was changed.",
                where=self._client.server.where,
                hint="Try again later; what was read of single accounts is kept for the next try.",
            )
        if status == 429:
            self._each_counts = True
        if status != 401:  # that wants another token, and no wait; of any other, all tries would be over within seconds
            self._budget.pause(min(_USUAL_PAUSE if after is None else after, LONGEST_WAIT))
        return each


def _responses(told: Any) -> dict[str, tuple[int, float | None, Any]]:
    """The answers in a batch: number → status, seconds of Retry-After, and body. Raises ValueError."""
    responses: dict[str, tuple[int, float | None, Any]] = {}
    for each in told["responses"]:
        headers = {str(name).casefold(): value for name, value in (each.get("headers") or {}).items()}
        try:
            after = float(headers["retry-after"])
        except (KeyError, TypeError, ValueError):
            after = None
        responses[str(each["id"])] = (int(each["status"]), after, each.get("body"))
    return responses
