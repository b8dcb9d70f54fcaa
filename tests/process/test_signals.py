"""A signal is heeded while futures are waited for, whichever thread of the process it reaches."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import Future

from migrate.process.prefetch import meanwhile
from migrate.process.signals import as_done, first_done, on_end


def test_there_is_nothing_to_wait_for_without_futures() -> None:
    assert first_done([]) == (set(), set())


def test_whichever_is_done_first_ends_the_wait() -> None:
    never: Future[int] = Future()
    done, running = first_done([never, meanwhile(lambda: 1)])
    assert ([each.result() for each in done], running) == ([1], {never})


def test_a_signal_that_reaches_another_thread_calls_its_handler_during_the_wait() -> None:
    asked = threading.Event()

    def kill_and_wait() -> bool:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        return asked.wait(10)

    with on_end(lambda *_: asked.set()):
        heeded = meanwhile(kill_and_wait)
        (done,) = as_done([heeded])
    assert done.result()
