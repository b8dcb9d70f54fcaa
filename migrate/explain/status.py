"""The campaign at a glance: its days, where everybody stands, what waits, and what needs a person (design §15).

Everything here is looked up and nothing is worked out anew: the counts are those of the last run, the clock is only used for days.
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
from migrate.ledger import runs
from migrate.ledger.prior import Prior
from migrate.ledger.runs import Run
from migrate.ledger.schema import account, change, exemption
from migrate.mail.moments import formats_of, last_moment
from migrate.report import burndown
from migrate.report.forecast import Forecast, Pace, Point, forecast, pace
from migrate.report.recall import Recall
from migrate.report.terms import Terms
from migrate.report.verdict import Situation, Verdict, verdict

EXPIRING: Final = timedelta(days=14)
"""How long before its last day an exemption is shown."""


@dataclass(frozen=True, slots=True)
class Parts:
    """How many accounts of the last run were compliant, not compliant, and out of scope; and how many of the compliant ones are not
    certain: with a second step that nobody knows by name."""

    compliant: int
    not_compliant: int
    out_of_scope: int
    not_certain: int = 0

    @property
    def total(self) -> int:
        return self.compliant + self.not_compliant + self.out_of_scope

    @classmethod
    def of(cls, standing: Mapping[str, int], not_certain: Mapping[str, int], compliant: frozenset[str]) -> Parts:
        """The parts of the accounts that have each standing, some of them `not_certain`."""
        outside = sum(count for word, count in standing.items() if word in OUT_OF_SCOPE)
        done = sum(count for word, count in standing.items() if word in compliant)
        doubtful = sum(count for word, count in not_certain.items() if word in compliant)
        return cls(done, sum(standing.values()) - outside - done, outside, doubtful)


@dataclass(frozen=True, slots=True)
class Expiry:
    """The last exemption of an account that has ended, or ends soon; `until` is its last day, `days` how far off that is."""

    account_id: str
    until: date
    days: int
    owner: str
    reason: str


@dataclass(frozen=True, slots=True)
class LastRun:
    """The campaign's latest run as it recorded itself; `completed` is false while, or if, its reports were not written.

    `directory_as_of` is the instant of which the directory spoke; `rejections`, `advice` and `caveats` are what was noticed of its read.
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
    """A campaign at an instant. `stage` is the one that counts now, `next_stage` the first that has not begun.

    `last_completed_at` is when a run last came to its end, reports written, and None if none ever did.
    `verdict` says in words whether everybody will have moved, `forecast` and `pace` are what it rests on (None where there is too little).
    `until` is the last moment at which a retired method works, in words, zone included. Before the first run `last_run`, `accounts`,
    `verdict` and `forecast` are None and `burn_down` is empty. `waiting` says of the letters in the outbox until when they wait, `delivery`
    when they will have gone.
    `rejected_known` are the accounts whose row the last run rejected: they stand as recorded before.
    `unreachable` are the accounts to be reminded whose address cannot be mailed.
    `waves` are those of the configuration, everybody else last.
    `open_changes` await their confirmation, `unsaid_changes` were given up.
    `tallies` are of the accounts as recorded; `stale` is true if the directory was read too long ago to remind anybody by.
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
        stage = {name: _stage(found) for name, found in (("stage", self.stage), ("next_stage", self.next_stage))}
        accounts = {"accounts": asdict(self.accounts) | {"total": self.accounts.total}} if self.accounts else {}
        further = {"waiting": self.waiting.facts(), "delivery": self.delivery.facts(), "unreachable": self.unreachable.facts()}
        # The days on the way to the cutoff are for a drawing.
        ahead = {"forecast": {name: value for name, value in asdict(self.forecast).items() if name != "path"}} if self.forecast else {}
        return asdict(self) | stage | further | accounts | ahead


def _stage(found: Stage | None) -> dict[str, Any] | None:
    return None if found is None else {"name": found.name, "kind": found.kind, "on": found.on}


def status(connection: sa.Connection, config: Config, now: datetime) -> Status:
    """The campaign of a configuration as one look at the ledger shows it; `now` (a UTC instant) is the clock for days and stages."""
    campaign, planned = config.campaign, stages(config.campaign, config.schedule)
    campaign_id = Prior(connection, campaign.name).campaign_id
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
        rejected_known=_rejected(connection, campaign_id),
        open_changes=_changes(connection, campaign_id, "open"),
        unsaid_changes=_changes(connection, campaign_id, "unsaid"),
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


def _rejected(connection: sa.Connection, campaign_id: int | None) -> int:
    a = account.c
    there = sa.and_(a.campaign_id == campaign_id, a.outcome == "rejected", a.gone_at.is_(None))
    return int(connection.execute(sa.select(sa.func.count()).select_from(account).where(there)).scalar_one())


def _changes(connection: sa.Connection, campaign_id: int | None, state: str) -> int:
    c = change.c
    wanted = sa.select(sa.func.count()).select_from(change).where(c.campaign_id == campaign_id, c.state == state)
    return int(connection.execute(wanted).scalar_one())


def _expiring(connection: sa.Connection, campaign_id: int | None, today: date) -> tuple[Expiry, ...]:
    """Each account's last exemption, where that has ended or ends soon, the earliest first."""
    e = exemption.c
    soon = (today + EXPIRING).isoformat()
    wanted = sa.select(e.account_id, e.until, e.owner, e.reason).where(e.campaign_id == campaign_id, e.removed_at.is_(None))
    latest = {row.account_id: row for row in connection.execute(wanted.order_by(e.until, e.id))}
    ending = sorted((row for row in latest.values() if row.until <= soon), key=lambda row: (row.until, row.account_id))
    return tuple(
        Expiry(row.account_id, (last := date.fromisoformat(row.until)), (last - today).days, row.owner, row.reason) for row in ending
    )
