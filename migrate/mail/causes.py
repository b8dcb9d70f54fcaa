"""Why a mail server could not be used: one paragraph that quotes the server's last words and names the setting to change (design §11)."""

from __future__ import annotations

import re
import socket
from typing import Final, Literal

from migrate.errors import MailServerError
from migrate.mail.dialogue import HungUpError, Reply, SilentError
from migrate.mail.refusals import enhanced_status
from migrate.mail.settings import SmtpSettings
from migrate.outside import log

Step = Literal["greeting", "EHLO", "STARTTLS"]

CHECK: Final = "then type `migrate check`"
_BLOCKED: Final = re.compile(r"\b(?:block|black ?list|blocklist|spamhaus|reputation|dnsbl|rbl|denied|banned)", re.IGNORECASE)
_NAME: Final = re.compile(r"\b(?:helo|ehlo|hostname|host name|fqdn|fully[- ]qualified|invalid domain|address literal)\b", re.IGNORECASE)
_TLS_FIRST: Final = re.compile(r"starttls|encrypt|\btls\b", re.IGNORECASE)


class NotOpenedError(Exception):
    """No connection that takes letters could be opened. `again`: another try may help.

    `setting` is the key of `[mail.smtp.oauth]` to look at, if no token could be fetched.
    """

    def __init__(self, what: str, hint: str, *, again: bool = False, setting: str | None = None) -> None:
        super().__init__(what)
        self.what, self.hint, self.again, self.setting = what, hint, again, setting


def words(reply: Reply) -> str:
    """What a server said, as one line with its code."""
    return log(f"{reply.code} {log(reply.text)}").rstrip(".") if reply.code > 0 else log(reply.text)


def turned_away(step: Step, reply: Reply, settings: SmtpSettings, name: str = "") -> NotOpenedError:
    """The server refused before the sign-in."""
    text = reply.text.decode("utf-8", "replace")
    if reply.code < 0:
        return NotOpenedError(
            f"what answers there is no mail server; it said: {words(reply) or 'nothing'}.",
            f"Look at host and port (587 with security = 'starttls', 465 with 'tls'), {CHECK}.",
        )
    after = {"greeting": "as its greeting", "EHLO": f"to our EHLO {name}", "STARTTLS": "to STARTTLS"}[step]
    what = f"the mail server turned us away: it answered {words(reply)} {after}."
    again = 400 <= reply.code < 500
    if step == "EHLO" and (_NAME.search(text) or name.startswith("[") or "." not in name or again):
        mine = f"{name} is the name we greet with" if settings.helo else f"{name} is what this machine calls itself"
        hint = f"{mine}: if that is what it minds, set helo in [mail.smtp] to the full name that its address has in DNS, {CHECK}."
    elif step == "STARTTLS":
        hint = "It offers STARTTLS and does not do it: whoever runs the server must mend that, or set another port with security = 'tls'."
    elif _BLOCKED.search(text):
        hint = "Whoever runs the server must let this machine's address send; what is left stays queued."
    else:
        hint = "What is left stays queued; `migrate send` tries again."
    return NotOpenedError(what, hint, again=again)


def no_starttls() -> NotOpenedError:
    """The server offers no STARTTLS, and the settings ask for it."""
    return NotOpenedError(
        "the mail server cannot do what is asked: it offers no STARTTLS on this port.",
        "Look at port and security (587 with 'starttls', 465 with 'tls'): letters are never sent in the clear instead.",
    )


def wants_sign_in(reply: Reply, settings: SmtpSettings) -> MailServerError:
    """The server answered MAIL by asking for a sign-in, or for encryption before it."""
    where = f"[mail.smtp] {settings.host}"
    if settings.security == "none" and _TLS_FIRST.search(reply.text.decode("utf-8", "replace")):
        hint = f"Set security = 'starttls' in [mail.smtp], {CHECK}."
        return MailServerError(f"the mail server wants an encrypted connection first: {words(reply)}.", where=where, hint=hint)
    hint = (
        f'Set username and password in [mail.smtp], or sign_in = "xoauth2" with a token, {CHECK}.'
        if settings.user is None
        else f"It took the sign-in and wants another one: look whether {settings.user} may send, {CHECK}."
    )
    return MailServerError(f"the mail server wants a sign-in first: {words(reply)}.", where=where, hint=hint)


def unreachable(error: OSError, settings: SmtpSettings) -> NotOpenedError:
    """The connection could not be made, or broke."""
    if isinstance(error, socket.gaierror):
        what = f"the mail server cannot be reached: no address is known for {settings.host} ({log(str(error.strerror))})."
        return NotOpenedError(what, f"Look at host, {CHECK}; what is left stays queued.", again=True)
    if isinstance(error, TimeoutError):
        step = f" to {error.to}" if isinstance(error, SilentError) else ""
        what = f"the mail server cannot be reached: there was no answer{step} within {settings.timeout:g} seconds."
        hint = (
            f"Look at host, port and security; if it is that slow, set timeout (RFC 5321 asks for 300), {CHECK}; what is left stays queued."
        )
        return NotOpenedError(what, hint, again=True)
    if isinstance(error, HungUpError):
        return NotOpenedError(
            f"the mail server hung up: {log(str(error))}.",
            f"Look at host, port and security, {CHECK}; what is left stays queued.",
            again=True,
        )
    what = f"the mail server cannot be reached: {log(str(error)) or type(error).__name__}."
    return NotOpenedError(what, f"Look at host and port, {CHECK}; what is left stays queued.", again=True)


def status_of(reply: Reply) -> str | None:
    """The enhanced status code of an answer, if it has one."""
    return enhanced_status(reply.code, reply.text.decode("utf-8", "replace"))
