"""A transport that answers as it is told, and a delivery through it that waits for nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from ledger.scenes import NOW, Scene, queue_row
from mail.post import MARIA
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_none

from migrate.delivery import Delivered, DeliverySettings, Progress, RateLimiter, SendTimes, Shutdown, deliver
from migrate.delivery.attempt import _as_it_is, _broke
from migrate.mail.compose import Composer
from migrate.mail.letter import Letter
from migrate.mail.refusals import Refusal
from migrate.mail.transport import Receipt

AT_ONCE = Retrying(retry=retry_if_result(_broke), stop=stop_after_attempt(3), wait=wait_none(), retry_error_callback=_as_it_is)
TAKEN = Receipt("sent", "250 ok")
LATER = Receipt("temporary", "451 4.7.1 later", "4.7.1")
NEVER = Receipt("permanent", "554 5.6.0 no", "5.6.0", refusal=Refusal("letter"))
DEAD = Receipt("permanent", "550 5.1.1 who", "5.1.1", refusal=Refusal("recipient", alone=True))
NOT_OURS = Receipt("permanent", "554 5.7.1 relay denied", "5.7.1", refusal=Refusal("server"))
LIMITED = Receipt("temporary", "432 4.3.2 Concurrent connections limit exceeded", "4.3.2", refusal=Refusal("server", limited=True))
BROKEN = Receipt("temporary", "the connection broke", bad_connection=True)

Answer = Callable[[Letter], Receipt]


class PostOffice:
    """Answers each letter; `sent` are the addresses asked for, in order, and `connections` how many were opened."""

    at_once = 1

    def __init__(self, answer: Answer = lambda _: TAKEN) -> None:
        self.answer = answer
        self.sent: list[str] = []
        self.connections = 0
        self.turn = threading.Lock()

    @contextmanager
    def connect(self) -> Iterator[PostOffice]:
        with self.turn:
            self.connections += 1
        yield self

    def send(self, letter: Letter, then: Letter | None = None) -> Receipt:
        with self.turn:
            self.sent.append(letter.to)
        return self.answer(letter)


def in_turn(*receipts: Receipt) -> Answer:
    """Those answers one after the other, then `TAKEN`."""
    left = iter(receipts)
    return lambda _: next(left, TAKEN)


def queue(scene: Scene, count: int, domain: str = "example.com") -> None:
    scene.queue(*(queue_row(f"u{n:03}@{domain}", address=f"u{n:03}@{domain}", facts=MARIA.to_json()) for n in range(count)))


def delivered(
    scene: Scene,
    composer: Composer,
    office: PostOffice,
    *,
    clock: Callable[[], datetime] = lambda: NOW,
    times: SendTimes | None = None,
    limiter: RateLimiter | None = None,
    stop: Shutdown | None = None,
    retrying: Retrying = AT_ONCE,
    watch: Progress = lambda _: None,
    **settings: Any,
) -> Delivered:
    how = DeliverySettings(**({"bounce_days": 90} | settings))
    return deliver(scene.worker("w"), composer, office, clock, how, times=times, limiter=limiter, stop=stop, retrying=retrying, watch=watch)


def states(scene: Scene) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in scene.letters().values():
        found[row.state] = found.get(row.state, 0) + 1
    return found
