"""What was known and said at an earlier instant, from the ledger alone (design §9, §14)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import pandas as pd
import sqlalchemy as sa

from migrate.accounts import RECORD_COLUMNS
from migrate.changes import CHANGE_COLUMNS
from migrate.ledger.frames import fetch
from migrate.ledger.schema import account, account_history, change, letter, letter_event, notice

LETTER_HISTORY_COLUMNS: Final[dict[str, str]] = {
    "letter_id": "int64", "account_id": "str", "tenure": "int32", "kind": "str", "occasion": "str", "told_cutoff": "str",
    "address": "str", "role": "str", "reference": "str", "message_id": "str", "state": "str", "state_since": "datetime64[us, UTC]",
    "reason": "str", "reply": "str", "attempts": "int32", "queued_at": "datetime64[us, UTC]", "subject": "str", "mail_digest": "str",
}  # fmt: skip
"""A letter a row, as it stood at an instant. `attempts` counts the claims until then; `queued_at` is when it first entered the outbox;
`subject` and `mail_digest` are those it was last tried with."""

RECORDED_CHANGE_COLUMNS: Final[dict[str, str]] = {**CHANGE_COLUMNS, "state": "str"}

CHUNK: Final = 20_000


def letters_as_of(connection: sa.Connection, campaign_id: int | None, at: datetime) -> pd.DataFrame:
    """`LETTER_HISTORY_COLUMNS` of every letter that existed at an instant, in the order in which they were made."""
    return fetch(connection, _letters(campaign_id, at), LETTER_HISTORY_COLUMNS)


def letters_changed(connection: sa.Connection, campaign_id: int | None, after: datetime | None, until: datetime) -> pd.DataFrame:
    """`LETTER_HISTORY_COLUMNS`, as of `until`, of the letters whose state changed in `(after, until]`, and of those that wait."""
    statement = _letters(campaign_id, until)
    if after is not None:
        columns = statement.selected_columns
        statement = statement.where(sa.or_(columns["state_since"] > after, columns["state"].in_(("queued", "sending"))))
    return fetch(connection, statement, LETTER_HISTORY_COLUMNS)


def accounts_as_of(
    connection: sa.Connection, campaign_id: int | None, run_seq: int, *, low: str | None = None, high: str | None = None, chunk: int = CHUNK
) -> Iterator[pd.DataFrame]:
    """`RECORD_COLUMNS` of the accounts as a run left them, in order of id, a chunk of at most `chunk` rows at a time.

    `[low, high)` bounds the ids, byte by byte; None is no bound. Memory does not grow with the number of accounts.
    """
    seen: str | None = None
    while True:
        frame = fetch(connection, _accounts(campaign_id, run_seq, low, high, seen, chunk), RECORD_COLUMNS)
        if not frame.empty:
            seen = str(frame["account_id"].iloc[-1])
            yield frame
        if len(frame) < chunk:
            return


def changes_of_run(connection: sa.Connection, run_seq: int) -> pd.DataFrame:
    """`RECORDED_CHANGE_COLUMNS` of the changes a run saw, by account; `state` is today's."""
    wanted = sa.select(*(change.c[name] for name in RECORDED_CHANGE_COLUMNS)).where(change.c.run_seq == run_seq)
    return fetch(connection, wanted.order_by(change.c.account_id, change.c.seq), RECORDED_CHANGE_COLUMNS)


def _letters(campaign_id: int | None, at: datetime) -> sa.Select[Any]:
    event = letter_event.c
    newest = (
        sa.select(
            event.letter_id,
            sa.func.max(event.id).label("newest"),
            sa.func.min(event.at).label("queued_at"),
            sa.func.sum(sa.case((event.to_state == "sending", 1), else_=0)).label("attempts"),
        )
        .where(event.at <= at)
        .group_by(event.letter_id)
        .subquery()
    )
    last = letter_event.alias()
    columns = {
        "letter_id": letter.c.id, "tenure": notice.c.tenure, "told_cutoff": notice.c.told_cutoff, "state": last.c.to_state,
        "state_since": last.c.at, "reason": last.c.reason, "reply": last.c.reply, "attempts": newest.c.attempts,
        "queued_at": newest.c.queued_at,
    }  # fmt: skip
    return (
        sa.select(*((columns[name] if name in columns else letter.c[name]).label(name) for name in LETTER_HISTORY_COLUMNS))
        .select_from(letter.join(notice, letter.c.notice_id == notice.c.id).join(newest, newest.c.letter_id == letter.c.id))
        .join(last, last.c.id == newest.c.newest)
        .where(letter.c.campaign_id == campaign_id)
        .order_by(letter.c.id)
    )


def _accounts(campaign_id: int | None, run_seq: int, low: str | None, high: str | None, seen: str | None, chunk: int) -> sa.Select[Any]:
    def versions(table: sa.Table, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        t = table.c
        bounds = [t.account_id >= low] if low is not None else []
        bounds += [t.account_id < high] if high is not None else []
        bounds += [t.account_id > seen] if seen is not None else []
        return sa.select(*(t[name] for name in RECORD_COLUMNS)).where(t.campaign_id == campaign_id, t.since_run <= run_seq, *where, *bounds)

    both = versions(account).union_all(versions(account_history, account_history.c.until_run > run_seq)).subquery()
    return sa.select(*both.c).order_by(both.c.account_id).limit(chunk)
