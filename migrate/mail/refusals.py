"""What a mail server's refusal is about: the recipient, the server or us, or the letter (design §11).

Only this module decides it, by the command that was refused and by the enhanced status code (RFC 3463), which is read only directly after
the reply code, where RFC 2034 puts it. `docs/refusals.md` has the table. Bounces, further tries and the circuit breaker follow from it.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

About = Literal["recipient", "server", "letter"]
Phase = Literal["mail", "rcpt", "data", "end"]
"""The command that was refused; `end` is the end of the data. Everything before RCPT is `mail`."""

_STATUS: Final = re.compile(r"([245])\.(\d{1,3}\.\d{1,3})(?=\s|$)")
_NO_SUCH_ADDRESS: Final = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10", "2.1"})
"""No such mailbox, host or syntax, moved, null MX (RFC 7505), mailbox disabled. A 5xx with one of these in answer to RCPT is final."""
_FULL: Final = "2.2"
_OURS: Final = frozenset({"1.0", "1.7", "1.8", "3.1", "3.2", "3.5", "4.5"})
"""The sender's address or domain is refused, or the mail system is full, closed, misconfigured or congested."""
_OUR_SENDER: Final = frozenset({"1.7", "1.8"})
_POLICY: Final = re.compile(r"7\.\d+")
_CLIENT: Final = re.compile(r"7\.2\d")
"""RFC 7372 and RFC 7489: SPF, DKIM, DMARC or reverse DNS fail for us; permanent (5xx) or for now (4xx)."""
_POLICY_BUSY: Final = re.compile(r"7\.(?:0|[5-9]\d\d)")
"""With a 4xx these slow a sender down: 4.7.0, and Exchange Online's 4.7.500 and above. Other 4.7 codes (4.7.1: greylisting) delay one
letter."""
_LIMIT: Final = frozenset({"3.2", "4.5"})
_CLOSING: Final = 421
_TOO_MUCH: Final = re.compile(
    r"SubmissionQuotaExceeded|sending (?:limit|quota|rate)|submission (?:limit|quota|rate)|relay limit|daily message quota|"
    r"throttling failure|sender rate|too much mail from|too many (?:messages|recipients|connections) from",
    re.IGNORECASE,
)
"""Words about a limit on what *we* send, for servers that use a code for something else or none."""
_CLIENT_WORDS: Final = re.compile(
    r"\b(?:client host|helo command) (?:rejected|blocked)|\brelay(?:ing)? (?:access )?(?:is )?(?:denied|not (?:permitted|allowed))|"
    r"\b(?:black|block)[ -]?list",
    re.IGNORECASE,
)
"""Words about our host, with any code: its address or name is on a blocklist or unknown, or it may not relay."""
_UNKNOWN: Final = re.compile(
    r"(?:no such|unknown|invalid) (?:user|recipient|mailbox|address)|unrouteable address|"
    r"(?:user|recipient|mailbox|address) (?:is )?(?:unknown|not found|does not exist)|recipient address rejected: access denied",
    re.IGNORECASE,
)
"""Answers to RCPT for an address that does not exist, from servers whose status does not say so: Exim gives none, Exchange Online 5.4.1."""
_SENDER: Final = re.compile(
    r"\bsender (?:address )?(?:rejected|blocked|verify|verification|denied|refused)|\bbad (?:outbound )?sender\b", re.IGNORECASE
)


class Refusal(NamedTuple):
    """What a refusal is about.

    `limited`: the server wants fewer connections; the other connections may go on. `alone`: it says nothing about the server, even if many
    addresses get it. `sender`: our address, if that was refused.
    """

    about: About
    limited: bool = False
    alone: bool = False
    sender: str = ""


OURS_ALONE: Final = Refusal("letter", alone=True)
"""A letter that this server cannot take, so that it was not asked."""
BEFORE_RCPT: Final = Refusal("server")


def refusal(phase: Phase, code: int, text: str, *, sender: str, to: str) -> Refusal:
    """What a refusal is about: the answer `code` with its lines `text` (without the code), to a letter from `sender` to `to`."""
    status = enhanced_status(code, text)
    what = status.partition(".")[2] if status else ""
    permanent = 500 <= code < 600
    limited = code == _CLOSING or (not permanent and (what in _LIMIT or bool(_POLICY_BUSY.fullmatch(what))))
    refused = sender if _names_sender(text, what, sender, to) else ""
    if phase == "mail":
        return Refusal("server", limited=limited, sender=refused)
    if limited or (refused and phase != "end"):
        return Refusal("server", limited=limited, sender=refused)
    if what in _OURS or _CLIENT.fullmatch(what) or (permanent and _POLICY.fullmatch(what)):
        return Refusal("server", sender=refused)
    if _TOO_MUCH.search(text) or (what not in _NO_SUCH_ADDRESS and _CLIENT_WORDS.search(text)):
        return Refusal("server", sender=refused)
    if what in _NO_SUCH_ADDRESS:
        return Refusal("recipient" if permanent and phase == "rcpt" else "letter", alone=True)
    unknown = phase == "rcpt" and _UNKNOWN.search(text) is not None
    return Refusal("letter", alone=what == _FULL or unknown)


def enhanced_status(code: int, text: str) -> str | None:
    """The enhanced status code of a reply, such as '5.1.1'. It stands directly after the code of a line and is of the same class; or
    None."""
    for line in text.splitlines():
        if (found := _STATUS.match(line)) and int(found[1]) == code // 100:
            return found[0]
    return None


def wording(reply: str, address: str) -> str:
    """A reply without the parts that differ from letter to letter: the address, numbers, and queue ids."""
    local, _, domain = address.lower().rpartition("@")
    words = reply.lower()
    for own in (address.lower(), domain, local):
        words = re.sub(rf"(?<!\w){re.escape(own)}(?!\w)", "…", words) if own else words
    return " ".join("…" if any(c.isdigit() for c in word) else word for word in words.split())


def _names_sender(text: str, what: str, sender: str, to: str) -> bool:
    if what in _OUR_SENDER or (_SENDER.search(text) and to.lower() not in text.lower()):
        return True
    same = sender.lower() == to.lower()
    return not same and re.search(rf"(?<![\w.+-]){re.escape(sender.lower())}(?![\w.-]*\w)", text.lower()) is not None
