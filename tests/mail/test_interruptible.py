from __future__ import annotations

import smtplib
import threading

import pytest

from migrate.errors import MailServerError
from migrate.mail.interruptible import interruptible


class Server(smtplib.SMTP):
    """A connection that is made and says when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def test_the_connection_or_why_there_is_none_comes_back() -> None:
    server = Server()
    assert interruptible(lambda: server, threading.Event()) is server
    assert not server.closed.is_set()

    def refused() -> smtplib.SMTP:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        interruptible(refused, threading.Event())


def test_nobody_waits_for_a_server_once_the_end_was_asked_for_and_a_late_connection_is_closed() -> None:
    server, ended, answers = Server(), threading.Event(), threading.Event()

    def slowly() -> smtplib.SMTP:
        ended.set()
        answers.wait(30)
        return server

    with pytest.raises(MailServerError, match="had not answered yet"):
        interruptible(slowly, ended)
    answers.set()
    assert server.closed.wait(30)


def test_nobody_connects_after_the_end() -> None:
    ended = threading.Event()
    ended.set()
    with pytest.raises(MailServerError):
        interruptible(lambda: pytest.fail("it connected"), ended)
