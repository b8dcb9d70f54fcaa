"""Mail addresses: whether one can be mailed, and how it is written on the wire. Nothing here asks DNS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from migrate import outside
from migrate.outside import log

if TYPE_CHECKING:
    import pandas as pd

_ATOM: Final = r"[A-Za-z0-9!$%&'*+/=?^_`{|}~-]+"
"""The characters of an atom but `#`: hardly any address has one, and those that do are checked in full."""
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ORDINARY: Final = rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[A-Za-z]{{2,63}}"
"""The form of nearly every address. Of such an address only the lengths need a check."""
_ORDINARY_RE: Final = re.compile(_ORDINARY)
_LONG_LABEL: Final = r"@.*[^.@]{64}"
_LONG_LOCAL: Final = r"^[^@]{65}"
_LONG_RE: Final = re.compile(rf"{_LONG_LABEL}|{_LONG_LOCAL}")

_GUEST: Final = re.compile(r"#ext#.*@", re.IGNORECASE | re.DOTALL)
"""Entra ID's sign-in name of somebody invited from elsewhere: `name_example.org#EXT#@tenant.onmicrosoft.com`."""

LONGEST: Final = 254
"""Octets of an address, RFC 5321 §4.5.3.1.3 (a path of 256 with its angle brackets)."""


_INVITED: Final = re.compile(r"(.+)_([^_@]+)#ext#@[^@]+", re.IGNORECASE)


def invited_as(username: str) -> str | None:
    """The address at which somebody was invited from elsewhere, read from Entra ID's sign-in name for them, which they never see or type;
    None for any other name."""
    found = _INVITED.fullmatch(username)
    return f"{found[1]}@{found[2]}" if found else None


def checked(address: str) -> str:
    """The address unchanged, if it can be mailed. Raises ValueError with the reason."""
    if reason := problem(address):
        raise ValueError(f"{address!r} is no mail address: {reason}")
    return address


def problem(address: str) -> str | None:
    """Why an address cannot be mailed, in words; None if it can be. The caller reports a missing address itself."""
    if len(address) <= LONGEST and _ORDINARY_RE.fullmatch(address) and not _LONG_RE.search(address):
        return None
    return _closer_look(address)


def problems(addresses: pd.Series) -> pd.Series:
    """A text column of addresses → the reason (`problem`) where one cannot be mailed, NaN where it can or where there is none."""
    import pandas as pd

    reasons = pd.Series(pd.NA, index=addresses.index, dtype="str")
    given = addresses.dropna()
    ordinary = (
        given.str.fullmatch(_ORDINARY) & (given.str.len() <= LONGEST) & ~given.str.contains(_LONG_LABEL) & ~given.str.contains(_LONG_LOCAL)
    )
    odd = given[~ordinary]
    reasons.loc[odd.index] = odd.map({address: problem(address) for address in odd.unique()}).astype("str")
    return reasons


def _closer_look(address: str) -> str | None:
    from email_validator import EmailNotValidError, validate_email

    if not address.strip():
        return "it is empty"
    if not outside.is_one_line(address):
        return "it has a control character or a line break in it"
    if len(address.encode("utf-8", "surrogatepass")) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    if _GUEST.search(address):
        return "it is a guest's sign-in name, which no mailbox has"
    if not address.startswith('"'):
        if any(character.isspace() for character in address):
            return "it has a space in it"
        if address.count("@") > 1:
            return "it has more than one @"
    try:
        validate_email(
            address, check_deliverability=False, strict=True, test_environment=True, allow_quoted_local=True, allow_smtputf8=True
        )
    except (EmailNotValidError, UnicodeError) as error:
        return _as_reason(str(error))
    return None


def _as_reason(sentence: str) -> str:
    plain = log(sentence, 200).rstrip(".")
    return plain[:1].lower() + plain[1:]


def wire(address: str) -> str:
    """The address as a mail server is told it: an internationalised domain in its ASCII form (RFC 5891), the local part as it is.

    Raises ValueError for a domain that has no such form.
    """
    if address.isascii():
        return address
    from email_validator import validate_email

    local, _, domain = address.rpartition("@")
    # Only the receiving server knows what the local part means, so it is passed on unchanged.
    named = validate_email(f"x@{domain}", check_deliverability=False, test_environment=True)
    return f"{local}@{named.ascii_domain}"
