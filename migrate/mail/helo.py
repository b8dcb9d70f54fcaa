"""The name in EHLO, with which we greet a mail server (RFC 5321 §4.1.1.1): `[mail.smtp] helo`, or this machine's full name."""

from __future__ import annotations

import functools
import ipaddress
import re
import socket
from typing import Final

_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LONGEST: Final = 253
_NOBODYS: Final = (".localdomain", ".localhost")
"""Domains that name no particular machine."""


def helo_name(value: str) -> str:
    """The value unchanged, if EHLO can carry it: a domain, or an address in brackets (RFC 5321 §4.1.3). Raises ValueError otherwise."""
    if not value.isascii():
        raise ValueError(f"{value!r} has letters outside ASCII; write the name in its ASCII form, which begins with xn--")
    if not (_is_domain(value) or _is_literal(value)):
        raise ValueError(
            f"{value!r} is no name to greet with; write a host's full name, or an address such as [192.0.2.1] or [IPv6:2001:db8::1]"
        )
    return value


def machine_name() -> str | None:
    """This machine's full name; None if it knows none. /etc/hosts may have it where the host name alone is short."""
    return next((name for name in (socket.gethostname(), _looked_up()) if "." in name and _is_domain(name) and not _is_nobodys(name)), None)


def default_helo(own_address: str) -> str:
    """The name to greet with: the machine's full name, else the IP address of our end of the connection."""
    return machine_name() or (f"[IPv6:{own_address.partition('%')[0]}]" if ":" in own_address else f"[{own_address}]")


@functools.cache
def _looked_up() -> str:
    """Asks the system's resolver, once a process: it may be slow, and the name does not change."""
    return socket.getfqdn()


def _is_nobodys(name: str) -> bool:
    return name.lower().endswith(_NOBODYS)


def _is_domain(value: str) -> bool:
    labels = value.split(".")
    return len(value) <= _LONGEST and all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()


def _is_literal(value: str) -> bool:
    if not (value.startswith("[") and value.endswith("]")):
        return False
    inner = value[1:-1]
    try:
        if inner[:5].lower() == "ipv6:":
            ipaddress.IPv6Address(inner[5:])
            return "%" not in inner
        ipaddress.IPv4Address(inner)
    except ValueError:
        return False
    return True
