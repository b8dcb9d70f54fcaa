"""Before the first letter: whatever a server says or does not say, its last words and what to set reach the person."""

from __future__ import annotations

import ssl
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from mail.authority import ca_file, self_signed, server_context
from mail.post import compose
from mail.scripted_smtp import DROP, HANG, Answer, ScriptedSmtp
from mail.test_mail_smtp import AT_ONCE, transport

from migrate.errors import MailServerError
from migrate.mail import encryption
from migrate.mail.settings import SmtpSettings
from migrate.mail.smtp import SmtpTransport

SOON = 12.0
"""Seconds in which a wrong `security` is noticed, on a busy machine."""


def refused(server: ScriptedSmtp, **settings: Any) -> MailServerError:
    with pytest.raises(MailServerError) as caught, transport(server.port, **settings).connect():
        pass
    return caught.value


def encrypted(server: ScriptedSmtp, folder: Path, **settings: Any) -> SmtpTransport:
    values = {"host": "localhost", "port": server.port, "ca_file": ca_file(folder), "timeout": 20}
    return SmtpTransport(SmtpSettings(**(values | settings)), AT_ONCE)


def untrusted(server: ScriptedSmtp, folder: Path, **settings: Any) -> MailServerError:
    start = time.monotonic()
    with pytest.raises(MailServerError) as caught, encrypted(server, folder, **settings).connect():
        pass
    assert time.monotonic() - start < SOON
    return caught.value


@pytest.mark.parametrize(
    ("verb", "answer", "says"),
    [
        ("connect", "554 5.7.1 We do not like 192.0.2.1", "554 5.7.1 We do not like 192.0.2.1 as its greeting"),
        ("connect", ("421 4.3.2 Too busy", DROP), "421 4.3.2 Too busy as its greeting"),
        ("connect", ("421-4.3.2 Too busy", DROP), "421 4.3.2 Too busy as its greeting"),
        ("connect", ("220 hello\r\n421 4.3.2 Closing after all", DROP), "421 4.3.2 Closing after all to our EHLO"),
        (
            "ehlo",
            ("421 4.7.0 Try again later, closing connection. (EHLO)", DROP),
            "421 4.7.0 Try again later, closing connection. (EHLO) to",
        ),
        ("ehlo", ("550-5.7.1 Your name\r\n550 5.7.1 is not one", DROP), "550 5.7.1 Your name 5.7.1 is not one to our EHLO"),
        ("ehlo", ("501 5.5.4 Invalid domain name", DROP), "501 5.5.4 Invalid domain name to our EHLO"),
    ],
)
def test_the_last_words_of_a_server_that_turns_us_away_are_told(verb: str, answer: Answer, says: str) -> None:
    with ScriptedSmtp(**{verb: answer}) as server:
        error = refused(server)
    assert "the mail server turned us away: it answered " + says in str(error)


@pytest.mark.parametrize(
    ("verb", "answer", "says"),
    [
        ("connect", DROP, "the mail server hung up: "),
        ("ehlo", DROP, ", in answer to EHLO."),
        ("connect", HANG, "there was no answer to our call (there is no greeting) within 0.4 seconds."),
        ("ehlo", HANG, "there was no answer to EHLO within 0.4 seconds."),
    ],
)
def test_a_server_that_says_nothing_is_told_by_the_step_it_stops_at(
    verb: str, answer: Answer, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encryption, "LOOK", 0.5)  # the time for another look, whether it speaks TLS
    with ScriptedSmtp(**{verb: answer}) as server:
        error = refused(server, timeout=0.4)
    assert says in str(error) and "host" in str(error)


def test_a_server_that_minds_our_name_is_told_another_one() -> None:
    with ScriptedSmtp(ehlo="504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname", helo="504 no") as server:
        error = refused(server, helo="localhost")
        assert "set helo in [mail.smtp]" in str(error) and "localhost is the name we greet with" in str(error)
    with ScriptedSmtp() as server, transport(server.port, helo="mail.example.com").connect():
        pass
    assert server.lines[0] == "EHLO mail.example.com"


