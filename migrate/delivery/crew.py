"""The senders of one process: a thread for each connection.

Threads, because a sender mostly waits for the mail server and for the disk; processes (`workers`) are for more than one processor.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime

from tenacity import Retrying

from migrate.core.send_hours import Hours
from migrate.delivery.attempt import quickly
from migrate.delivery.batcher import Batcher
from migrate.delivery.circuit_breaker import CircuitBreaker
from migrate.delivery.cpu_affinity import CpuAffinity
from migrate.delivery.delivered import Clock, Delivered, Watch
from migrate.delivery.rate_limiter import RateLimiter
from migrate.delivery.sender import Round, Sender
from migrate.delivery.shutdown import Shutdown
from migrate.mail.compose import Composer
from migrate.mail.transport import Transport
from migrate.outbox.claims import Claims


def deliver(
    claims: Claims,
    composer: Composer,
    transport: Transport,
    limiter: RateLimiter | None,
    clock: Clock,
    *,
    bounce_days: int,
    connections: int = 1,
    until_empty: bool = False,
    stale_at: datetime | None = None,
    hours: Hours | None = None,
    stop: Shutdown | None = None,
    number: int | None = None,
    retrying: Retrying | None = None,
    watch: Watch = lambda _: None,
) -> Delivered:
    """Sends what is queued and may go now, until nothing is left or no letter can be handed over at all.

    An address that the server calls unknown or disabled counts as bounced for `bounce_days`. With `until_empty` letters that are to be
    tried again soon are waited for. From `stale_at` on, when the directory was read too long ago, nothing but confirmations goes out;
    outside the `hours` only those and letters that end before the next opening; and nothing else is waited for. `number` is which of
    several processes this is, from 0. `retrying` bounds the tries at a letter whose connection broke; tests pass one that does not wait.
    `watch` hears of each letter done, in any thread.
    """
    stop = stop or Shutdown()
    breaker = CircuitBreaker(claims.refused_lately())
    batcher = Batcher(claims, clock, stale_at=stale_at, hours=hours, stop=stop, limiter=limiter)
    shared = Round(
        claims=claims,
        batcher=batcher,
        composer=composer,
        transport=transport,
        limiter=limiter,
        clock=clock,
        stop=stop,
        breaker=breaker,
        watch=watch,
        retrying=retrying or quickly(stop),
        affinity=CpuAffinity(number) if connections > 1 else None,
        bounce_days=bounce_days,
        until_empty=until_empty,
    )
    with stop.on_signals():
        total = Delivered(uncertain=batcher.sweep())
        batcher.withdraw_late()
        for senders, probe in ((1, True), (connections, False)):
            if probe == breaker.probing and not stop.asked and total.stopped is None:
                now = clock()
                ready = claims.waiting(now, only_confirmations=batcher.only_confirmations(now), ending_by=batcher.ending_by(now))
                if ready and shared.used_up:
                    break
                total += _sent(shared, senders if until_empty else min(senders, ready), probe=probe)
        batcher.close()
        if not stop.asked and total.stopped is None:
            total.stopped = breaker.at_last()
        total.stopped = stop.error or total.stopped
        total += _put_back(shared)
        if limiter is not None:
            limiter.close()
    total.signal = stop.signal
    return total


def _sent(shared: Round, senders: int, *, probe: bool) -> Delivered:
    shared.breaker.stand(senders)
    ended = _all(senders, lambda: Sender(shared, probe=probe).work())
    errors = [done.stopped for done in ended if done.stopped]
    total = Delivered()
    for done in ended:
        done.stopped = None
        total += done
    if errors and len(errors) == len(ended):
        total.stopped = errors[0]
    elif senders > 1 and _left_behind(shared):
        # By a connection that was lost, or closed because the server wants fewer: the others had found nothing left to send by then.
        total += _sent(shared, 1, probe=probe)
    return total


def _left_behind(shared: Round) -> bool:
    """Whether there are letters that may go now."""
    now = shared.clock()
    if shared.stop.asked or not shared.claims.waiting(
        now, only_confirmations=shared.batcher.only_confirmations(now), ending_by=shared.batcher.ending_by(now)
    ):
        return False
    return not shared.used_up


def _put_back(shared: Round) -> Delivered:
    """What the delivery is to count otherwise: letters that failed are queued again if the server refused everybody alike."""
    failed = shared.breaker.failed if shared.breaker.error else {}
    back = shared.batcher.put_back(list(failed), max(failed.values())) if failed else 0
    return Delivered(failed=-back, postponed=back)


def _all(senders: int, work: Callable[[], Delivered]) -> list[Delivered]:
    """What each of the senders did; the first error of one only after all have ended, for each has letters in hand."""
    if not senders:
        return []
    with ThreadPoolExecutor(senders, thread_name_prefix="sender") as pool:
        futures: list[Future[Delivered]] = [pool.submit(work) for _ in range(senders)]
        wait(futures)
    return [future.result() for future in futures]
