"""The summary of a run: what it decided, what it sent, and what waits after it. The objects of `--json` are made here (design §15)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import sqlalchemy as sa

from migrate import outbox
from migrate.core.campaign import CampaignSettings
from migrate.core.standing import STANDINGS
from migrate.core.words import CHANGES, OUTCOMES, in_order
from migrate.delivery import Forecast, Waiting
from migrate.errors import MigrateError, first_of
from migrate.explain.queue import Bounced
from migrate.ledger.runs import Run

if TYPE_CHECKING:  # `migrate send` must not import pandas
    from migrate.decide.draft import Draft
    from migrate.directory import DirectorySettings
    from migrate.explain.waves import WaveOutlook
    from migrate.review.approval import Applied
    from migrate.run.reading import Read
    from migrate.run.stops import Difference

_SOME_LETTERS_FAILED: Final = 5
_COUNTED: Final = {"standing": STANDINGS, "not_certain": STANDINGS, "changes": CHANGES, "outcomes": OUTCOMES}
"""What is counted by words, and the words in the order in which they are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """Faults of a read: words, instants and lists that could not be read (subject → how many); `rejections`, the reasons for which rows
    were rejected; `advice` on their likely cause; and `caveats`, reasons to trust the directory's answer less. `rejected_known` counts
    known accounts whose row was rejected."""

    unknown_words: Mapping[str, int]
    unreadable_instants: Mapping[str, int]
    lost_lists: Mapping[str, int]
    rejected_known: int
    rejections: Sequence[Mapping[str, Any]]
    advice: Sequence[str]
    caveats: Sequence[str]

    @classmethod
    def of(cls, read: Read, made: Draft, settings: DirectorySettings) -> Self:
        """Of a complete read and its draft; `settings` are those of the directory."""
        from migrate.directory import rejections

        rejected, tally = rejections.of(made.rejected.frames), read.tally
        return cls(
            unknown_words=dict(tally.unknown_words),
            unreadable_instants=dict(tally.unreadable_instants),
            lost_lists=dict(tally.lost_lists),
            rejected_known=made.rejected_known,
            rejections=[reason.facts() for reason in rejected.reasons()],
            advice=rejected.advice(settings, tally.lost_lists),
            caveats=list(read.caveats),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was read and decided, in counts of accounts. The directory was as read at `directory_as_of`; the decision was made at `as_of`.
    `plan` is the reviewed plan that was applied, or None."""

    as_of: datetime
    campaign: str
    read: int
    rejected: int
    directory_as_of: datetime
    standing: Mapping[str, int]
    not_certain: Mapping[str, int]
    defaults_not_registered: int
    too_many_addresses: int
    confirmed_later: int
    changes: Mapping[str, int]
    outcomes: Mapping[str, int]
    noticed: Noticed
    plan: Applied | None = None

    @classmethod
    def of(cls, made: Draft, noticed: Noticed, campaign: CampaignSettings, speaks_of: datetime, plan: Applied | None = None) -> Self:
        """Of a draft. `speaks_of` is the instant at which the directory was as read."""
        return cls(
            as_of=made.rules.moment.now,
            campaign=campaign.name,
            read=made.read,
            rejected=made.outcomes["rejected"],
            directory_as_of=speaks_of,
            standing=in_order(made.standings, _COUNTED["standing"]),
            not_certain=in_order(made.not_certain, _COUNTED["not_certain"]),
            defaults_not_registered=made.defaults_not_registered,
            too_many_addresses=made.too_many_addresses,
            confirmed_later=made.confirmed_later,
            changes=in_order(made.changes_seen, _COUNTED["changes"]),
            outcomes=in_order(made.outcomes, _COUNTED["outcomes"]),
            noticed=noticed,
            plan=plan,
        )

    @classmethod
    def recalled(cls, run: Run) -> Self:
        """The decision of a recorded run. Counts that an older version did not make are empty."""
        from migrate.report.terms import Terms
        from migrate.review.approval import Applied

        counts = run.counts
        known: dict[str, Any] = {name: in_order(counts.get(name, {}), words) for name, words in _COUNTED.items()}
        known |= {name: counts.get(name, 0) for name in ("defaults_not_registered", "too_many_addresses", "confirmed_later")}
        noticed = {name: counts.get(name, {}) for name in ("unknown_words", "unreadable_instants", "lost_lists")}
        noticed |= {name: counts.get(name, []) for name in ("rejections", "advice", "caveats")}
        return cls(
            as_of=run.as_of,
            campaign=Terms.from_json(counts["terms"]).campaign,
            read=run.read,
            rejected=run.rejected,
            directory_as_of=run.directory_read_at,
            noticed=Noticed(rejected_known=counts.get("rejected_known", 0), **noticed),
            plan=Applied(**counts["plan"]) if "plan" in counts else None,
            **known,
        )

    def facts(self) -> dict[str, Any]:
        """The part of `migrate run --json` and `migrate dry-run --json` that is known when everything is decided."""
        read = {"as_of": _text(self.as_of), "campaign": self.campaign, "read": self.read, "rejected": self.rejected}
        return read | {"directory_as_of": _text(self.directory_as_of)} | self.counts()

    def counts(self) -> dict[str, Any]:
        """The counts that the ledger keeps: subject → word → count, the faults of the read, and the plan."""
        told = asdict(self)
        for elsewhere in ("as_of", "campaign", "read", "rejected", "directory_as_of", "noticed", "plan"):
            del told[elsewhere]
        return told | asdict(self.noticed) | ({"plan": asdict(self.plan)} if self.plan else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What became of letters: how many were sent and so on, and how many are still `queued`. `withdrawn` is None if it was not counted.
    `stale` counts the reminders that wait for a fresh read, `outside_hours` the sent letters that went outside the send hours, `too_late`
    the letters that ended without a single try."""

    sent: int
    failed: int
    uncertain: int
    withdrawn: int | None
    queued: int
    stale: int = 0
    outside_hours: int = 0
    too_late: int = 0

    @classmethod
    def recalled(cls, connection: sa.Connection, run: Run, until: datetime) -> Self:
        """What a recorded run sent. If the run died before it counted, these are all letters that moved between its start and `until`."""
        counts = run.counts
        letters = counts.get("letters") or outbox.moved(connection, run.campaign_id, run.started_at, until)
        return cls(**letters, **{name: counts.get(name, 0) for name in ("stale", "outside_hours", "too_late")})

    def facts(self) -> dict[str, Any]:
        """`letters`, `stale`, `outside_hours` and `too_late` in the objects of `run` and `send`."""
        letters = {"sent": self.sent, "failed": self.failed, "uncertain": self.uncertain}
        letters |= {} if self.withdrawn is None else {"withdrawn": self.withdrawn}
        letters |= {"queued": self.queued}
        return {"letters": letters, "stale": self.stale, "outside_hours": self.outside_hours, "too_late": self.too_late}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """What waits: letters and until when, the forecast of their delivery, and the people who cannot be reached (None if not counted)."""

    waiting: Waiting
    delivery: Forecast
    unreachable: Bounced | None = None

    @classmethod
    def recalled(cls, run: Run) -> Self:
        """What waited after a recorded run."""
        counts = run.counts
        return cls(
            waiting=Waiting(**_instants(counts.get("waiting"), "until")),
            delivery=Forecast(**_instants(counts.get("delivery"), "done_at", "until")),
            unreachable=Bounced(**counts["unreachable"]) if counts.get("unreachable") else None,
        )

    def facts(self) -> dict[str, Any]:
        """`waiting`, `delivery` and `unreachable` in the objects of `run` and `send`."""
        unreachable = {"unreachable": asdict(self.unreachable)} if self.unreachable else {}
        return {"waiting": self.waiting.facts(), "delivery": self.delivery.facts()} | unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything that a run reports about itself. `evidence` is the folder of its reports, when they are written."""

    run_id: str
    decision: Decision
    sending: Sending
    waits: Waits
    evidence: Path | None = None

    @classmethod
    def recalled(cls, connection: sa.Connection, run: Run) -> Self:
        """The summary of a completed run, read from the ledger."""
        assert run.evidence_at is not None
        sending = Sending.recalled(connection, run, run.evidence_at)
        return cls(run_id=run.run_id, decision=Decision.recalled(run), sending=sending, waits=Waits.recalled(run))

    def reported(self, folder: Path | None) -> Self:
        """The same summary, with the folder of the reports."""
        return replace(self, evidence=folder)

    def facts(self) -> dict[str, Any]:
        """The object of `migrate run --json`, and summary.json."""
        evidence = {"evidence": str(self.evidence) if self.evidence else None}
        return {"run_id": self.run_id} | self.decision.facts() | self.late_counts() | evidence

    def late_counts(self) -> dict[str, Any]:
        """The counts that the ledger keeps when the run is completed, in addition to those of the decision."""
        return self.sending.facts() | self.waits.facts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """What a run would do. It `would_queue` so many letters; `delivery` forecasts when they and those that wait already will have gone.
    `stopped` are the errors of the guards that would stop it, and `difference` is what it would change (None if no guard would). `out` is
    the folder of the dry run, `accounts` are those that a person asked about, and `waves` is the state of each wave after the run."""

    decision: Decision
    would_queue: int
    stopped: Sequence[str]
    difference: Difference | None
    delivery: Forecast
    out: Path | None = None
    accounts: Sequence[Mapping[str, Any]] | None = None
    waves: Sequence[WaveOutlook] | None = None

    def facts(self) -> dict[str, Any]:
        """The object of `migrate dry-run --json`, and of a run that a guard stopped."""
        from migrate.explain.waves import facts_of

        would = {"would_queue": self.would_queue, "stopped": list(self.stopped)}
        would |= (self.difference.facts() if self.difference else {}) | {"delivery": self.delivery.facts()}
        would |= {"out": str(self.out) if self.out else None} | ({} if self.accounts is None else {"accounts": list(self.accounts)})
        would |= {} if self.waves is None else {"waves": facts_of(self.waves)}
        return self.decision.facts() | would


def exit_code(signal: int | None, stopped: Iterable[MigrateError], sending: Sending, waits: Waits) -> int:
    """The exit code of a command that delivered: 130 or 143 if a signal ended it, else the first that applies (design §15)."""
    if signal:
        return 128 + signal
    cut_off = waits.unreachable is not None and waits.unreachable.too_many
    partly = sending.failed or sending.uncertain or sending.too_late or waits.waiting.too_long or cut_off
    return first_of([*(error.exit_code for error in stopped), _SOME_LETTERS_FAILED if partly else 0])


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _instants(told: Mapping[str, Any] | None, *names: str) -> dict[str, Any]:
    """A recorded object with its instants parsed."""
    return {name: datetime.fromisoformat(value) if value and name in names else value for name, value in (told or {}).items()}
