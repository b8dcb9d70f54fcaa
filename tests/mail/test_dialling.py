from __future__ import annotations

import smtplib
import threading

import pytest

from migrate.errors import MailServerError
from migrate.mail.dialling import dialled


class Line(smtplib.SMTP):
    """A connection that is made and says when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def test_what_was_dialled_or_why_it_could_not_be_comes_back() -> None:
    line = Line()
    assert dialled(lambda: line, threading.Event()) is line
    assert not line.closed.is_set()

    def refused() -> smtplib.SMTP:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        dialled(refused, threading.Event())


def test_nobody_waits_for_a_server_once_the_end_was_asked_for_and_a_late_connection_is_closed() -> None:
    line, ended, answers = Line(), threading.Event(), threading.Event()

    def slowly() -> smtplib.SMTP:
        ended.set()
        answers.wait(30)
        return line

    with pytest.raises(MailServerError, match="had not answered yet"):
        dialled(slowly, ended)
    answers.set()
    assert line.closed.wait(30)


def test_nobody_is_dialled_after_the_end() -> None:
    ended = threading.Event()
    ended.set()
    with pytest.raises(MailServerError):
        dialled(lambda: pytest.fail("it was dialled"), ended)
