"""A campaign's outbox in any situation, in a line or two."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import sqlalchemy as sa

from migrate.ledger import schema
from migrate.ledger.engine import Ledger
from migrate.ledger.runs import RunFacts
from migrate.outbox.claims import ClaimedLetter, Claims, Exchange, Swept
from migrate.outbox.queueing import QUEUE_COLUMNS, Enqueued, enqueue

NOW = datetime(2024, 1, 2, 9, 0, 0, 123456, tzinfo=UTC)
CUTOFF = datetime(2024, 2, 1, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def facts(**changed: Any) -> RunFacts:
    usual: dict[str, Any] = {
        "as_of": NOW, "started_at": NOW, "baseline": False, "read": 3, "rejected": 0, "basis": "b0", "directory": "a test",
        "directory_read_at": NOW, "opens": "2023-08-01", "cutoff": CUTOFF, "timezone": "UTC",
        "config_digest": "c0", "mail_digest": "m0", "tool_version": "0",
    }  # fmt: skip
    return RunFacts(**usual | changed)


def queue_row(account_id: str, **changed: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "account_id": account_id, "tenure": 1, "kind": "reminder", "occasion": "T-30", "told_cutoff": "2024-02-01T08:00:00Z",
        "change_seq": 0, "language": "en", "standing": "sms_only", "days_left": 30, "facts": "{}", "address": f"{account_id}@example.com",
        "role": "primary", "ends": pd.Timestamp(CUTOFF), "priority": 1, "last_told_at": pd.NaT,
    } | changed  # fmt: skip
    key = [row[name] for name in ("account_id", "tenure", "occasion", "told_cutoff", "address")]
    return {"message_id": "<" + "/".join(map(str, key)) + "@example.com>"} | row


def confirmation(account_id: str, seq: int = 1, **changed: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"kind": "change_confirmation", "occasion": f"change-{seq}", "told_cutoff": "", "change_seq": seq}
    return queue_row(account_id, **usual | {"ends": pd.NaT, "priority": 0} | changed)


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    made = pd.DataFrame(list(rows), columns=list(QUEUE_COLUMNS))
    for name in ("ends", "last_told_at"):
        made[name] = pd.to_datetime(made[name], utc=True)
    return made.astype(QUEUE_COLUMNS)


@dataclass(frozen=True, slots=True)
class Simulated(Claims):
    """A worker whose leases run on the instants that a test names, as if they were the real clock's."""

    def exchange(self, settled: Any, now: datetime, *arguments: Any, **options: Any) -> Exchange:
        return self._at(now).exchange(settled, now, *arguments, **options)

    def sweep(self, now: datetime) -> Swept:
        return self._at(now).sweep(now)

    def next_at(self, now: datetime = NOW, **options: Any) -> datetime | None:
        return self._at(now).next_at(now, **options)

    def _at(self, now: datetime) -> Claims:
        return Claims(self.ledger, self.campaign_id, self.owner, self.lease, self.zone, lambda _: now)


@dataclass(frozen=True)
class Scene:
    """A campaign with one run, and short ways to put it into any situation."""

    ledger: Ledger
    campaign_id: int
    run_seq: int

    def queue(self, *rows: dict[str, Any], now: datetime = NOW) -> Enqueued:
        with self.ledger.begin() as connection:
            return enqueue(connection, self.campaign_id, self.run_seq, frame(*rows), now)

    def worker(self, owner: str = "worker-1", lease: timedelta = 5 * MINUTE) -> Claims:
        return Simulated(self.ledger, self.campaign_id, owner, lease)

    def claimed(self, owner: str = "worker-1", now: datetime = NOW) -> ClaimedLetter:
        (letter,) = self.worker(owner).exchange([], now).begun
        return letter

    def letters(self) -> dict[str, Any]:
        """Address → the letter's row."""
        with self.ledger.read() as connection:
            return {row.address: row for row in connection.execute(sa.select(schema.letter).order_by(schema.letter.c.id))}

    def only(self) -> Any:
        (row,) = self.letters().values()
        return row

    def events(self) -> list[tuple[int, str | None, str]]:
        event = schema.letter_event.c
        with self.ledger.read() as connection:
            return [
                tuple(row) for row in connection.execute(sa.select(event.letter_id, event.from_state, event.to_state).order_by(event.id))
            ]
