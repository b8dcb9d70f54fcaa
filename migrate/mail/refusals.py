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
_WORDS: Final = 2_000
"""Characters of an answer whose words are looked at. An answer may have a megabyte, and the patterns take longer for each of them."""
_NO_MATTER_WHAT: Final = _NO_SUCH_ADDRESS - {"2.1"}
"""Statuses that words about limits and hosts do not change. Gmail says 4.2.1 of its relay's limit too."""
_OF_THEIRS: Final = re.compile(
    r"\breceiv(?:e|ing)\b|(?<!your )\bmailbox\b|\btrying to contact\b|\brecipient has exceeded\b|\bsize\b", re.IGNORECASE
)
"""A limit of the recipient's, or of one letter's size, and not of what we send."""
_TOO_MUCH: Final = re.compile(
    r"Submission\S*QuotaExceeded|throttl|"
    r"\b(?:sending|submission|relay|outbound|outmail|sender|hourly|daily|weekly|monthly)(?:\W+\w+){0,4}?\W+(?:limits?|quota|rate|allowance)\b|"
    r"\brate[ -]?limit|\brate (?:is )?(?:exceeded|overlimit|too high)|\bcredits exceeded|\bunusual (?:rate|sending)|"
    r"\b(?:e-?mails?|messages?|mails?|recipients|failures)\W+(?:\w+\W+)?(?:per|an?|this|today)\W+(?:second|minute|hour|day|month)\b|"
    r"\btoo much mail from|\btoo many (?:messages|e-?mails|mails|recipients today|[\w ]+ from)\b|"
    r"\byou(?:'ve| have)? (?:exceeded|reached)\b",
    re.IGNORECASE,
)
"""Words about a limit on what *we* send, for servers that use a code for something else or none."""
_MAIL_QUOTA: Final = re.compile(r"\b(?:message|mail|e-?mail)s? (?:count |rate )?(?:limits?|quota)\b", re.IGNORECASE)
"""A quota on what we send or, with a code for storage, of a mailbox."""
_STORAGE: Final = (452, 552)
_TOO_QUICKLY: Final = re.compile(r"\breceiving mail\b", re.IGNORECASE)
"""Gmail says 5.2.1 of a mailbox that gets too much at the moment, and that is not dead."""
_QUOTA: Final = "2.0"
"""Exchange Online's status for a quota on what we send, and for other things."""
_TOO_MANY_CONNECTIONS: Final = re.compile(
    r"\b(?:concurrent|simultaneous|too many|maximum|inbound) (?:\w+ )?connections?\b|\b(?:connection|thread)s? limit", re.IGNORECASE
)
_CLIENT_WORDS: Final = re.compile(
    r"\b(?:client host|helo command)\b[^;:]* (?:rejected|blocked)|\b(?:invalid|bad) helo\b|\bhost network\b|"
    r"\brelay(?:ing)? (?:access )?(?:is )?(?:denied|not (?:permitted|allowed))|\brcpthosts\b|\bfor relay\b|"
    r"(?<!rejected: address )\b(?:black|block)[ -]?list|\b(?:dnsbl|rbl|spamhaus|spamcop)\b|\breputation\b|"
    r"\b(?:SPF|DKIM|DMARC)\b|\banti-?spoofing\b|"
    r"\b(?:sending|outbounds?) (?:is |has been )?(?:paused|suspended|disabled)|\bnot authori[sz]ed to perform\b|"
    r"\byour (?:account|domain|ip(?: address)?|host)\b[^.;]* (?:suspended|disabled|blocked|locked|banned)|"
    r"\bauthentication (?:is )?required|\bfailed to authenticate",
    re.IGNORECASE,
)
"""Words about us, with any code: our host's address or name is on a blocklist or unknown, it may not relay, our account may not send, or
our domain's records are wrong. Amazon SES says "Message rejected: Address blacklisted" of a recipient."""
_ITS_ADDRESS: Final = re.compile(
    r"\b(?:no such|unknown|invalid|non-?existent) (?:local )?(?:user|recipient|mailbox|address|account|person)|\bunrouteable address|"
    r"(?<!your )\b(?:user|recipient|mailbox|address|account|domain)(?: <?…>?)?:? (?:is |was |has been |may )?"
    r"(?:unknown|not (?:found|known|exist)|disabled|inactive|deactivated|does(?: not|n't) exist)|…>?:? unknown\b|"
    r"\b(?:user|recipient|mailbox|address) \S+ (?:is |was )?(?:unknown|not found|does(?: not|n't) exist)|\A(?:#\S+ )?address rejected\b|"
    r"\bno (?:mailbox|account|user) (?:here )?by that name|\bdoes(?: not|n't) have an? \S+ account|"
    r"\b(?:not|isn't) an? (?:valid|known|existing) (?:user|recipient|mailbox|address|account)|"
    r"\brecipient address rejected: access denied|\bmailbox (?:is )?(?:full|over)|\bover (?:its )?quota",
    re.IGNORECASE,
)
"""Answers to RCPT for an address that does not exist or is full, from servers whose status does not say so: Exim gives none, Exchange
Online 5.4.1. The recipient's address is put as `…`."""
_SENDER: Final = re.compile(
    r"\bsender (?:address |domain )?(?:is )?(?:rejected|blocked|verify|verification|denied|refused|invalid|unknown|"
    r"not (?:allowed|permitted|authori[sz]ed|verified|accepted))|"
    r"\b(?:bad|invalid|unknown|unverified|unauthori[sz]ed) (?:outbound |envelope )?(?:sender|return[- ]path)\b|"
    r"SendAsDenied|\bnot (?:allowed|permitted|authori[sz]ed) to send (?:\w+ )?(?:as|from|on behalf)\b|\bfrom address does not match\b",
    re.IGNORECASE,
)
_UNVERIFIED: Final = re.compile(r"\bnot (?:been )?verified\b|\bunverified\b|\bnot (?:allowed|permitted|authori[sz]ed)\b", re.IGNORECASE)


