"""A letter, and its message as it goes on the wire (design §10, RFC 5322)."""

from __future__ import annotations

import binascii
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage, MIMEPart
from email.policy import EmailPolicy
from email.utils import format_datetime
from functools import cached_property, lru_cache
from typing import Final, Protocol

from migrate.mail.headers import encode_subject
from migrate.outside import HeaderText

LONGEST_LINE: Final = 998
"""Octets of a line without its CRLF, RFC 5322 §2.1.1."""
_KEEPS_GIL: Final = 2047
"""Octets that hashlib hashes without releasing Python's global interpreter lock."""


class Content(Protocol):
    """What a letter says: what people read, and the message with CRLF line ends."""

    @property
    def subject(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def html(self) -> str: ...
    @property
    def message(self) -> bytes: ...


@dataclass(frozen=True)
class Letter:
    """A composed letter. `to` and `envelope_from` are the addresses of the envelope.

    `needs_smtputf8` is true if the local part of `to` is not ASCII. A server takes such an address only with SMTPUTF8 (RFC 6531).
    """

    to: str
    envelope_from: str
    content: Content
    language: str
    reference: str
    needs_smtputf8: bool

    @property
    def subject(self) -> str:
        return self.content.subject

    @property
    def text(self) -> str:
        return self.content.text

    @property
    def html(self) -> str:
        return self.content.html

    @property
    def message(self) -> bytes:
        return self.content.message

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the message, in hexadecimal digits."""
        found, message = hashlib.sha256(), self.message
        # For more octets at once hashlib gives up the GIL, and to get it back takes as long as hashing.
        for start in range(0, len(message), _KEEPS_GIL):
            found.update(message[start : start + _KEEPS_GIL])
        return found.hexdigest()


def message_id(*parts: str, domain: str) -> str:
    """The Message-ID of a letter. It depends on `parts` alone, the notice's key and the address, so that a second delivery has the same."""
    key = "\0".join(part.replace("\\", "\\\\").replace("\0", "\\0") for part in parts)
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


class _AsWritten(EmailPolicy):
    """Writes headers unchanged: `migrate.mail.headers` has encoded and folded them."""

    def header_store_parse(self, name: str, value: str) -> tuple[str, str]:
        return name, value

    def header_fetch_parse(self, name: str, value: str) -> str:  # noqa: ARG002 - EmailMessage calls it so
        return value


_POLICY: Final = _AsWritten(linesep="\r\n", refold_source="none", utf8=True, max_line_length=None)


def assemble(headers: dict[str, HeaderText], *, subject: str, text: str, html: str, message_id: str, date: datetime) -> bytes:
    """The whole message. `headers` are encoded and folded (with CRLF); they come first, in their order.

    All of it is ASCII but the To header of an address whose local part is not (RFC 6532).
    """
    message = EmailMessage(_POLICY)
    own = {
        "Subject": encode_subject(subject),
        "Date": date_text(date),
        "Message-ID": message_id,
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/alternative;\r\n boundary="{boundary_of(message_id)}"',
    }
    for name, value in (headers | own).items():
        message[name] = value
    message.set_payload([_part("plain", text), _part("html", html)])
    return message.as_bytes()


def _part(subtype: str, body: str) -> MIMEPart:
    """A text part: unchanged if it is ASCII in short lines, else quoted-printable (RFC 2045 §6.7)."""
    lines = body.splitlines()
    charset, encoding, sent = ("us-ascii", "7bit", lines) if as_it_is(body) else ("utf-8", "quoted-printable", quoted(lines))
    made = MIMEPart(_POLICY)
    made["Content-Type"] = f'text/{subtype}; charset="{charset}"'
    made["Content-Transfer-Encoding"] = encoding
    made.set_payload("\r\n".join(sent))
    return made


def boundary_of(message_id: str) -> str:
    """The boundary between the parts of the letter with this Message-ID. It is a digest, so no text contains it."""
    return "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32]


def date_text(date: datetime) -> str:
    """An instant in the form of the Date header."""
    return _date_text(math.floor(date.timestamp()))


@lru_cache(maxsize=64)
def _date_text(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))


def as_it_is(body: str) -> bool:
    """Whether a body can be sent unchanged: ASCII, in lines that are short enough."""
    return body.isascii() and all(len(line) <= LONGEST_LINE for line in body.splitlines())


def quoted(lines: Sequence[str]) -> list[str]:
    """Each line in quoted-printable. A line that is too long gets soft line breaks and stays one item."""
    text = binascii.b2a_qp("\n".join(lines).encode(), istext=True).decode("ascii")
    # A soft line break (=\n) becomes =\r for the moment, so that it does not split its line in two.
    return [line.replace("\r", "\r\n") for line in text.replace("=\n", "=\r").split("\n")]
