"""Headers that people read: whom a letter is from, and its subject (RFC 5322 §3.4, RFC 2047).

A sender is written as people write one, `Example, Inc. <security@example.com>`. The name is everything before the brackets, with comma and
colon; the quotation marks that a header needs are added here. A text that could mean something else (two addresses, a group, words after
the brackets) is refused: a wrong guess would silently drop words or an address.
"""

from __future__ import annotations

import json
import re
from email.header import Header
from typing import Final, NamedTuple

from migrate import outside
from migrate.mail.addresses import problem, wire
from migrate.outside import HeaderText

LINE: Final = 78
"""Characters that a header's line should have at most, RFC 5322 §2.1.1."""

_ENCODED_LINE: Final = 76
"""Characters of a line with an encoded word in it, which may have 75 of them, RFC 2047 §2."""
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
"""A name that needs no quotation marks."""
_BRACKETS: Final = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>")
_QUOTED: Final = re.compile(r'"(?P<name>(?:[^"\\]|\\.)*)"(?P<rest>.*)')
_ENCODED: Final = re.compile(r"=\?[^?\s]+\?[bBqQ]\?[^?\s]*\?=")
_ADDRESS: Final = re.compile(r"[^\s<>,;:()\[\]\"@]+@[^\s<>,;:()\[\]\"@]+")
"""What looks like an address in a text."""


class Mailbox(NamedTuple):
    """A person or an office that mail comes from or goes to. `name` is what people read: one line, perhaps empty."""

    name: str
    address: str


def mailbox(text: str) -> Mailbox:
    """Parses `Name <address>` or an address alone. Raises ValueError, with what to write instead, for anything else."""
    given = text.strip()
    if not outside.is_one_line(given):
        raise ValueError(f"{text!r} has a line break or a control character in it; write 'Name <address>' on one line")
    if not problem(given):
        return Mailbox("", given)
    quoted = _QUOTED.fullmatch(given)
    found = _BRACKETS.fullmatch(quoted["rest"].lstrip() if quoted else given)
    if found is None or (quoted and found["name"]):
        raise _unclear(text)
    address = found["address"].strip()
    if quoted:
        name = re.sub(r"\\(.)", r"\1", quoted["name"])
    else:
        name = found["name"]
        _unambiguous(name, address, text)
    if reason := problem(address):
        raise ValueError(f"{text!r} is no sender: {address!r} is no mail address: {reason}")
    return Mailbox(re.sub(" +", " ", name.strip(" ")), address)


def _unambiguous(name: str, address: str, text: str) -> None:
    """Raises ValueError for a name without quotation marks that may be more than a name. It may be the address once more."""
    if '"' in name:
        raise _unclear(text)
    if _ENCODED.search(name):
        raise ValueError(f"{text!r} has a name that is encoded already (=?…?=); write the name as people read it")
    if any(found.lower() != address.lower() for found in _ADDRESS.findall(name)):
        raise _several(text)


def _several(text: str) -> ValueError:
    return ValueError(
        f"{text!r} has more than one address; letters come from one: write 'Name <address>'"
        " (an address that is part of the name goes between quotation marks)"
    )


def _unclear(text: str) -> ValueError:
    """Why a text is no sender, and what was probably meant."""
    found = _ADDRESS.findall(text)
    if len(found) > 1:
        return _several(text)
    if not found:
        return ValueError(f"{text!r} is no sender; write 'Name <address>' or an address alone")
    before, _, after = text.partition(found[0])
    name = " ".join([*before.rstrip(" <").split(), *after.lstrip(" >").rstrip(" ;").split()])
    if name.startswith("(") and name.endswith(")"):
        name = name[1:-1]
    if not name:
        return ValueError(f"{text!r} is no sender; write '{found[0]}' alone")
    if '"' not in name:
        instead = f'"{name}"' if "<" in name or ">" in name else name.removesuffix(":")
        return ValueError(f"{text!r} is no sender; write {_typed(f'{instead} <{found[0]}>')}")
    without = re.sub(r'[\\"]', "", name) + f" <{found[0]}>"
    return ValueError(
        f"{text!r} has quotation marks that are not around the whole name; write {_typed(without)},"
        f" or, for a name with such marks in it, {_typed(f'{_between_marks(name)} <{found[0]}>')}"
    )


def _typed(text: str) -> str:
    """A text as it is typed into the configuration."""
    return json.dumps(text, ensure_ascii=False) if "'" in text else f"'{text}'"


def _between_marks(name: str) -> str:
    """A name as a quoted string (RFC 5322 §3.2.4)."""
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def checked_address(text: str) -> str:
    """The text unchanged, if it is an address that letters can come from. Raises ValueError, with what to write instead."""
    if reason := problem(text):
        found = _ADDRESS.findall(text)
        instead = f"; write the address alone: {found[0]!r}" if len(found) == 1 and found[0] != text else ""
        raise ValueError(f"{text!r} is no mail address: {reason}{instead}")
    if not wire(text).isascii():
        raise ValueError(f"{text!r} has letters outside ASCII before the @, which few mail servers take as a sender")
    return text


def checked_mailbox(text: str) -> str:
    """The text unchanged, if it is a `mailbox` that letters can come from. Raises ValueError, with what to write instead."""
    checked_address(mailbox(text).address)
    return text


def encode_mailbox(who: Mailbox, header: str) -> HeaderText:
    """A mailbox as the value of a header (`header` is its name), folded. The domain is in its ASCII form; the name is written unchanged if
    that is possible, else in quotation marks, else encoded (RFC 2047)."""
    address, longest = wire(who.address), LINE
    if not who.name:
        return outside.header(address)
    phrase = who.name if _ATOMS.fullmatch(who.name) else _between_marks(who.name)
    if not who.name.isascii() or "=?" in who.name or len(f"{header}: {phrase}") > LINE:
        phrase, longest = _encoded(who.name, header), _ENCODED_LINE
    *_, last = f"{header}: {phrase}".split("\r\n")
    between = " " if len(f"{last} <{address}>") <= longest else "\r\n "
    return HeaderText(f"{phrase}{between}<{address}>")


def encode_subject(subject: str) -> HeaderText:
    """A subject as its header's value: unchanged if it is short and ASCII, else folded, and encoded (RFC 2047) where it must be."""
    if subject.isascii() and "=?" not in subject:
        if len(f"Subject: {subject}") <= LINE:
            return outside.header(subject)
        folded = Header(subject, "us-ascii", header_name="Subject").encode(linesep="\r\n")
        first, *others = folded.split("\r\n")
        # Folding fails for a word that is longer than a line, and for a line of nothing but blanks.
        if len(f"Subject: {first}") <= LINE and all(len(line) <= LINE and line.strip() for line in (first, *others)):
            return HeaderText(folded)
    return HeaderText(_encoded(subject, "Subject"))


def _encoded(text: str, header: str) -> str:
    """A text as encoded words, one a line; no character is split between two of them (RFC 2047 §5)."""
    return Header(text, "utf-8", maxlinelen=_ENCODED_LINE, header_name=header).encode(linesep="\r\n")
