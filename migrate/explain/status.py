"""The campaign at a glance: its days, everybody's standing, what waits, and what needs a person (design §15).

Nothing is assessed again: the counts are those that the last run recorded. The clock decides only days and stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from migrate import outbox
from migrate.config import Config
from migrate.core.schedule import Stage, due, stages, upcoming
from migrate.core.standing import OUT_OF_SCOPE
from migrate.decide.addressing import Unreachable, unreachable
from migrate.delivery import Forecast as Delivery
from migrate.delivery import Waiting, waiting
from migrate.explain.queue import forecast_of, queue_forecast
from migrate.explain.tallies import Tallies, tallies
from migrate.explain.waves import WaveOutlook, members, outlook
from migrate.ledger import account_counts, campaigns, exemptions, recorded_changes, runs
from migrate.ledger.runs import Run
from migrate.mail.moments import formats_of, last_moment
from migrate.report import burndown
from migrate.report.forecast import Forecast, Pace, Point, forecast, pace
from migrate.report.recall import Recall
from migrate.report.terms import Terms
from migrate.report.verdict import Situation, Verdict, verdict

EXPIRING: Final = timedelta(days=14)
"""Exemptions are listed from so long before their last day on."""


@dataclass(frozen=True, slots=True)
class Parts:
    """How many accounts of the last run were compliant, not compliant, and out of scope. `not_certain` counts the compliant ones with a
    second step that the configuration has no name for."""

    compliant: int
    not_compliant: int
    out_of_scope: int
    not_certain: int = 0

    @property
    def total(self) -> int:
        return self.compliant + self.not_compliant + self.out_of_scope

    @classmethod
    def of(cls, standing: Mapping[str, int], not_certain: Mapping[str, int], compliant: frozenset[str]) -> Parts:
        """Adds up the accounts of each standing; `not_certain` are those of them that are not certain, by standing."""
        outside = sum(count for word, count in standing.items() if word in OUT_OF_SCOPE)
        done = sum(count for word, count in standing.items() if word in compliant)
        doubtful = sum(count for word, count in not_certain.items() if word in compliant)
        return cls(done, sum(standing.values()) - outside - done, outside, doubtful)


@dataclass(frozen=True, slots=True)
class Expiry:
    """An account's last exemption, which has ended or ends soon. `until` is its last day; `days` until then are negative once it has
    ended."""

    account_id: str
    until: date
    days: int
    owner: str
    reason: str


@dataclass(frozen=True, slots=True)
class LastRun:
    """The campaign's latest run as it was recorded. `completed` is false until its reports are written.

    `directory_as_of` is the instant of the directory's data; `rejections`, `advice` and `caveats` are what the run noticed when it read
    them.
    """

    run_id: str
    as_of: datetime
    completed: bool
    read: int
    rejected: int
    standing: dict[str, int]
    outcomes: dict[str, int]
    evidence: str | None
    directory_as_of: datetime
    rejections: list[dict[str, Any]]
    advice: list[str]
    caveats: list[str]

    @classmethod
    def of(cls, run: Run) -> LastRun:
        """What a recorded run says of itself."""
        counts = run.counts
        return cls(
            run.run_id,
            run.as_of,
            run.state == "completed",
            run.read,
            run.rejected,
            counts["standing"],
            counts["outcomes"],
            run.evidence,
            run.directory_read_at,
            counts.get("rejections", []),
            counts.get("advice", []),
            counts.get("caveats", []),
        )


@dataclass(frozen=True, slots=True)
class Status:
    """A campaign at an instant.

    * `stage` is the stage in effect, `next_stage` the first that has not begun; `until` is the last moment at which a retired method works,
      in words with its zone.
    * `last_completed_at` is when a run last wrote its reports; None if none ever did.
    * `verdict` says in words whether everybody will have moved; `forecast` and `pace` are its reasons, None where there is too little data.
    * Before the first run `last_run`, `accounts`, `verdict` and `forecast` are None and `burn_down` is empty.
    * `waiting` says until when letters in the outbox wait, `delivery` when all will have been sent.
    * `rejected_known` counts the accounts whose row the last run rejected: they keep what was recorded before.
    * `unreachable` are the accounts that are to be reminded and whose address cannot be mailed.
    * `waves` are those of the configuration, then everybody else.
    * `open_changes` wait for their confirmation, `unsaid_changes` will have none.
    * `stale` is true if the directory was read too long ago to send reminders.
    """

    campaign: str
    organization: str
    now: datetime
    opens: date
    cutoff: datetime
    cutoff_day: date
    until: str
    days_left: int
    stage: Stage | None
    next_stage: Stage | None
    last_run: LastRun | None
    last_completed_at: datetime | None
    accounts: Parts | None
    burn_down: tuple[Point, ...]
    forecast: Forecast | None
    pace: Pace | None
    verdict: Verdict | None
    outbox: dict[str, int]
    waiting: Waiting
    unreachable: Unreachable
    delivery: Delivery
    rejected_known: int
    open_changes: int
    unsaid_changes: int
    exemptions: tuple[Expiry, ...]
    waves: tuple[WaveOutlook, ...]
    tallies: Tallies
    stale: bool

    def facts(self) -> dict[str, Any]:
        """The object of `migrate status --json`."""
        stage = {name: _stage(each) for name, each in (("stage", self.stage), ("next_stage", self.next_stage))}
        accounts = {"accounts": asdict(self.accounts) | {"total": self.accounts.total}} if self.accounts else {}
        further = {"waiting": self.waiting.facts(), "delivery": self.delivery.facts(), "unreachable": self.unreachable.facts()}
        # `path`, the forecast for each day, is for the drawing alone.
        ahead = {"forecast": {name: value for name, value in asdict(self.forecast).items() if name != "path"}} if self.forecast else {}
        return asdict(self) | stage | further | accounts | ahead


def _stage(stage: Stage | None) -> dict[str, Any] | None:
    return None if stage is None else {"name": stage.name, "kind": stage.kind, "on": stage.on}


def status(connection: sa.Connection, config: Config, now: datetime) -> Status:
    """Looks a campaign up in the ledger; `now` (a UTC instant) is the clock for days and stages."""
    campaign, planned = config.campaign, stages(config.campaign, config.schedule)
    campaign_id = campaigns.find(connection, campaign.name)
    run = runs.last(connection, campaign_id)
    line, ahead = _burn_down(connection, run), campaign.days_left(now) > 0
    parts = Parts.of(run.counts["standing"], run.counts.get("not_certain", {}), frozenset(_terms(run).compliant)) if run else None
    expected = forecast(line, [each.on for each in planned], campaign.cutoff_date) if ahead else None
    speed = pace(line, campaign.cutoff_date) if ahead else None
    counted, stranded = tallies(connection, campaign_id, now, _later(config, now)), _unreachable(connection, campaign_id, config, now)
    return Status(
        campaign=campaign.name,
        organization=campaign.organization,
        now=now,
        opens=campaign.opens,
        cutoff=campaign.cutoff_at,
        cutoff_day=campaign.cutoff_date,
        until=last_moment(campaign.cutoff_at, campaign, formats_of(None)).until,
        days_left=campaign.days_left(now),
        stage=due(planned, now),
        next_stage=upcoming(planned, now),
        last_run=LastRun.of(run) if run else None,
        last_completed_at=runs.completed_at(connection, campaign_id, now),
        accounts=parts,
        burn_down=tuple(line),
        forecast=expected,
        pace=speed,
        verdict=verdict(
            Situation(
                today=campaign.today(now),
                opens=campaign.opens,
                cutoff=campaign.cutoff_date,
                past=now >= campaign.cutoff_at,
                in_scope=parts.compliant + parts.not_compliant,
                open=parts.not_compliant,
                line=line,
                expected=expected,
                pace=speed,
                stuck=counted.without_destination,
                unreached=sum(stranded.counts.values()),
                hit=counted.hit,
                not_back=counted.not_back,
                later=counted.later,
                weak=bool(run and run.counts.get("caveats")),
            )
        )
        if parts
        else None,
        outbox=outbox.counts(connection, campaign_id),
        waiting=waiting(connection, campaign_id, config.schedule.hours(campaign.zone), now) if campaign_id else Waiting(),
        unreachable=stranded,
        delivery=queue_forecast(config, connection, campaign_id, now) if campaign_id else forecast_of(config, connection, 0, now),
        rejected_known=account_counts.rejected(connection, campaign_id),
        open_changes=recorded_changes.count(connection, campaign_id, "open"),
        unsaid_changes=recorded_changes.count(connection, campaign_id, "unsaid"),
        exemptions=_expiring(connection, campaign_id, campaign.today(now)),
        waves=outlook(config, members(connection, campaign_id, config), now),
        tallies=counted,
        stale=run is None or now - run.directory_read_at >= timedelta(hours=config.safety.stale_hours),
    )


def _later(config: Config, now: datetime) -> list[str]:
    """The waves whose cutoff is still to come once the campaign's has come, or now if that is later."""
    known = max(now, config.campaign.cutoff_at)
    return [name for name, campaign in config.waves.campaigns.items() if campaign.cutoff_at > known]


def _terms(run: Run) -> Terms:
    return Terms.from_json(run.counts["terms"])


def _burn_down(connection: sa.Connection, run: Run | None) -> list[Point]:
    if run is None:
        return []
    terms = _terms(run)
    return burndown.points(Recall(connection, run, terms, run.as_of).days(), terms)


def _unreachable(connection: sa.Connection, campaign_id: int | None, config: Config, now: datetime) -> Unreachable:
    if campaign_id is None:
        return Unreachable()
    return unreachable(connection, campaign_id, config.policy.remind, config.safety.allowed_domains, now)


def _expiring(connection: sa.Connection, campaign_id: int | None, today: date) -> tuple[Expiry, ...]:
    """The last exemption of each account, if it has ended or ends soon; the earliest first."""
    # They come sorted by their last day: the last one of each account stays in the dict.
    latest = {each.account_id: each for each in exemptions.granted(connection, "exemption", campaign_id)}
    ending = sorted((each for each in latest.values() if each.until <= today + EXPIRING), key=lambda each: (each.until, each.account_id))
    return tuple(Expiry(each.account_id, each.until, (each.until - today).days, each.owner, each.reason) for each in ending)
