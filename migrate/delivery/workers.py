"""Several processes that deliver one outbox.

They are processes because composing letters is work for Python, and one Python process uses one core. Each opens the ledger itself and
shares nothing else with the others, so they could as well run on several hosts.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from migrate.delivery.delivered import Delivered
from migrate.delivery.shutdown import Shutdown
from migrate.errors import MigrateError

_LOOK_AGAIN: Final = 0.2
"""Seconds between two looks at whether a signal came: a signal does not end a wait for a pipe."""


def workers(count: int, target: Callable[..., Delivered], *arguments: Any) -> Delivered:
    """Calls `target(*arguments, number, stop)` in so many processes, `number` from 0; the sum of what they did.

    SIGTERM, SIGHUP and Ctrl-C are passed on to all. If the parent dies, its processes end as if they were asked to. An error in one process
    does not stop the others; it is raised when all have ended. Raises MigrateError for a process that was killed.
    """
    context = multiprocessing.get_context("spawn")  # "fork" would share the open ledger
    stop = Shutdown()
    running = {}
    total, errors = Delivered(), []
    with stop.on_signals():
        for number in range(count):
            ours, theirs = context.Pipe(duplex=False)
            running[ours] = context.Process(target=_worker, args=(theirs, target, (*arguments, number)), name=f"worker {number + 1}")
            running[ours].start()
            theirs.close()
        passed_on = False
        while running:
            if stop.asked and not passed_on:
                passed_on = True
                for process in running.values():
                    process.terminate()
            for line in wait(list(running), timeout=_LOOK_AGAIN):
                assert isinstance(line, Connection)
                said, process = _heard(line), running.pop(line)
                process.join()
                if isinstance(said, Delivered):
                    total += said
                elif said or not passed_on:
                    errors.append(said or _killed(process.name, process.exitcode))
    total.signal = stop.signal or total.signal
    if errors:
        raise errors[0]
    return total


def _worker(line: Connection, target: Callable[..., Delivered], arguments: tuple[Any, ...]) -> None:
    stop = Shutdown()
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a child

    def outlive_nobody() -> None:
        parent.join()
        stop.ask()

    # Before the ledger is opened: Ctrl-C reaches every process of the terminal, this one too.
    with stop.on_signals():
        threading.Thread(target=outlive_nobody, daemon=True).start()
        try:
            line.send(target(*arguments, stop))
        except MigrateError as error:
            line.send(error)


def _heard(line: Connection) -> Delivered | MigrateError | None:
    try:
        said = line.recv()
    except EOFError:
        return None
    assert isinstance(said, Delivered | MigrateError)
    return said


def _killed(name: str, exit_code: int | None) -> MigrateError:
    how = f"was killed by {signal.Signals(-exit_code).name}" if exit_code and exit_code < 0 else f"broke off with exit code {exit_code}"
    return MigrateError(
        f"{name} {how}. What it had in hand becomes uncertain when its lease ends; the rest was left to the others.",
        hint="Type `migrate send` to go on.",
    )
