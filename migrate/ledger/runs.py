"""The runs of a campaign: one row each, inserted in the transaction that records what the run decided (design §9)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from migrate.ledger import schema


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What is known of a run when it begins to record. Digests and fingerprints are hex; `opens` is an ISO date."""

    as_of: datetime
    started_at: datetime
    baseline: bool
    read: int
    rejected: int
    basis: str
    directory: str
    directory_read_at: datetime
    opens: str
    cutoff: datetime
    timezone: str
    config_digest: str
    mail_digest: str
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(RunFacts):
    """A recorded run. `counts` is subject → word → count; `state` is `completed` once its reports are written."""

    seq: int
    run_id: str
    campaign_id: int
    state: str
    directory_fingerprint: str
    counts: Mapping[str, Any] = field(default_factory=dict)
    finished_at: datetime | None = None
    evidence: str | None = None
    evidence_at: datetime | None = None
    manifest_digest: str | None = None


def begin(connection: sa.Connection, campaign_id: int, facts: RunFacts) -> Run:
    """Inserts a run with the next number, in the transaction that records it. If that fails, there is no run; a number may be skipped."""
    token = uuid.uuid4().hex
    values = asdict(facts) | {"campaign_id": campaign_id, "state": "recorded", "counts": "{}", "directory_fingerprint": "", "run_id": token}
    values |= _numbered(connection)
    connection.execute(sa.insert(schema.run).values(values))
    seq = int(connection.execute(sa.select(schema.run.c.seq).where(schema.run.c.run_id == token)).scalar_one())
    connection.execute(sa.update(schema.run).where(schema.run.c.seq == seq).values(run_id=f"r{seq:05d}"))
    return find(connection, seq)


def number(run_id: str) -> int:
    """The number in the id of a run, such as 12 in `r00012`; 0 if the text is no id of a run."""
    digits = run_id.removeprefix("r")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else 0


def _numbered(connection: sa.Connection) -> dict[str, int]:
    """`seq` of the next run, if the database would give it a number that accepted evidence of another ledger has; else nothing."""
    after = connection.execute(sa.select(schema.identity.c.runs_after)).scalar() or 0
    if _highest(connection) >= after:
        return {}
    # Runs of two campaigns may be recorded at once: the second waits here for the first, and then finds its number.
    connection.execute(sa.select(schema.identity.c.runs_after).with_for_update())
    if _highest(connection) >= after:
        return {}
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT setval(pg_get_serial_sequence('run', 'seq'), :seq)"), {"seq": after + 1})
    return {"seq": after + 1}


def _highest(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.max(schema.run.c.seq))).scalar() or 0


def record_counts(connection: sa.Connection, seq: int, counts: Mapping[str, Any]) -> None:
    """Records what the run counted: subject → word → count. Replaces what was recorded before."""
    connection.execute(sa.update(schema.run).where(schema.run.c.seq == seq).values(counts=json.dumps(counts, sort_keys=True)))


def record_fingerprint(connection: sa.Connection, seq: int, fingerprint: str, cache: str | None = None) -> None:
    """Records the fingerprint of what the run read, and the digest of the cache of that read (in `counts["image"]`) if there is one.

    Both are known only some time after the run is recorded.
    """
    r = schema.run.c
    found = {"directory_fingerprint": fingerprint}
    if cache:
        counts = connection.execute(sa.select(r.counts).where(r.seq == seq)).scalar_one()
        found["counts"] = json.dumps({**json.loads(counts), "image": cache}, sort_keys=True)
    connection.execute(sa.update(schema.run).where(r.seq == seq).values(found))


def complete(
    connection: sa.Connection,
    seq: int,
    *,
    finished_at: datetime,
    evidence: str | None = None,
    evidence_at: datetime | None = None,
    manifest_digest: str | None = None,
) -> None:
    """Marks a run as completed; `evidence` is the folder of its reports, if there is one."""
    done = {"finished_at": finished_at, "evidence": evidence, "evidence_at": evidence_at, "manifest_digest": manifest_digest}
    connection.execute(sa.update(schema.run).where(schema.run.c.seq == seq).values(state="completed", **done))


