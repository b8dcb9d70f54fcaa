"""Signing in to a mail server: with a password in UTF-8 (PLAIN, LOGIN, CRAM-MD5) or with a token (XOAUTH2) (RFC 4954, design §11)."""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Iterable
from typing import Any, Final

from migrate.mail.causes import CHECK, NotOpenedError, status_of, words
from migrate.mail.dialogue import Dialogue, Reply
from migrate.mail.oauth.mail_server_token import MailServerToken
from migrate.mail.settings import SmtpSettings
from migrate.outside import log

_ACCEPTED: Final = 235
_GO_ON: Final = 334
_UNKNOWN_MECHANISM: Final = 504
_MECHANISMS: Final = ("PLAIN", "LOGIN", "CRAM-MD5")
"""Mechanisms for a password, the best first. All of them go over TLS. CRAM-MD5 is last: its servers must store passwords in the clear."""
_TOKENS: Final = ("XOAUTH2", "OAUTHBEARER")
_NO_BASIC: Final = re.compile(r"basic auth|less secure app|modern auth|oauth|security defaults|did not meet the criteria", re.IGNORECASE)
_SWITCHED_OFF: Final = re.compile(
    r"smtpclientauthentication is disabled|smtp_auth_disabled|client authentication is disabled", re.IGNORECASE
)
_EXPIRED: Final = re.compile(r"expired", re.IGNORECASE)
_USE_XOAUTH2: Final = 'set sign_in = "xoauth2" in [mail.smtp], and [mail.smtp.oauth]'


class TokenRefusedError(Exception):
    """The mail server refused a token. If it is `renewable`, the server may take a new one; otherwise `cause` is the error to report."""

    def __init__(self, token: str, cause: NotOpenedError, *, renewable: bool) -> None:
        super().__init__(cause.what)
        self.token, self.cause, self.renewable = token, cause, renewable


def sign_in(talk: Dialogue, settings: SmtpSettings, tokens: MailServerToken | None) -> None:
    """Signs in by the settings; does nothing if they name no user. Raises NotOpenedError and TokenRefusedError."""
    if tokens is not None:
        _with_token(talk, settings, tokens)
    elif settings.username is not None and settings.password is not None:
        _with_password(talk, settings, settings.username, settings.password.get_secret_value())


def _with_password(talk: Dialogue, settings: SmtpSettings, user: str, password: str) -> None:
    mechanisms = [name for name in _MECHANISMS if name in talk.mechanisms]
    if not mechanisms:
        raise _no_way_in(talk.mechanisms)
    for mechanism in mechanisms:
        reply = _answered(talk, mechanism, user, password)
        if reply.code == _ACCEPTED:
            return
        if reply.code != _UNKNOWN_MECHANISM:
            break
    raise _refused(_without(reply, (password, _encoded(password), _plain(user, password))), settings)


def _answered(talk: Dialogue, mechanism: str, user: str, password: str) -> Reply:
    """The server's last answer: to the sign-in, or to the step at which it broke the sign-in off."""
    if mechanism == "PLAIN":
        reply = talk.ask(f"AUTH PLAIN {_plain(user, password)}")
        return talk.ask(_plain(user, password)) if reply.code == _GO_ON else reply
    reply = talk.ask(f"AUTH {mechanism}")
    if reply.code != _GO_ON:
        return reply
    if mechanism == "CRAM-MD5":
        try:
            challenge = _decoded(reply.text)
        except ValueError:
            return Reply(-1, b"what it sent to be signed (CRAM-MD5) is no base64")
        return talk.ask(_encoded(f"{user} {hmac.digest(password.encode(), challenge, 'md5').hex()}"))
    reply = talk.ask(_encoded(user))
    return talk.ask(_encoded(password)) if reply.code == _GO_ON else reply


def _with_token(talk: Dialogue, settings: SmtpSettings, tokens: MailServerToken) -> None:
    if "XOAUTH2" not in talk.mechanisms:
        raise _no_way_in(talk.mechanisms, token=True)
    token, fresh = tokens.current()
    response = _encoded(f"user={settings.user}\x01auth=Bearer {token}\x01\x01")
    reply, reason = talk.ask(f"AUTH XOAUTH2 {response}"), ""
    if reply.code == _GO_ON:
        # The server sends its refusal as JSON first. The answer comes after we acknowledge that with an empty line.
        reason = _told(reply.text)
        try:
            reply = talk.ask("")
        except OSError:
            reply = Reply(535, b"(it hung up without another word)")
    if reply.code == _ACCEPTED:
        return
    reply = _without(reply, (token, response))
    if 400 <= reply.code < 500:
        raise _refused(reply, settings)
    expired = _EXPIRED.search(f"{reply.text.decode('utf-8', 'replace')} {reason}") is not None or "status 401" in reason
    raise TokenRefusedError(token, _token_refused(reply, reason.replace(token, "…"), settings), renewable=expired or not fresh)


