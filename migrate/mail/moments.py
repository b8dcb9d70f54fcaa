"""Instants in words: weekday, date, time and zone, in the formats of the reader's region."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from babel import Locale
from babel.dates import format_date, format_time, get_timezone_name

from migrate.core.campaign import CampaignSettings
from migrate.mail.languages import ENGLISH, Catalogue, Wording, wording

_ENGLISH: Final = Catalogue(ENGLISH)


@lru_cache(maxsize=1024)
def formats_of(language_tag: str | None) -> Wording:
    """English words with the formats of a BCP 47 tag's region, or international formats if the tag has no region."""
    return wording(_ENGLISH, language_tag)


def zone_text(local: datetime, formats: Locale) -> str:
    """The zone of a local time, with its offset: 'Pacific Standard Time, UTC-08:00'."""
    offset = local.utcoffset() or timedelta()
    if not offset and getattr(local.tzinfo, "key", "UTC") in ("UTC", "Etc/UTC"):
        return "UTC"
    name = get_timezone_name(local, locale=formats)
    if name.startswith("GMT") and local.tzinfo is not None:
        name = get_timezone_name(local.tzinfo, locale=formats)
    return f"{name}, {_distance(offset)}"


def _distance(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


@lru_cache(maxsize=4096)
def moment_text(at: datetime, campaign: CampaignSettings, words: Wording) -> str:
    """An instant in the campaign's zone: 'Thursday, 1 February 2024, 17:00 (Pacific Standard Time, UTC-08:00)'."""
    local, formats = at.astimezone(campaign.zone), words.formats
    said = {"day": format_date(local, "full", locale=formats), "time": _clock(local, formats), "zone": zone_text(local, formats)}
    return words.catalogue.gettext("%(day)s, %(time)s (%(zone)s)") % said


def _clock(local: datetime, formats: Locale) -> str:
    return format_time(local, "short", locale=formats).replace("\u202f", " ")


@dataclass(frozen=True, slots=True)
class LastMoment:
    """The last moment at which a retired method works, in the words of a letter.

    `until` goes after the word "until" and names weekday, date, time and zone; `on` goes after "text message codes end" and is short
    enough for a subject; `day` is the last usable day alone.
    """

    day: str
    on: str
    until: str


@lru_cache(maxsize=1024)
def last_moment(cutoff: datetime, campaign: CampaignSettings, words: Wording) -> LastMoment:
    """The words for a cutoff (UTC instant). If the cutoff is at the first moment of a day, the last usable moment is the end of the day
    before.

    The first moment of a day is 00:00, or later where the clock skips midnight. If a day has two midnights, it is the first one.
    """
    local, _ = cutoff.astimezone(campaign.zone), words.catalogue.gettext
    at_midnight = campaign.instant(local.date()) == cutoff
    last = (cutoff - timedelta(seconds=1)).astimezone(campaign.zone) if at_midnight else local
    date, full = (format_date(last, length, locale=words.formats) for length in ("long", "full"))
    if not at_midnight:
        return LastMoment(day=full, on=_("on %(date)s") % {"date": date}, until=moment_text(cutoff, campaign, words))
    until = _("the end of %(day)s (%(zone)s)") % {"day": full, "zone": zone_text(last, words.formats)}
    return LastMoment(day=full, on=_("after %(date)s") % {"date": date}, until=until)


def is_last_day(cutoff: datetime, campaign: CampaignSettings, now: datetime) -> bool:
    """Whether `now` is on the calendar day, in the campaign's zone, of the last usable moment."""
    last = (cutoff - timedelta(microseconds=1)).astimezone(UTC)
    return now < cutoff and campaign.today(last) == campaign.today(now)
