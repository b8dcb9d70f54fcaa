"""Recognises a ledger by the evidence of its runs (design §12).

The evidence of a run names the ledger that recorded it, and holds a digest of what was recorded. A ledger that was restored from an old
backup, or that belongs to another campaign, does not have that run.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from migrate.ledger import campaigns, runs
from migrate.ledger.runs import Run
from migrate.ledger.schema import accepted_evidence, identity, run


@dataclass(frozen=True, slots=True)
class Trace:
    """A run as its evidence describes it: `of` is the part of the manifest about the run, `digest` the SHA-256 of the manifest, `found_in`
    the place of the evidence."""

    found_in: str
    digest: str
    of: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        return str(self.of["run_id"])


def ledger_id(connection: sa.Connection) -> str | None:
    """The identity of a ledger; None for one that is not there yet."""
    found: str | None = connection.execute(sa.select(identity.c.ledger_id)).scalar()
    return found


def sign(connection: sa.Connection) -> dict[str, str]:
    """The value of `counts["ledger"]` of a new run, by which its evidence differs from that of any other run."""
    return {"id": ledger_id(connection) or "", "nonce": secrets.token_hex(8)}


def manifest_facts(of: Run) -> dict[str, Any]:
    """The part of a manifest about its run, by which the ledger recognises the run."""
    known = {"run_id": of.run_id, "as_of": _instant(of.as_of), "started_at": _instant(of.started_at)}
    signed = of.counts.get("ledger")
    if not signed:  # recorded before ledgers had an identity
        return known
    recorded = [signed, known, of.config_digest, of.read, of.rejected]
    digest = hashlib.sha256(json.dumps(recorded, sort_keys=True).encode()).hexdigest()
    return known | {"ledger": {"id": signed["id"], "recorded": digest}}


def unknown(connection: sa.Connection, name: str, traces: Iterable[Trace]) -> list[Trace]:
    """The traces whose run this ledger does not have, and that no person has accepted."""
    traces = list(traces)
    if not traces:
        return []
    campaign_id = campaigns.find(connection, name)
    accepted = set(
        connection.execute(sa.select(accepted_evidence.c.digest).where(accepted_evidence.c.campaign_id == campaign_id)).scalars()
    )
    return [each for each in traces if each.digest not in accepted and not _knows(connection, campaign_id, each)]


def accepted_digests(connection: sa.Connection) -> frozenset[str]:
    """The digests of all evidence of other ledgers that a person accepted, of every campaign."""
    return frozenset(connection.execute(sa.select(accepted_evidence.c.digest)).scalars())


def _knows(connection: sa.Connection, campaign_id: int | None, trace: Trace) -> bool:
    seq = connection.execute(sa.select(run.c.seq).where(run.c.campaign_id == campaign_id, run.c.run_id == trace.run_id)).scalar()
    if seq is None:
        return False
    known = manifest_facts(runs.find(connection, seq))
    return all(trace.of.get(name) == value for name, value in known.items())


def accept(connection: sa.Connection, campaign_id: int, traces: Sequence[Trace], by: str, at: datetime) -> None:
    """Records who accepted evidence of other ledgers. Later runs get numbers above the highest in it, so that no number comes twice."""
    rows = [{"digest": each.digest, "run_id": each.run_id, "found_in": each.found_in} for each in {e.digest: e for e in traces}.values()]
    same = {"campaign_id": campaign_id, "accepted_at": at, "accepted_by": by}
    connection.execute(sa.insert(accepted_evidence), [row | same for row in rows])
    highest = max(runs.number(each.run_id) for each in traces)
    connection.execute(sa.update(identity).where(identity.c.runs_after < highest).values(runs_after=highest))


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
