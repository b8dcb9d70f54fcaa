"""The layout of a message, as text with marks in it: the same lines that `migrate.mail.letter.assemble` has EmailMessage write."""

from __future__ import annotations

import binascii
from collections.abc import Sequence

from migrate.outside import HeaderText


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


def as_it_is_part(subtype: str, lines: Sequence[str]) -> str:
    """A part whose lines travel as they are."""
    return _part(subtype, "us-ascii", "7bit", lines)


def quoted_part(subtype: str, lines: Sequence[str]) -> str:
    """A part of lines that are quoted-printable."""
    return _part(subtype, "utf-8", "quoted-printable", lines)


def _part(subtype: str, charset: str, encoding: str, lines: Sequence[str]) -> str:
    return "\r\n".join([f'Content-Type: text/{subtype}; charset="{charset}"', f"Content-Transfer-Encoding: {encoding}", "", *lines])


def quoted_lines(lines: str) -> str:
    """Lines that each end in LF → the same lines in quoted-printable, joined by CRLF."""
    return binascii.b2a_qp(lines.encode(), istext=True).decode("ascii")[:-1].replace("\n", "\r\n")
