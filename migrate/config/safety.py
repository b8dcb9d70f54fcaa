"""The limits beyond which a run stops and asks a person (`[safety]`, design §12)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from migrate.mail.addresses import checked, wire
from migrate.settings import Settings

Share = Annotated[float, Field(ge=0, le=1)]

_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


def _domain(value: object) -> object:
    """A domain in lower-case ASCII (IDNA), the form in which domains are compared."""
    if not isinstance(value, str):
        return value
    try:
        ascii_form = value.strip().removeprefix("@").encode("idna").decode("ascii").lower()
    except UnicodeError:
        ascii_form = ""
    if not _DOMAIN.fullmatch(ascii_form):
        raise ValueError(f"{value!r} is no mail domain; write it as in 'example.com'")
    return ascii_form


class SafetySettings(Settings):
    """`[safety]`. Shares go from 0 to 1.

    `max_shrink`, `max_changes`: shares of the known accounts; they apply only if more than `guard_floor` accounts are concerned.
    `max_rejected`: a read is refused if more than this share of its rows, and more than `guard_floor` rows, are no accounts.
    `plan_hours`: how long a dry run can be approved.
    `stale_hours`: no reminders are sent if the directory was last read this long ago.
    `allowed_domains`: lower-case ASCII; empty means that every domain may be mailed.
    `redirect_to`: every mail goes to this address, and the run is a rehearsal (`migrate.config.rehearsal`).
    """

    max_messages: int = Field(500, ge=0)
    max_shrink: Share = 0.10
    max_changes: Share = 0.20
    max_rejected: Share = 0.05
    guard_floor: int = Field(20, ge=0)
    plan_hours: int = Field(72, ge=1, le=24 * 366)
    allowed_domains: tuple[Annotated[str, BeforeValidator(_domain)], ...] = ()
    stale_hours: int = Field(36, ge=1, le=876_000)
    allow_time_travel: bool = False
    redirect_to: Annotated[str, AfterValidator(checked)] | None = None

    @model_validator(mode="after")
    def _redirects_where_mail_may_go(self) -> SafetySettings:
        domain = wire(self.redirect_to).rpartition("@")[2].lower() if self.redirect_to else None
        if domain and self.allowed_domains and domain not in self.allowed_domains:
            raise ValueError(f"redirect_to is an address at {domain}, which allowed_domains does not have; add it there")
        return self