class Refusal(NamedTuple):
    """What a refusal is about.

    `limited`: the server wants fewer connections; the other connections may go on. `alone`: it says nothing about the server, even if many
    addresses get it. `sender`: our address, if that was refused.
    """

    about: About
    limited: bool = False
    alone: bool = False
    sender: str = ""


NOT_ASKED: Final = Refusal("letter", alone=True)
"""The refusal of a letter that the server was not offered, because it cannot take it."""
BEFORE_RCPT: Final = Refusal("server")
"""The server hung up before it accepted MAIL, so it said nothing about the letter."""


def refusal(phase: Phase, code: int, text: str, *, sender: str, to: str) -> Refusal:
    """What a refusal is about: the answer `code` with its lines `text` (without the code), to a letter from `sender` to `to`."""
    status = enhanced_status(code, text)
    what = status.partition(".")[2] if status else ""
    permanent, text = 500 <= code < 600, text[:_WORDS]
    # The recipient's own address is replaced: daily.limit@example.org says nothing about a limit.
    said = re.sub(re.escape(to), "…", text, flags=re.IGNORECASE)
    limited = code == _CLOSING or (
        not permanent and (what in _LIMIT or bool(_POLICY_BUSY.fullmatch(what)) or bool(_TOO_MANY_CONNECTIONS.search(said)))
    )
    blamed = what in _OUR_SENDER or (_SENDER.search(said) is not None and said == text)
    refused = sender if blamed or _named(sender, text, to) else ""
    if phase == "mail" or limited:
        return Refusal("server", limited=limited, sender=refused)
    # After the data, whoever refuses a letter for its words may quote our address.
    if refused and (phase != "end" or blamed or _UNVERIFIED.search(said)):
        return Refusal("server", sender=refused)
    if what in _OURS or _CLIENT.fullmatch(what) or (permanent and _POLICY.fullmatch(what)):
        return Refusal("server", sender=refused)
    of_its_address = phase == "rcpt" and _ITS_ADDRESS.search(said) is not None
    if what not in _NO_MATTER_WHAT and not of_its_address:
        of_a_mailbox = what == _FULL or (phase == "rcpt" and code in _STORAGE)
        quota = _MAIL_QUOTA.search(said) is not None or (what == _QUOTA and "quota" in said.lower())
        too_much = _TOO_MUCH.search(said) is not None or (quota and not of_a_mailbox)
        if (too_much and (refused or not _OF_THEIRS.search(said))) or _CLIENT_WORDS.search(said):
            return Refusal("server", sender=refused)
    if what in _NO_SUCH_ADDRESS and not _TOO_QUICKLY.search(said):
        return Refusal("recipient" if permanent and phase == "rcpt" else "letter", alone=True)
    return Refusal("letter", alone=what == _FULL or what in _NO_SUCH_ADDRESS or of_its_address)


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


def _named(sender: str, text: str, to: str) -> bool:
    """Whether our address stands in the text, and does not stand there as the recipient's."""
    same = sender.lower() == to.lower()
    return not same and re.search(rf"(?<![\w.+-]){re.escape(sender.lower())}(?![\w.-]*\w)", text.lower()) is not None
