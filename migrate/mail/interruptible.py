"""Connects to a mail server in such a way that the wait for it can be interrupted (design §11).

A server that does not answer costs a minute for each step: its name, its greeting, its TLS. During that time the server knows of no letter
in hand, so a delivery that is asked to end need not wait for it. Python cannot interrupt a network call, but it can leave the thread that
makes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final, Protocol, TypeVar

from migrate.errors import MailServerError

_LOOK_UP: Final = 0.05
"""Seconds between two looks at whether the delivery was asked to end."""


class Closable(Protocol):
    """A connection that can be closed."""

    def close(self) -> None:
        """Closes it."""


C = TypeVar("C", bound=Closable)


def interruptible(connect: Callable[[], C], ended: threading.Event) -> C:
    """Calls `connect` in a thread of its own; the connection that it makes, or the error that it raises.

    Raises MailServerError as soon as `ended` is set. If the connection comes about later, it is closed.
    """
    call: Future[C] = Future()
    if not ended.is_set():
        threading.Thread(target=_connect, args=(connect, call), name="connecting", daemon=True).start()
    while not ended.is_set():
        wait([call], timeout=_LOOK_UP)
        if call.done():
            return call.result()
    if not call.cancel():
        return call.result()
    raise MailServerError(
        "the mail server had not answered yet when the delivery was asked to end.",
        where="[mail.smtp]",
        hint="What is left stays queued; type `migrate send` to go on.",
    )


def _connect(connect: Callable[[], C], call: Future[C]) -> None:
    try:
        connection = connect()
    except BaseException as error:  # noqa: BLE001 - whoever waits for the call is told, whatever it is
        if call.set_running_or_notify_cancel():
            call.set_exception(error)
        return
    if call.set_running_or_notify_cancel():
        call.set_result(connection)
    else:
        connection.close()
