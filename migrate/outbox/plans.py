"""Records a reviewer's decisions: who approved a plan, and which reminders were struck out of it (design §13)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import pandas as pd
import sqlalchemy as sa

from migrate.core.words import REVIEWER, WAITING
from migrate.ledger import schema
from migrate.ledger.listed import batches
from migrate.outbox import withdraw
from migrate.outbox.queueing import enqueue

_KEY: Final = ["account_id", "tenure", "occasion", "told_cutoff"]


def approve(
    connection: sa.Connection, campaign_id: int, digest: str, *, by: str, at: datetime, rows: int, detail: Mapping[str, Any]
) -> None:
    """Records an approval. If it is recorded already (same plan, same rows, same person), nothing changes."""
    p = schema.plan
    if connection.execute(sa.select(p.c.digest).where(p.c.digest == digest)).first() is None:
        row = {"campaign_id": campaign_id, "approved_at": at, "approved_by": by, "rows": rows, "detail": json.dumps(detail, sort_keys=True)}
        connection.execute(sa.insert(p).values(digest=digest, **row))


def strike(connection: sa.Connection, campaign_id: int, run_seq: int, actor: str, letters: pd.DataFrame, now: datetime) -> list[int]:
    """Withdraws letters (`QUEUE_COLUMNS`) for good; their ids. Letters that were never queued are included, so that their notices are never
    due again. A letter that was sent, is being sent or has failed stays as it is.
    """
    enqueue(connection, campaign_id, run_seq, letters, now)
    letter, notice = schema.letter.c, schema.notice.c
    queued = sa.select(letter.id, *(notice[name] for name in _KEY)).select_from(
        schema.letter.join(schema.notice, letter.notice_id == notice.id)
    )
    done: list[int] = []
    for ids in batches(letters["account_id"].tolist()):
        these = queued.where(letter.campaign_id == campaign_id, letter.account_id.in_(ids), letter.state.in_(WAITING))
        waiting = pd.DataFrame(connection.execute(these).all(), columns=["letter_id", *_KEY])
        struck = waiting.merge(letters[_KEY].drop_duplicates(), on=_KEY)
        done += withdraw(connection, struck[["letter_id"]].assign(reason=REVIEWER), now, actor=actor, run_seq=run_seq)
    return done
