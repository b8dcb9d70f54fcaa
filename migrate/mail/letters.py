"""Letters: a composed message as it goes on the wire (design §10, RFC 5322).

The message is put together here rather than by `email.message.EmailMessage`: every letter has the same few headers and the same two
parts, and a run writes many. Everything written is ASCII but the To header of an address whose local part is not (RFC 6532).
"""

from __future__ import annotations

import binascii
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime
from typing import Final

LONGEST_LINE: Final = 998
"""Octets of a line without its CRLF, RFC 5322 §2.1.1."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A composed letter. `to` and `envelope_from` are what the mail server is told; `message` has CRLF line ends.

    `needs_smtputf8` is true if the address has a local part outside ASCII, which a server takes only with SMTPUTF8 (RFC 6531).
    """

    to: str
    envelope_from: str
    subject: str
    text: str
    html: str
    language: str
    reference: str
    message: bytes
    needs_smtputf8: bool


def message_id(*parts: str, domain: str) -> str:
    """The Message-ID of a letter, the same whenever it is made: `parts` are the notice's key and the address it goes to."""
    key = "\0".join(part.replace("\\", "\\\\").replace("\0", "\\0") for part in parts)
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


def assemble(headers: dict[str, str], *, subject: str, text: str, html: str, message_id: str, date: datetime) -> bytes:
    """The whole message. `headers` hold one line each and are written in their order, before those that every letter has."""
    boundary = "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32]
    lines = [f"{name}: {value}" for name, value in headers.items()]
    lines += [
        f"Subject: {encode_subject(subject)}",
        f"Date: {format_datetime(date.astimezone(UTC))}",
        f"Message-ID: {message_id}",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
        "",
        f"--{boundary}",
        *_part("plain", text),
        f"--{boundary}",
        *_part("html", html),
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode()


def encode_subject(subject: str) -> str:
    """A subject as its header's value: itself if short and ASCII, else folded and encoded (RFC 2047)."""
    if subject.isascii() and "=?" not in subject and len(subject) <= 69:
        return subject
    charset = "us-ascii" if subject.isascii() and "=?" not in subject else "utf-8"
    return Header(subject, charset, header_name="Subject").encode(linesep="\r\n")


def _part(subtype: str, body: str) -> list[str]:
    """A text part: as it is if ASCII in lines short enough, else quoted-printable (RFC 2045 §6.7)."""
    lines = body.splitlines()
    if body.isascii() and all(len(line) <= LONGEST_LINE for line in lines):
        charset, encoding = "us-ascii", "7bit"
    else:
        charset, encoding = "utf-8", "quoted-printable"
        lines = binascii.b2a_qp("\n".join(lines).encode(), istext=True).decode("ascii").split("\n")
    return [f'Content-Type: text/{subtype}; charset="{charset}"', f"Content-Transfer-Encoding: {encoding}", "", *lines]