def find(connection: sa.Connection, seq: int) -> Run:
    """The run with a number; there must be one."""
    return _run(connection.execute(sa.select(schema.run).where(schema.run.c.seq == seq)).one())


def last(connection: sa.Connection, campaign_id: int | None, *, completed: bool = False) -> Run | None:
    """The campaign's latest run, or latest completed run."""
    where = [schema.run.c.state == "completed"] if completed else []
    return _latest(connection, campaign_id, *where)


def completed_at(connection: sa.Connection, campaign_id: int | None, now: datetime) -> datetime | None:
    """When a run last completed. A run whose `as_of` is after `now` does not count: its clock was ahead."""
    r = schema.run.c
    latest = sa.select(sa.func.max(r.finished_at)).where(r.campaign_id == campaign_id, r.state == "completed", r.as_of <= now)
    found: datetime | None = connection.execute(latest).scalar_one()
    return found


def last_completed_between(connection: sa.Connection, campaign_id: int | None, begins: datetime, ends: datetime) -> Run | None:
    """The latest completed run whose `as_of` lies in `[begins, ends)`, such as a calendar day of the campaign."""
    as_of = schema.run.c.as_of
    return _latest(connection, campaign_id, schema.run.c.state == "completed", as_of >= begins, as_of < ends)


def last_with_evidence(connection: sa.Connection, campaign_id: int | None, before: int) -> Run | None:
    """The latest run with a number below `before` that left evidence."""
    return _latest(connection, campaign_id, schema.run.c.seq < before, schema.run.c.manifest_digest.is_not(None))


def of_campaign(connection: sa.Connection, campaign: str) -> list[Run]:
    """All runs of a campaign (its name), the first one first."""
    mine = sa.select(schema.campaign.c.id).where(schema.campaign.c.name == campaign).scalar_subquery()
    rows = connection.execute(sa.select(schema.run).where(schema.run.c.campaign_id == mine).order_by(schema.run.c.seq))
    return [_run(row) for row in rows]


def instants(connection: sa.Connection, campaign_id: int, until: int) -> list[tuple[int, datetime]]:
    """Number and `as_of` (UTC) of a campaign's runs up to the one with the number `until`, in order of their numbers."""
    r = schema.run.c
    rows = connection.execute(sa.select(r.seq, r.as_of).where(r.campaign_id == campaign_id, r.seq <= until).order_by(r.seq))
    return [(seq, as_of) for seq, as_of in rows]


def counts_by_instant(connection: sa.Connection, campaign_id: int, until: int) -> list[tuple[datetime, Mapping[str, Any]]]:
    """`as_of` (UTC) and `counts` of a campaign's runs up to the one with the number `until`, in order of their numbers."""
    r = schema.run.c
    rows = connection.execute(sa.select(r.as_of, r.counts).where(r.campaign_id == campaign_id, r.seq <= until).order_by(r.seq))
    return [(as_of, json.loads(counts)) for as_of, counts in rows]


def cutoffs_since(connection: sa.Connection, campaign_id: int, notice_id: int) -> list[datetime]:
    """The cutoffs (UTC) that the campaign had at the run that made a notice and at the runs after it, each once, the first run's first."""
    r = schema.run.c
    first = sa.select(schema.notice.c.run_seq).where(schema.notice.c.id == notice_id).scalar_subquery()
    wanted = sa.select(r.cutoff).where(r.campaign_id == campaign_id, r.seq >= first).order_by(r.seq)
    return list(dict.fromkeys(connection.execute(wanted).scalars()))


def _latest(connection: sa.Connection, campaign_id: int | None, *where: sa.ColumnElement[bool]) -> Run | None:
    run = schema.run
    row = connection.execute(sa.select(run).where(run.c.campaign_id == campaign_id, *where).order_by(run.c.seq.desc()).limit(1)).first()
    return None if row is None else _run(row)


def _run(row: sa.Row[Any]) -> Run:
    values = {item.name: getattr(row, item.name) for item in fields(Run)}
    return Run(**values | {"counts": json.loads(row.counts)})
