"""When people hear from us: the stages of a campaign and the one that counts now (`[schedule]`, design §7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from migrate.campaign import CampaignSettings
from migrate.settings import Settings

ReminderKind = Literal["announcement", "reminder", "final_reminder", "cutoff_passed"]


def _distinct(days: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(days)) != len(days):
        raise ValueError("names a day twice")
    return days


class ScheduleSettings(Settings):
    """`[schedule]`. Days are whole calendar days before or after the cutoff day."""

    days_before: Annotated[tuple[Annotated[int, Field(ge=1, le=3650)], ...], AfterValidator(_distinct)] = (60, 30, 14, 7, 3, 1)
    final_days: int = Field(3, ge=0)
    days_after: Annotated[tuple[Annotated[int, Field(ge=0, le=3650)], ...], AfterValidator(_distinct)] = (0, 14)
    min_gap_days: int = Field(1, ge=0)


@dataclass(frozen=True, slots=True)
class Stage:
    """One point of the schedule.

    `name` is `opens`, `T-N` or `T+N`; `on` its calendar day in the campaign's zone; `begins` the UTC instant from which it is due;
    `ends` the instant from which it is due no more (the cutoff, for what comes before it), or None.
    """

    name: str
    kind: ReminderKind
    on: date
    begins: datetime
    ends: datetime | None


def stages(campaign: CampaignSettings, schedule: ScheduleSettings) -> tuple[Stage, ...]:
    """The stages that exist, oldest first.

    A stage dated before the opening does not exist, and neither does one on the opening day itself, where `opens` wins.
    """
    cutoff, cutoff_at = campaign.cutoff_date, campaign.cutoff_at
    found = [Stage("opens", "announcement", campaign.opens, campaign.instant(campaign.opens), cutoff_at)]
    for days in schedule.days_before:
        on = cutoff - timedelta(days=days)
        kind: ReminderKind = "final_reminder" if days <= schedule.final_days else "reminder"
        found.append(Stage(f"T-{days}", kind, on, campaign.instant(on), cutoff_at))
    for days in schedule.days_after:
        on = cutoff + timedelta(days=days)
        found.append(Stage(f"T+{days}", "cutoff_passed", on, max(campaign.instant(on), cutoff_at), None))
    exist = [stage for stage in found if stage.name == "opens" or stage.on > campaign.opens]
    return tuple(sorted(exist, key=lambda stage: stage.begins))


def due(of: tuple[Stage, ...], now: datetime) -> Stage | None:
    """The newest stage that has begun, unless it has ended; None before the opening, and between the cutoff and the first stage after it.

    Older stages are never sent late: a missed run is made up by the newest stage alone.
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
    """The stages that come so soon after the one before them that the minimum gap would hold them back on their day."""
    return tuple(later for earlier, later in pairwise(of) if (later.on - earlier.on).days < min_gap_days)
