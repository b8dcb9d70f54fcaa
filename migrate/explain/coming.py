"""Which stage reaches an account next if nothing changes, by the rules of a run's plan (design §7). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import pandas as pd
import sqlalchemy as sa

from migrate.config import Config
from migrate.core.kinds import GAP
from migrate.core.plan import in_the_way
from migrate.core.schedule import stages
from migrate.core.standing import OUT_OF_SCOPE, PolicySettings
from migrate.explain.remembered import InForce, Notice

_UNMAILABLE: Final = ("no_address", "bad_address", "domain_not_allowed", "bounced", "unrenderable")


@dataclass(frozen=True, slots=True)
class Next:
    """The stage that reaches the account next, and the first day on which it can be sent."""

    stage: str
    on: date


def coming(
    row: sa.RowMapping, exempt: InForce | None, paused: InForce | None, notices: tuple[Notice, ...], config: Config, now: datetime
) -> tuple[Next | None, str]:
    """The stage that reaches the account next if nothing changes; and in words why none does, or what may be in its way."""
    if reason := _never(row, exempt, config.policy, after_cutoff=now >= config.campaign.cutoff_at):
        return None, reason
    campaign, planned = config.campaign, stages(config.campaign, config.schedule)
    mine = [each for each in notices if each.tenure == row["tenure"]]
    earliest = _earliest(mine, paused, config, campaign.today(now))
    hours = config.schedule.hours(campaign.zone)
    for number, stage in enumerate(planned):
        later = planned[number + 1] if number + 1 < len(planned) else None
        ready = max(campaign.instant(max(stage.on, earliest)), stage.begins, now)
        goes = hours.next_open(ready) if hours.waits(ready, stage.ends) else ready
        missed = (later is not None and later.begins <= goes) or (stage.ends is not None and stage.ends <= ready)
        if not missed and not any(_told(mine, newer.name, row["email"], config) for newer in planned[number:]):
            held = f"At the last run it could not be mailed: {row['outcome']}." if row["outcome"] in _UNMAILABLE else ""
            waits = f"Mail is paused until {paused.until} ({paused.owner}: {paused.reason})." if paused else ""
            return Next(stage.name, campaign.today(goes)), " ".join(filter(None, (held, waits)))
    return None, "No stage of the schedule is left for it."


def _never(row: sa.RowMapping, exempt: InForce | None, policy: PolicySettings, *, after_cutoff: bool) -> str | None:
    """Why the account is not reminded at all, or None if it is (design §7)."""
    standing = row["standing"]
    if row["gone_at"] is not None:
        return "It is gone from the directory."
    if exempt is not None:
        return f"It is exempt until {exempt.until}."
    if standing == "exempt":
        return f"Its exemption ended on {row['exempt_until']}; the next run assesses it anew."
    carried_over = after_cutoff and row["reminded"] and not row["compliant"] and standing not in OUT_OF_SCOPE
    if standing not in policy.remind and not carried_over:
        return f"Accounts with the standing {standing} are not reminded."
    if row["destination"] == "no" and not policy.remind_without_destination:
        return "The directory lets it register none of the accepted methods, so it cannot do what a reminder asks."
    return None


def _earliest(mine: Sequence[Notice], paused: InForce | None, config: Config, today: date) -> date:
    """The first day on which a reminder may go: not before today, after the gap since the last one and after a pause."""
    days = [today]
    days += [
        config.campaign.today(each.changed_at) + timedelta(days=config.schedule.min_gap_days)
        for each in mine
        if each.kind in GAP and each.state in ("sent", "uncertain")
    ]
    days += [paused.until + timedelta(days=1)] if paused else []
    return max(days)


def _told(mine: Sequence[Notice], stage: str, email: str | None, config: Config) -> bool:
    """True if a letter of the stage stands in its way."""
    cutoff = config.campaign.cutoff_at
    of_stage = [
        (each.state, each.reason, each.to.lower() == (email or "").lower())
        for each in mine
        if each.occasion == stage and each.told_cutoff and datetime.fromisoformat(each.told_cutoff) == cutoff
    ]
    letters = pd.DataFrame(of_stage, columns=["state", "reason", "same_address"])
    return bool(in_the_way(letters["state"], letters["reason"], letters["same_address"].astype(bool)).any())
