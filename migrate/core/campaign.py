"""The campaign: one retirement of SMS, with its dates and the texts that letters need (`[campaign]`, design §16).

Days are calendar days in the campaign's time zone; instants are UTC. The cutoff is the first moment at which a retired method no
longer works, so the last usable moment is the one just before it: for a cutoff at 00:00, the whole day before.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from migrate.settings import OneLine, Settings

_Day = TypeVar("_Day", bound=date)

AtCutoff = Literal["loses_second_step", "locked_out", "must_re_enrol"]


def toml_date(value: object) -> object:
    """The value of a TOML date; ValueError for text, and for a date with a time of day."""
    if isinstance(value, str):
        raise ValueError("is text; write the date without quotes, such as 2024-02-01")
    if isinstance(value, datetime):
        raise ValueError("has a time of day; write the date alone, such as 2024-02-01")
    return value


def toml_moment(value: object) -> object:
    """The value of a TOML date and time; a date alone is midnight. ValueError for text."""
    if isinstance(value, str):
        raise ValueError("is text; write the date without quotes, such as 2024-02-01T00:00:00")
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time())
    return value


def in_our_time(day: _Day) -> _Day:
    """The day, if its year is 1971 to 2198; ValueError for any other."""
    if not 1970 < day.year < 2199:
        raise ValueError(f"{day} lies outside the years 1971 to 2198")
    return day


def _known_zone(value: object) -> object:
    try:
        ZoneInfo(str(value))
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{value!r} is no time zone; use an IANA name such as 'Europe/Berlin' or 'UTC'") from error
    return value


_ADDRESS = re.compile(r"(?:https://)?(?P<typed>[A-Za-z0-9.-]+\.[A-Za-z]{2,}(?::\d{1,5})?(?:/[A-Za-z0-9._~/-]*)?)")


def _typed_address(value: str) -> str:
    """A web address as people type it: a host and perhaps a path, without `https://`. A query is refused: nobody types one."""
    if not (match := _ADDRESS.fullmatch(value)):
        raise ValueError("is no address that people can type; write a host and perhaps a path, such as 'login.example.com/security'")
    return match["typed"]


class CampaignSettings(Settings):
    """`[campaign]`. `guide` names the set-up steps that letters print; `steps` are the operator's own steps, printed instead. `playbook`
    names the known retirement that this campaign belongs to; settings and letters that contradict it are refused."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    organization: OneLine
    product: OneLine
    opens: Annotated[date, BeforeValidator(toml_date), AfterValidator(in_our_time)]
    cutoff: Annotated[datetime, BeforeValidator(toml_moment), AfterValidator(in_our_time)]
    timezone: Annotated[str, BeforeValidator(_known_zone)] = "UTC"
    at_cutoff: AtCutoff = "loses_second_step"
    settings_path: tuple[OneLine, ...] = Field(("Profile and Settings", "Password and Security", "2-Step Verification"), min_length=1)
    playbook: OneLine | None = None
    guide: OneLine = "authenticator-app"
    steps: tuple[OneLine, ...] = Field((), max_length=20)
    sign_in_address: Annotated[str, AfterValidator(_typed_address)] | None = None
    support_email: OneLine = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    support_phone: OneLine | None = None
    language: str = "en"

    @model_validator(mode="after")
    def _opens_before_cutoff(self) -> CampaignSettings:
        if self.opens >= self.cutoff_date:
            raise ValueError(f"opens ({self.opens}) must lie before cutoff ({self.cutoff_date})")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def cutoff_at(self) -> datetime:
        """The cutoff as a UTC instant. A cutoff without an offset is wall-clock time in the campaign's zone."""
        local = self.cutoff if self.cutoff.tzinfo else self.cutoff.replace(tzinfo=self.zone)
        return local.astimezone(UTC)

    @property
    def cutoff_date(self) -> date:
        """The calendar day of the cutoff in the campaign's zone."""
        return self.cutoff_at.astimezone(self.zone).date()

    @property
    def told_cutoff(self) -> str:
        """The cutoff as the key of a notice writes it."""
        return self.cutoff_at.strftime("%Y-%m-%dT%H:%M:%SZ")

    def days_to(self, cutoff: datetime, now: datetime) -> int:
        """Calendar days from the day of `now` to the day of a cutoff, negative after it; both are UTC instants."""
        return (self.today(cutoff) - self.today(now)).days

    def today(self, now: datetime) -> date:
        """The campaign's calendar day at a UTC instant."""
        return now.astimezone(self.zone).date()

    def days_left(self, now: datetime) -> int:
        """Calendar days from the day of `now` to the cutoff day; negative after it (design §7)."""
        return self.days_to(self.cutoff_at, now)

    def instant(self, day: date) -> datetime:
        """The UTC instant at which a calendar day begins in the campaign's zone."""
        return datetime.combine(day, time(), tzinfo=self.zone).astimezone(UTC)
