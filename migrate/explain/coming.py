"""Which stage reaches an account next if nothing changes, by the rules of a run's plan (design §7). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import pandas as pd
import sqlalchemy as sa

from migrate.config import Config
from migrate.core.already_told import in_the_way
from migrate.core.campaign import CampaignSettings
from migrate.core.kinds import GAP
from migrate.core.schedule import Stage, stages
from migrate.core.standing import OUT_OF_SCOPE, PolicySettings
from migrate.core.words import CUTOFF_MOVED, MOVED, WAITING
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
    """The stage that reaches the account next if nothing changes, and a sentence: why no stage does, or what may stop it."""
    if reason := _never(row, exempt, config.policy, after_cutoff=now >= config.waves.of_wave(row["wave"]).cutoff_at):
        return None, reason
    campaign = config.waves.of_wave(row["wave"])
    planned = stages(campaign, config.schedule)
    mine = [each for each in notices if each.tenure == row["tenure"]]
    earliest = _earliest(mine, paused, config, campaign.today(now))
    hours = config.schedule.hours(campaign.zone)
    if moved := _moved(mine, row["email"], campaign):
        on = campaign.today(hours.next_open(campaign.instant(paused.until + timedelta(days=1)) if paused else now))
        return Next(moved, on), f"It was last told another cutoff than {campaign.told_cutoff}: a correction tells it so."
    for number, stage in enumerate(planned):
        later = planned[number + 1] if number + 1 < len(planned) else None
        ready = max(campaign.instant(max(stage.on, earliest)), stage.begins, now)
        goes = hours.next_open(ready) if hours.waits(ready, stage.ends) else ready
        missed = (later is not None and later.begins <= goes) or (stage.ends is not None and stage.ends <= ready)
        if not missed and not any(_told(mine, newer, row["email"], campaign.cutoff_at) for newer in planned[number:]):
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


def _moved(mine: Sequence[Notice], email: str | None, campaign: CampaignSettings) -> str | None:
    """The occasion of the correction that is due: the last letter named another cutoff, and no correction is on its way or has arrived.
    None if no correction is due."""
    told = last_told_cutoff(mine, mine[0].tenure) if mine else None
    if told in (None, campaign.cutoff_at.replace(microsecond=0)):
        return None
    occasion = f"{MOVED}{sum(each.kind == CUTOFF_MOVED and each.state in ('sent', 'uncertain') for each in mine) + 1}"
    standing = [each for each in mine if each.occasion == occasion and each.told_cutoff == campaign.told_cutoff]
    return None if _any_stands(standing, email) else occasion


def last_told_cutoff(notices: Sequence[Notice], tenure: int) -> datetime | None:
    """The cutoff (UTC) named in the last letter that was sent to the person who has the account now; None if there was no letter, or it
    named none."""
    told = [each for each in notices if each.tenure == tenure and each.kind in GAP and each.state in ("sent", "uncertain")]
    last = max(told, key=lambda each: each.changed_at, default=None)
    return datetime.fromisoformat(last.told_cutoff) if last and last.told_cutoff else None


def _told(mine: Sequence[Notice], stage: Stage, email: str | None, cutoff: datetime) -> bool:
    """True if the stage need not be mailed any more: a letter of it, or a correction of the cutoff that was settled after the stage
    began, stands in its way."""
    says_it = [
        each
        for each in mine
        if each.told_cutoff
        and datetime.fromisoformat(each.told_cutoff) == cutoff
        and (each.occasion == stage.name or (each.kind == CUTOFF_MOVED and (each.state in WAITING or each.changed_at >= stage.begins)))
    ]
    return _any_stands(says_it, email)


def _any_stands(notices: Sequence[Notice], email: str | None) -> bool:
    rows = [(each.state, each.reason, each.to.lower() == (email or "").lower()) for each in notices]
    letters = pd.DataFrame(rows, columns=["state", "reason", "same_address"])
    return bool(in_the_way(letters["state"], letters["reason"], letters["same_address"].astype(bool)).any())