def test_a_server_that_knows_only_helo_is_spoken_to_in_the_old_way() -> None:
    with ScriptedSmtp(ehlo="500 5.5.1 what?") as server, transport(server.port).connect() as connection:
        assert connection.send(compose()).verdict == "sent"
    assert server.commands[:3] == ["EHLO", "HELO", "MAIL"]


def test_a_refused_starttls_is_told_and_nothing_goes_in_the_clear(tmp_path: Path) -> None:
    with ScriptedSmtp(server_context(), starttls="454 4.7.0 TLS not available due to local problem") as server:
        error = untrusted(server, tmp_path)
    assert "454 4.7.0 TLS not available due to local problem to STARTTLS" in str(error)
    assert set(server.commands) == {"EHLO", "STARTTLS"}


def test_what_comes_in_the_clear_after_the_go_ahead_is_not_taken_for_the_servers(tmp_path: Path) -> None:
    with ScriptedSmtp(server_context(), starttls="220 go ahead\r\n250 injected") as server:
        assert "more than its go-ahead" in str(untrusted(server, tmp_path))


@pytest.mark.parametrize("words", ["* OK IMAP4 ready", "SSH-2.0-OpenSSH_9.6", "+OK POP3"])
def test_another_service_than_mail_is_quoted(words: str) -> None:
    with ScriptedSmtp(connect=words) as server:
        error = refused(server)
    assert f"what answers there is no mail server; it said: {words}." in str(error) and "host and port" in str(error)


def test_the_last_words_before_a_letter_are_told_of_the_letter() -> None:
    with ScriptedSmtp(mail=("421 4.4.2 Idle for too long", DROP)) as server, transport(server.port).connect() as connection:
        assert "421 4.4.2 Idle for too long" in connection.send(compose()).reply


# TLS


def test_tls_from_the_first_byte_on_a_port_for_starttls_is_noticed_soon(tmp_path: Path) -> None:
    with ScriptedSmtp(server_context(), implicit=True) as server:
        error = untrusted(server, tmp_path, timeout=60)
    assert "speaks TLS from the first byte" in str(error) and "Set security = 'tls'" in str(error)


def test_tls_that_is_waited_for_in_vain_is_noticed_even_with_a_short_timeout(tmp_path: Path) -> None:
    with ScriptedSmtp(server_context(), implicit=True) as server:
        assert "Set security = 'tls'" in str(untrusted(server, tmp_path, timeout=1))


def test_a_server_in_the_clear_on_a_port_for_tls_is_quoted(tmp_path: Path) -> None:
    with ScriptedSmtp(server_context(), connect="220 mx.example.com ESMTP") as server:
        error = untrusted(server, tmp_path, security="tls", timeout=60)
    assert "begins in the clear; it says: 220 mx.example.com ESMTP" in str(error) and "Set security = 'starttls'" in str(error)


def test_a_port_that_says_nothing_at_all_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "LOOK", 0.5)
    with ScriptedSmtp(server_context(), connect=HANG) as server:
        error = untrusted(server, tmp_path, security="tls", timeout=0.4)
    assert "no encrypted connection could be made: no answer to the TLS handshake within 0.4 seconds." in str(error)
    assert "_ssl" not in str(error) and "port 465" in str(error)


def test_a_server_that_is_only_slow_to_greet_is_waited_for() -> None:
    """Longer than it takes to look whether the port speaks TLS, which costs a connection and no more."""
    with (
        ScriptedSmtp(connect=[(lambda: time.sleep(2.5), "220 at last")]) as server,
        transport(server.port, timeout=4).connect() as connection,
    ):
        assert connection.send(compose()).verdict == "sent"
    assert server.connections == 2


