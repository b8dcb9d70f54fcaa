"""Letters: a composed message as it goes on the wire (design §10, RFC 5322).

The message is put together here rather than by `email.message.EmailMessage`: every letter has the same few headers and the same two
parts, and a run writes many. Everything written is ASCII but the To header of an address whose local part is not (RFC 6532).
"""

from __future__ import annotations

import binascii
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Final

from migrate.mail.headers import encode_subject
from migrate.outside import HeaderText

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


def assemble(headers: dict[str, HeaderText], *, subject: str, text: str, html: str, message_id: str, date: datetime) -> bytes:
    """The whole message. `headers` are written as they are (folded with CRLF) in their order, before those that every letter has."""
    laid_out = lay_out(
        headers,
        subject=encode_subject(subject),
        date=date_text(date),
        message_id=message_id,
        boundary=boundary_of(message_id),
        parts=(part("plain", text), part("html", html)),
    )
    return laid_out.encode()


def boundary_of(message_id: str) -> str:
    """What stands between the parts of the letter with this Message-ID, and nowhere else."""
    return "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32]


def date_text(date: datetime) -> str:
    """An instant as the Date header has it."""
    return _date_text(math.floor(date.timestamp()))


@lru_cache(maxsize=64)
def _date_text(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))


def lay_out(
    headers: dict[str, HeaderText], *, subject: HeaderText, date: str, message_id: str, boundary: str, parts: tuple[str, str]
) -> str:
    """The message around its two parts; everything is written as it is."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    lines += [
        f"Subject: {subject}",
        f"Date: {date}",
        f"Message-ID: {message_id}",
        "MIME-Version: 1.0",
        "Content-Type: multipart/alternative;",
        f' boundary="{boundary}"',
        "",
        f"--{boundary}",
        parts[0],
        f"--{boundary}",
        parts[1],
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines)


def as_it_is(body: str) -> bool:
    """Whether a body can travel as it is: ASCII in lines short enough."""
    return body.isascii() and all(len(line) <= LONGEST_LINE for line in body.splitlines())


def part(subtype: str, body: str) -> str:
    """A text part: as it is if it can be, else quoted-printable (RFC 2045 §6.7)."""
    lines = body.splitlines()
    return as_it_is_part(subtype, lines) if as_it_is(body) else quoted_part(subtype, quoted(lines))


def as_it_is_part(subtype: str, lines: Sequence[str]) -> str:
    """A part whose lines can travel as they are."""
    return _part(subtype, "us-ascii", "7bit", lines)


def quoted_part(subtype: str, lines: Sequence[str]) -> str:
    """A part of lines that were `quoted`."""
    return _part(subtype, "utf-8", "quoted-printable", lines)


def _part(subtype: str, charset: str, encoding: str, lines: Sequence[str]) -> str:
    return "\r\n".join([f'Content-Type: text/{subtype}; charset="{charset}"', f"Content-Transfer-Encoding: {encoding}", "", *lines])


def quoted(lines: Sequence[str]) -> list[str]:
    """Lines as quoted-printable has them, each for itself: one too long is broken softly, and stays one."""
    text = binascii.b2a_qp("\n".join(lines).encode(), istext=True).decode("ascii")
    return [line.replace("\r", "\r\n") for line in text.replace("=\n", "=\r").split("\n")]


def quoted_lines(lines: str) -> str:
    """The same of lines that each end in LF, joined by CRLF."""
    return binascii.b2a_qp(lines.encode(), istext=True).decode("ascii")[:-1].replace("\n", "\r\n")