def _no_way_in(offered: tuple[str, ...], *, token: bool = False) -> NotOpenedError:
    """The server offers no mechanism that the settings can serve."""
    if not offered:
        hint = "Look at port and security (587 with 'starttls', 465 with 'tls'); if nobody is to sign in, take username and password away"
        return NotOpenedError("the mail server offers no way to sign in on this port.", f"{hint}, {CHECK}.")
    listed = log(", ".join(offered))
    if token:
        what = f"the mail server takes no token of XOAUTH2: it offers {listed}."
        return NotOpenedError(what, f'Set sign_in = "password" with username and password in [mail.smtp], or name another host, {CHECK}.')
    what = f"the mail server takes no password: it offers {listed} only."
    if any(name in _TOKENS for name in offered):
        return NotOpenedError(what, f"It wants a token: {_USE_XOAUTH2}, {CHECK}.")
    return NotOpenedError(what, f"Passwords go by {', '.join(_MECHANISMS)}: whoever runs the server must offer one of them, {CHECK}.")


def _refused(reply: Reply, settings: SmtpSettings) -> NotOpenedError:
    """The server refused the sign-in: for now (4xx), or because of the settings (5xx)."""
    text = reply.text.decode("utf-8", "replace")
    what = f"the mail server does not accept the sign-in: {words(reply)}."
    if 400 <= reply.code < 500:
        return NotOpenedError(what, "It says so for now: what is left stays queued; `migrate send` tries again.", again=True)
    if _SWITCHED_OFF.search(text):
        command = "Set-CASMailbox -SmtpClientAuthenticationDisabled $false"
        hint = f"SMTP sign-in is switched off: an administrator must enable it for {settings.user} ({command})"
        return NotOpenedError(what, f"{hint}, {CHECK}.")
    if settings.sign_in == "password" and (status_of(reply) == "5.7.30" or _NO_BASIC.search(text)):
        return NotOpenedError(what, f"It no longer takes passwords: {_USE_XOAUTH2}, {CHECK}.")
    return NotOpenedError(what, f"Look at username and password, {CHECK}.")


def _token_refused(reply: Reply, reason: str, settings: SmtpSettings) -> NotOpenedError:
    assert settings.oauth is not None  # there was a token
    said = f"{reason}; {words(reply)}" if reason else words(reply)
    what = f"the mail server does not accept the token for {settings.user}: {said}."
    text = reply.text.decode("utf-8", "replace")
    if _SWITCHED_OFF.search(text):
        return _refused(reply, settings)
    if settings.oauth.provider == "google":
        hint = (
            "Let an administrator delegate https://mail.google.com/ to the service account (Admin console, API controls), and let username"
            " and subject be the same mailbox"
        )
    else:
        hint = (
            "Give the application SMTP.SendAsApp with consent; in Exchange Online make its service principal, with the object id of the"
            f" enterprise application, and let it use {settings.user} (Add-MailboxPermission); that takes up to two hours"
        )
    return NotOpenedError(what, f"{hint}. Then type `migrate check`.")


def _told(text: bytes) -> str:
    """The JSON with which a server refuses a token, as a sentence."""
    try:
        told: Any = json.loads(_decoded(text))
    except (ValueError, RecursionError):
        return log(text)
    if not isinstance(told, dict):
        return log(text)
    named = {"status": "status {}", "error": "{}", "error_description": "{}", "scope": "it wants the scope {}", "schemes": "by {}"}
    return log(", ".join(form.format(told[key]) for key, form in named.items() if told.get(key)))


def _without(reply: Reply, secrets: Iterable[str]) -> Reply:
    """The answer without the secrets: a server may repeat what was sent to it."""
    text = reply.text
    for secret in secrets:
        text = text.replace(secret.encode(), "…".encode()) if secret else text
    return Reply(reply.code, text)


def _plain(user: str, password: str) -> str:
    return _encoded(f"\0{user}\0{password}")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(text: bytes) -> bytes:
    """Raises ValueError if it is no base64."""
    return base64.b64decode(text.split()[0] if text.split() else b"", validate=True)
