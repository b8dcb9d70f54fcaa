"""The senders of one process: a thread for each connection.

They are threads because a sender mostly waits, for the mail server or the disk. To use more than one core there are processes (`workers`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from tenacity import Retrying

from migrate.delivery.attempt import quickly
from migrate.delivery.batcher import Batcher
from migrate.delivery.circuit_breaker import CircuitBreaker
from migrate.delivery.composed_ahead import ComposedAhead
from migrate.delivery.cpu_affinity import CpuAffinity
from migrate.delivery.delivered import Clock, Delivered, Progress
from migrate.delivery.rate_limiter import RateLimiter
from migrate.delivery.send_times import SendTimes
from migrate.delivery.sender import DeliverySettings, Sender, Shared
from migrate.delivery.shutdown import Shutdown
from migrate.mail.compose import Composer
from migrate.mail.transport import Transport
from migrate.outbox.claims import Claims
from migrate.process.signals import as_done


def deliver(
    claims: Claims,
    composer: Composer,
    transport: Transport,
    clock: Clock,
    settings: DeliverySettings,
    *,
    times: SendTimes | None = None,
    limiter: RateLimiter | None = None,
    stop: Shutdown | None = None,
    retrying: Retrying | None = None,
    watch: Progress = lambda _: None,
) -> Delivered:
    """Sends the queued letters that may go now, until none is left or no letter at all can be handed over.

    Without `times` letters go at any time, without a `limiter` as fast as they can. `retrying` limits the tries at a letter whose
    connection broke; tests pass one that does not wait. `watch` is called for each letter that is done, in any thread.
    """
    stop, times = stop or Shutdown(), times or SendTimes()
    breaker = CircuitBreaker(claims.refused_lately())
    ahead = ComposedAhead(composer, clock)
    batcher = Batcher(claims, clock, times=times, stop=stop, limiter=limiter, ahead=ahead)
    shared = Shared(
        settings=settings,
        claims=claims,
        batcher=batcher,
        composer=composer,
        ahead=ahead,
        transport=transport,
        limiter=limiter,
        clock=clock,
        times=times,
        stop=stop,
        breaker=breaker,
        watch=watch,
        retrying=retrying or quickly(stop),
        affinity=CpuAffinity(settings.number) if settings.connections > 1 else None,
    )
    with stop.on_signals():
        total = Delivered(uncertain=batcher.sweep())
        batcher.withdraw_late()
        # If the server refused everybody lately, one sender probes with a letter; the others begin only if it was taken.
        for senders, probe in ((1, True), (settings.connections, False)):
            if probe == breaker.probing and not stop.asked and total.stopped is None:
                ready = shared.waiting()
                if ready and shared.used_up:
                    break
                total += _sent(shared, senders if settings.until_empty else min(senders, ready), probe=probe)
        batcher.close()
        if not stop.asked and total.stopped is None:
            total.stopped = breaker.at_last()
        total.stopped = stop.error or total.stopped
        total += _put_back(shared)
        if limiter is not None:
            limiter.close()
    total.signal = stop.signal
    return total


def _sent(shared: Shared, senders: int, *, probe: bool) -> Delivered:
    shared.breaker.set_connections(senders)
    ended = _all(senders, lambda: Sender(shared, probe=probe).work())
    errors = [done.stopped for done in ended if done.stopped]
    total = Delivered()
    for done in ended:
        done.stopped = None
        total += done
    if errors and len(errors) == len(ended):
        total.stopped = errors[0]
    elif senders > 1 and _left_behind(shared):
        # A connection was lost, or closed because the server wants fewer, and left letters when the other senders had ended already.
        total += _sent(shared, 1, probe=probe)
    return total


def _left_behind(shared: Shared) -> bool:
    """Whether there are letters that may go now."""
    return not shared.stop.asked and shared.waiting() > 0 and not shared.used_up


def _put_back(shared: Shared) -> Delivered:
    """If the server refused everybody, queues the failed letters again; the change that this makes to the delivery's counts."""
    failed = shared.breaker.failed if shared.breaker.error else {}
    back = shared.batcher.put_back(list(failed), max(failed.values())) if failed else 0
    return Delivered(failed=-back, postponed=back)


def _all(senders: int, work: Callable[[], Delivered]) -> list[Delivered]:
    """Runs `work` in so many threads; what each did. An error is raised only when all have ended, since each has letters in hand."""
    if not senders:
        return []
    with ThreadPoolExecutor(senders, thread_name_prefix="sender") as pool:
        futures: list[Future[Delivered]] = [pool.submit(work) for _ in range(senders)]
        for _ in as_done(futures):
            pass
    return [future.result() for future in futures]
