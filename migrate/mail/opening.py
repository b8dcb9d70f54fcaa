"""Opening a connection that takes letters: connect, greeting, EHLO, STARTTLS, sign-in (RFC 5321, 3207, 4954; design §11).

Any failure becomes a NotOpenedError with the server's last words and the setting to change. A connection is unencrypted only if `security`
is "none".
"""

from __future__ import annotations

import ssl
import threading
import time
from typing import Final

from migrate.mail.causes import NotOpenedError, no_starttls, turned_away, unreachable
from migrate.mail.dialogue import Dialogue, HungUpError, Reply, SilentError
from migrate.mail.encryption import LOOK, begins_with_tls, not_encrypted, reached, speaks_tls, tls_context
from migrate.mail.helo import default_helo
from migrate.mail.oauth.mail_server_token import MailServerToken
from migrate.mail.settings import SmtpSettings
from migrate.mail.signin import TokenRefusedError, sign_in
from migrate.mail.timeouts import Timeouts

_SILENCE: Final = {465: 1.0}
_USUAL_SILENCE: Final = 7.0
"""Seconds without a greeting after which we test whether the port speaks TLS; by port, 465 being the usual port of TLS. Some servers delay
their greeting on purpose, up to six seconds, and turn away a client that speaks before it."""
_TLS_RECORDS: Final = (b"\x15\x03", b"\x16\x03")
"""The first bytes of a TLS alert and of a handshake (RFC 8446 §5.1)."""


def opened(settings: SmtpSettings, tokens: MailServerToken | None, timeouts: Timeouts, ended: threading.Event | None = None) -> Dialogue:
    """A connection after greeting, encryption and sign-in. Raises NotOpenedError, or ConfigError for a mistake in the configuration.

    If the server refuses a token, it is renewed once.
    """
    ended = ended or threading.Event()
    try:
        return _signed_in(settings, tokens, timeouts, ended)
    except TokenRefusedError as refused:
        if tokens is None or not refused.renewable:
            raise refused.cause from refused
        tokens.renew(refused.token)
    try:
        return _signed_in(settings, tokens, timeouts, ended)
    except TokenRefusedError as refused:
        raise refused.cause from refused


def _signed_in(settings: SmtpSettings, tokens: MailServerToken | None, timeouts: Timeouts, ended: threading.Event) -> Dialogue:
    context = tls_context(settings) if settings.security != "none" else None
    try:
        talk = _encrypted(settings, context, timeouts, ended)
        try:
            sign_in(talk, settings, tokens)
        except BaseException:
            talk.close()
            raise
    except OSError as error:
        raise unreachable(error, settings) from error
    return talk


def _encrypted(settings: SmtpSettings, context: ssl.SSLContext | None, timeouts: Timeouts, ended: threading.Event) -> Dialogue:
    """A connection after EHLO, encrypted if there is a context."""
    talk = _begun(settings, timeouts, ended)
    try:
        if context is not None:
            try:
                talk.encrypt(context, _host(settings))
            except OSError as error:
                raise not_encrypted(error, settings, lambda other: _looked_at(settings, other)) from error
        if settings.security == "tls":
            _greeted(talk, settings, timeouts)
        if settings.security != "none":
            _hello(talk, settings)
    except BaseException:
        talk.close()
        raise
    return talk


def _begun(settings: SmtpSettings, timeouts: Timeouts, ended: threading.Event) -> Dialogue:
    """A connection just before its TLS handshake; without encryption, a connection after EHLO."""
    talk = Dialogue(reached(settings, timeouts.answer), timeouts, ended)
    if settings.security == "tls":
        return talk
    try:
        _greeted(talk, settings, timeouts)
        _hello(talk, settings)
        if settings.security == "starttls":
            if not talk.offers("starttls"):
                raise no_starttls()
            go_ahead = talk.ask("STARTTLS")
            if go_ahead.refuses:
                raise turned_away("STARTTLS", go_ahead, settings)
    except BaseException:
        talk.close()
        raise
    return talk


def _looked_at(settings: SmtpSettings, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Another connection, encrypted with another context, to look at the server's certificate."""
    talk = _begun(settings, Timeouts(LOOK, LOOK, LOOK), threading.Event())
    try:
        return talk.encrypt(context, _host(settings))
    except BaseException:
        talk.close()
        raise


def _greeted(talk: Dialogue, settings: SmtpSettings, timeouts: Timeouts) -> None:
    greeting = _greeting(talk, settings, timeouts)
    if greeting.refuses:
        raise begins_with_tls(settings) if greeting.text.startswith(_TLS_RECORDS) else turned_away("greeting", greeting, settings)


def _greeting(talk: Dialogue, settings: SmtpSettings, timeouts: Timeouts) -> Reply:
    """The server's greeting. A server that is silent for a while either waits for TLS, which is an error, or is slow."""
    start = time.monotonic()
    silence = min(_SILENCE.get(settings.port, _USUAL_SILENCE), timeouts.answer / 2)
    try:
        return talk.greeting(timeouts.answer if settings.security == "tls" else silence)
    except HungUpError:
        waited = time.monotonic() - start > silence / 2
        if settings.security != "tls" and waited and speaks_tls(settings):
            raise begins_with_tls(settings) from None
        raise
    except TimeoutError:
        if settings.security == "tls":
            raise
    if speaks_tls(settings):
        raise begins_with_tls(settings)
    try:
        return talk.greeting(max(silence, timeouts.answer - (time.monotonic() - start)))
    except TimeoutError as error:
        raise SilentError("our call (there is no greeting)") from error


def _hello(talk: Dialogue, settings: SmtpSettings) -> None:
    name = settings.helo or default_helo(talk.own_address)
    reply = talk.hello(name)
    if reply.refuses:
        raise turned_away("EHLO", reply, settings, name)


def _host(settings: SmtpSettings) -> str:
    return settings.host.strip("[]")


__all__ = ["NotOpenedError", "opened"]
