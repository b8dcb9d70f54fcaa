"""Connecting to a mail server without being held up by it (design §11).

A server that does not answer is waited for: its name, its greeting, its TLS, a minute each. No letter is in hand meanwhile that anything
was said about, so whoever is asked to end need not wait. Python cannot break off a call into the network, but it can leave it behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final, Protocol, TypeVar

from migrate.errors import MailServerError

_LOOK_UP: Final = 0.05
"""Seconds until it is noticed that the end was asked for."""


class Line(Protocol):
    """What is dialled."""

    def close(self) -> None:
        """Hang up."""


L = TypeVar("L", bound=Line)


def dialled(dial: Callable[[], L], ended: threading.Event) -> L:
    """The connection that `dial` makes, in a thread of its own, or what it raises.

    Raises MailServerError as soon as `ended` is set; a connection that comes about later is closed.
    """
    call: Future[L] = Future()
    if not ended.is_set():
        threading.Thread(target=_dial, args=(dial, call), name="dialling", daemon=True).start()
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


def _dial(dial: Callable[[], L], call: Future[L]) -> None:
    try:
        server = dial()
    except BaseException as error:  # noqa: BLE001 - whoever waits for the call is told, whatever it is
        if call.set_running_or_notify_cancel():
            call.set_exception(error)
        return
    if call.set_running_or_notify_cancel():
        call.set_result(server)
    else:
        server.close()