def test_implicit_tls_works(tmp_path: Path) -> None:
    with ScriptedSmtp(server_context(), implicit=True) as server, encrypted(server, tmp_path, security="tls").connect() as connection:
        assert connection.send(compose()).verdict == "sent"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_has_expired_is_told_with_its_day(security: str, tmp_path: Path) -> None:
    with ScriptedSmtp(server_context(not_after=datetime(2024, 1, 2)), implicit=security == "tls") as server:
        error = untrusted(server, tmp_path, security=security)
    assert "certificate is not trusted: it expired on 2024-01-02 (it is for localhost, 127.0.0.1)" in str(error)
    assert "renew it" in str(error)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_for_other_names_is_told_with_them(security: str, tmp_path: Path) -> None:
    context = server_context("mail.corp.example", "*.smtp.corp.example")
    with ScriptedSmtp(context, implicit=security == "tls") as server:
        error = untrusted(server, tmp_path, security=security)
    assert "it is for mail.corp.example, *.smtp.corp.example, and not for localhost" in str(error) and "as host" in str(error)


def test_a_certificate_of_an_authority_nobody_knows_is_told_with_its_name(tmp_path: Path) -> None:
    with ScriptedSmtp(server_context()) as server:
        error = untrusted(server, tmp_path, ca_file=None)
    assert "issued by 'Our Authority', which this machine does not know (it is for localhost" in str(error) and "Set ca_file" in str(error)


def test_a_self_signed_certificate_is_told(tmp_path: Path) -> None:
    with ScriptedSmtp(self_signed(tmp_path)) as server:
        error = untrusted(server, tmp_path)
    assert "by itself (self-signed) (it is for localhost)" in str(error) and "Set ca_file" in str(error)


def test_no_certificate_that_is_not_trusted_is_ever_told_a_letter_or_a_password(tmp_path: Path) -> None:
    with ScriptedSmtp(self_signed(tmp_path)) as server:
        untrusted(server, tmp_path, username="u", password="p")
    assert set(server.commands) == {"EHLO", "STARTTLS"}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_server_whose_tls_is_too_old_is_told(tmp_path: Path) -> None:
    context = server_context()
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with ScriptedSmtp(context) as server:
        assert "older than 1.2" in str(untrusted(server, tmp_path))


def test_a_name_that_has_no_address_is_told() -> None:
    with (
        pytest.raises(MailServerError, match=r"no address is known for smtp\.invalid"),
        transport(25, host="smtp.invalid", allow_plaintext=True).connect(),
    ):
        pass


# How long each step may take


def test_a_server_that_needs_longer_than_the_timeout_to_answer_the_end_is_waited_for() -> None:
    with (
        ScriptedSmtp(dot=(lambda: time.sleep(2.5), "250 2.0.0 queued")) as server,
        transport(server.port, timeout=1).connect() as connection,
    ):
        assert connection.send(compose()).verdict == "sent"
    assert len(server.messages) == 1


def test_a_delivery_that_is_asked_to_end_waits_for_that_answer_no_longer_than_for_any_other() -> None:
    ended = threading.Event()
    with ScriptedSmtp(dot=HANG) as server:
        settings = SmtpSettings(host="127.0.0.1", port=server.port, security="none", timeout=1)
        with SmtpTransport(settings, AT_ONCE, ended).connect() as connection:
            threading.Timer(1.5, ended.set).start()
            start = time.monotonic()
            assert connection.send(compose()).verdict == "uncertain"
            assert 2 < time.monotonic() - start < 5


def test_the_waits_of_each_step_are_those_of_rfc_5321() -> None:
    settings = SmtpSettings(host="localhost")
    waits = SmtpTransport(settings)._timeouts
    assert (waits.answer, waits.data, waits.end) == (60, 180, 600)
    assert settings.longest_try == 12 * 60 + 180 + 600
    assert SmtpTransport(SmtpSettings(host="localhost", timeout=900))._timeouts == (900, 900, 900)


def test_offers_are_read_again_once_encrypted(tmp_path: Path) -> None:
    """What was offered in the clear may be an attacker's."""
    with ScriptedSmtp(server_context(), ehlo=["250-x\r\n250-PIPELINING\r\n250 STARTTLS", "250-x\r\n250 SIZE"]) as server:
        with encrypted(server, tmp_path).connect() as connection:
            assert connection.at_once == 1
