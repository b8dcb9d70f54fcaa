"""The waves of a campaign at a glance: how many accounts, until when, and the letters that are still to come, by day (design §7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from math import ceil
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from migrate.config import Config
from migrate.core.schedule import due, stages, upcoming
from migrate.core.standing import OUT_OF_SCOPE
from migrate.explain.queue import smtp_of
from migrate.ledger import account_counts


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A coming stage of a wave: how many `letters` it makes if nothing changes, how many of them go on a day (`a_day`, at the rate of
    the mail server), over how many `days`, and how many `calls` the help desk should expect in all (None: the configuration has no
    number of calls per 100 letters)."""

    stage: str
    on: date
    letters: int
    a_day: int
    days: int
    calls: int | None


@dataclass(frozen=True, slots=True)
class WaveOutlook:
    """A wave ('' is everybody who is in none). `cutoff` is a UTC instant; `accounts` counts those in the directory, `reminded` those of
    them that are reminded; `stage` and `next_stage` are names, None for none; `coming` are all stages that have not begun."""

    name: str
    opens: date
    cutoff: datetime
    days_left: int
    accounts: int
    reminded: int
    stage: str | None
    next_stage: str | None
    next_stage_on: date | None
    coming: tuple[Dispatch, ...]


@dataclass(frozen=True, slots=True)
class Members:
    """How many accounts each wave has, and how many of them are reminded."""

    accounts: Mapping[str, int]
    reminded: Mapping[str, int]


def members(connection: sa.Connection, campaign_id: int | None, config: Config) -> Members:
    """Counts the accounts that the last read left in the ledger."""
    waves = account_counts.by_wave(
        connection, campaign_id, config.policy.remind, without_destination=config.policy.remind_without_destination
    )
    return Members({each.wave: each.accounts for each in waves}, {each.wave: each.reminded for each in waves})


COUNTED = ("wave", "standing", "reminded", "compliant", "destination", "gone_at")
"""The columns of records that `members_of` counts."""


def members_of(records: Iterable[pa.RecordBatch], config: Config) -> Members:
    """Counts the accounts that a run would leave in the ledger; `records` have the columns `COUNTED`."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for batch in records:
        table = pa.Table.from_batches([batch]).select(COUNTED)
        there = table["gone_at"].is_null()
        grouped = table.filter(there).drop_columns(["gone_at"]).group_by(list(COUNTED[:-1])).aggregate([([], "count_all")])
        for row in grouped.to_pylist():
            counts[tuple(row[name] for name in COUNTED[:-1])] += row["count_all"]
    accounts: Counter[str] = Counter()
    reminded: Counter[str] = Counter()
    for (wave, standing, before, compliant, destination), count in counts.items():
        accounts[wave] += count
        carried_over = before and not compliant and standing not in OUT_OF_SCOPE
        stuck = destination == "no" and not config.policy.remind_without_destination
        reminded[wave] += count if (standing in config.policy.remind or carried_over) and not stuck else 0
    return Members(accounts, reminded)


def outlook(config: Config, counts: Members, now: datetime) -> tuple[WaveOutlook, ...]:
    """Every wave in the order of the configuration, then everybody else; everybody else alone where there are no waves."""
    smtp = smtp_of(config)
    per_day = smtp.rates.per_day if smtp else None
    if smtp is not None:
        per_day = min(per_day or ceil(smtp.rates.per_second * 86_400), ceil(smtp.rates.per_second * 86_400))
    calls = config.schedule.calls_per_100_letters
    rest, *waves = config.waves.campaigns.items()
    made = []
    for name, campaign in (*waves, rest):
        planned, letters = stages(campaign, config.schedule), counts.reminded.get(name, 0)
        now_due, following = due(planned, now), upcoming(planned, now)
        a_day = min(letters, per_day) if per_day else letters
        coming = tuple(
            Dispatch(
                stage.name,
                stage.on,
                letters,
                a_day,
                ceil(letters / a_day) if a_day else 0,
                None if calls is None else round(letters * calls / 100),
            )
            for stage in planned
            if stage.begins > now
        )
        made.append(
            WaveOutlook(
                name=name,
                opens=campaign.opens,
                cutoff=campaign.cutoff_at,
                days_left=campaign.days_left(now),
                accounts=counts.accounts.get(name, 0),
                reminded=letters,
                stage=now_due.name if now_due else None,
                next_stage=following.name if following else None,
                next_stage_on=following.on if following else None,
                coming=coming,
            )
        )
    return tuple(made)


def facts_of(waves: Iterable[WaveOutlook]) -> list[dict[str, Any]]:
    """Waves as objects of `migrate status --json` and `migrate dry-run --json`."""
    return [asdict(each) for each in waves]
