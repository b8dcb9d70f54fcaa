"""The stages of a campaign, on which reminders are sent, and the stage that counts now (`[schedule]`, design §7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from itertools import pairwise
from typing import Annotated, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from migrate.core.campaign import CampaignSettings
from migrate.core.send_hours import WHOLE_DAY, Hours
from migrate.settings import Settings

ReminderKind = Literal["announcement", "reminder", "final_reminder", "cutoff_passed"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

WEEK: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_T = TypeVar("_T")
_SPAN: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_MEANT_AS_SPAN: Final = re.compile(r"(\d{1,2})(?:[:.h](\d\d))?\s*(?:-|–|—|to)\s*(\d{1,2})(?:[:.h](\d\d))?")


def _distinct(days: tuple[_T, ...]) -> tuple[_T, ...]:
    if len(set(days)) != len(days):
        raise ValueError("names a day twice")
    return days


def _weekday(value: object) -> object:
    """A weekday, written as its first three letters; ValueError, with the word probably meant, for anything else."""
    if not isinstance(value, str) or value in WEEK:
        return value
    word = value.strip().lower()
    meant = [day for day in WEEK if word.startswith(day)] or get_close_matches(word, WEEK, n=1, cutoff=0.6)
    raise ValueError(f"{value!r} is no weekday; " + (f"did you mean {meant[0]!r}?" if meant else f"the weekdays are {', '.join(WEEK)}"))


def _span(value: str) -> str:
    if not _SPAN.fullmatch(value):
        match = _MEANT_AS_SPAN.fullmatch(value.strip().lower())
        meant = "{:0>2}:{:0>2}-{:0>2}:{:0>2}".format(*(part or "00" for part in match.groups())) if match else None
        raise ValueError(f"{value!r} is no span of hours; " + (f"did you mean {meant!r}?" if meant else "write it as in '08:00-18:00'"))
    begins, ends = _minutes(value)
    if any(int(minute) > 59 for minute in (value[3:5], value[9:11])) or max(begins, ends) > WHOLE_DAY:
        raise ValueError(f"{value!r} names a time that no clock shows; a day goes from 00:00 to 24:00")
    if begins >= ends:
        raise ValueError(f"{value!r} ends before it has begun; the hours lie within one day, such as '08:00-18:00'")
    return value


def _minutes(span: str) -> tuple[int, int]:
    """A span of hours as minutes of the day: its first minute, and the first minute after it."""
    hour, minute, last_hour, last_minute = (int(part) for part in re.split("[:-]", span))
    return hour * 60 + minute, last_hour * 60 + last_minute


class ScheduleSettings(Settings):
    """`[schedule]`. Days are calendar days before or after the cutoff day; `send_hours` are local time in the campaign's zone."""

    days_before: Annotated[tuple[Annotated[int, Field(ge=1, le=3650)], ...], AfterValidator(_distinct)] = (60, 30, 14, 7, 3, 1)
    final_days: int = Field(3, ge=0)
    days_after: Annotated[tuple[Annotated[int, Field(ge=0, le=3650)], ...], AfterValidator(_distinct)] = (0, 14)
    min_gap_days: int = Field(1, ge=0, le=36_500)
    send_days: Annotated[tuple[Annotated[Weekday, BeforeValidator(_weekday)], ...], Field(min_length=1), AfterValidator(_distinct)] = WEEK
    send_hours: Annotated[str, AfterValidator(_span)] = "00:00-24:00"
    calls_per_100_letters: float | None = Field(None, ge=0, le=100)

    def hours(self, zone: ZoneInfo) -> Hours:
        """The hours in which letters may be sent; confirmations are not bound to them."""
        begins, ends = _minutes(self.send_hours)
        return Hours(frozenset(WEEK.index(day) for day in self.send_days), begins, ends, zone)


@dataclass(frozen=True, slots=True)
class Stage:
    """One point of the schedule.

    `name`: `opens`, `T-N` or `T+N`. `on`: its calendar day in the campaign's zone. `begins`: the UTC instant from which it is due. `ends`:
    the instant from which it is no longer due (the cutoff, for stages before it), or None.
    """

    name: str
    kind: ReminderKind
    on: date
    begins: datetime
    ends: datetime | None


def stages(campaign: CampaignSettings, schedule: ScheduleSettings) -> tuple[Stage, ...]:
    """The stages that exist, oldest first.

    A stage whose day is no send day moves: before the cutoff to the last send day before it, otherwise to the next send day. A stage on or
    before the opening day does not exist, since `opens` takes its place; nor does an opening that would have to move to the cutoff or
    later. If several stages move to one day, only the newest exists.
    """
    cutoff, cutoff_at, hours = campaign.cutoff_date, campaign.cutoff_at, schedule.hours(campaign.zone)
    opens_on = hours.on_or_after(campaign.opens)
    dated = [Stage("opens", "announcement", opens_on, campaign.instant(opens_on), cutoff_at)]
    for days in sorted(schedule.days_before, reverse=True):
        on = hours.on_or_before(cutoff - timedelta(days=days))
        kind: ReminderKind = "final_reminder" if days <= schedule.final_days else "reminder"
        dated.append(Stage(f"T-{days}", kind, on, campaign.instant(on), cutoff_at))
    for days in sorted(schedule.days_after):
        on = hours.on_or_after(cutoff + timedelta(days=days))
        dated.append(Stage(f"T+{days}", "cutoff_passed", on, max(campaign.instant(on), cutoff_at), None))
    exist = [stage for stage in dated if stage.name == "opens" or stage.kind == "cutoff_passed" or stage.on > opens_on]
    newest = {stage.begins: stage for stage in exist if stage.ends is None or stage.begins < stage.ends}
    return tuple(newest[begins] for begins in sorted(newest))


def given_way(campaign: CampaignSettings, schedule: ScheduleSettings) -> tuple[Stage, ...]:
    """The stages that do not exist because of the send days: they would have moved to the day of a newer stage, or too far."""
    exist = {stage.name for stage in stages(campaign, schedule)}
    wanted = stages(campaign, schedule.model_copy(update={"send_days": WEEK}))
    return tuple(stage for stage in wanted if stage.name not in exist)


def due(of: tuple[Stage, ...], now: datetime) -> Stage | None:
    """The newest stage that has begun and not ended; None before the opening, and between the cutoff and the first stage after it.

    Only the newest counts: after missed runs, older stages are not sent late.
    """
    now = now.astimezone(UTC)
    begun = [stage for stage in of if stage.begins <= now]
    if not begun:
        return None
    newest = begun[-1]
    return newest if newest.ends is None or now < newest.ends else None


def upcoming(of: tuple[Stage, ...], now: datetime) -> Stage | None:
    """The first stage that has not begun yet, or None after the last."""
    return next((stage for stage in of if stage.begins > now), None)


def swallowed(of: tuple[Stage, ...], min_gap_days: int) -> tuple[Stage, ...]:
    """The stages that are held back on their day because they follow the stage before them within the minimum gap."""
    return tuple(later for earlier, later in pairwise(of) if (later.on - earlier.on).days < min_gap_days)
