"""The outbox, as runs and people use it: withdraws letters, records decisions on them, and counts them (design §7, §8).

A run queues letters (`queueing`) and withdraws those that have become pointless in the transaction that records it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from migrate.core.words import PAST_CUTOFF, WAITING
from migrate.errors import LedgerError
from migrate.ledger.clock import real_now
from migrate.ledger.listed import batches
from migrate.ledger.references import as_typed
from migrate.ledger.schema import ENDED, UNSETTLED, campaign, indexed, letter, letter_event, mandatory, notice
from migrate.ledger.states import STATES, LetterState, objection
from migrate.outbox.transitions import FRESH, IDLE, move

if TYPE_CHECKING:
    import pandas as pd


def withdraw(connection: sa.Connection, letters: pd.DataFrame, now: datetime, *, actor: str, run_seq: int | None = None) -> list[int]:
    """Withdraws letters (`letter_id`, `reason`) that are still `queued` or `claimed`; the ids of those that were withdrawn.

    A letter that a worker has made `sending` in the meantime is not withdrawn.
    """
    done: list[int] = []
    for reason, ids in letters.groupby("reason", sort=False)["letter_id"]:
        done += _take_out(connection, [int(i) for i in ids], now, actor=actor, run_seq=run_seq, reason=str(reason))
    return done


def _take_out(
    connection: sa.Connection, letters: Sequence[int], now: datetime, *, actor: str, reason: str, run_seq: int | None = None
) -> list[int]:
    """Withdraws letters (ids) that the mail server has not heard of; the ids of those that were withdrawn.

    A worker that has claimed one of them notices when it tries to make the letter `sending`.
    """
    said: dict[str, Any] = {"at": now, "actor": actor, "run_seq": run_seq, "reason": reason}
    done = move(connection, letters, "queued", "withdrawn", values={"settled_at": now}, **said)
    if len(done) < len(letters):
        others = sorted(set(letters).difference(done))
        done += move(connection, others, "claimed", "withdrawn", values=IDLE | {"settled_at": now}, **said)
    return done


def withdraw_reminders(
    connection: sa.Connection, campaign_id: int, accounts: Collection[str], now: datetime, *, actor: str, reason: str
) -> list[int]:
    """Withdraws the letters of some accounts that still wait, mandatory mail excepted; the ids of those letters."""
    waiting = (letter.c.campaign_id == campaign_id, letter.c.state.in_(WAITING), ~mandatory(letter))
    wanted = sa.select(letter.c.id).where(*waiting).order_by(letter.c.id)
    parts = (wanted.where(letter.c.account_id.in_(ids)) for ids in batches(sorted(accounts)))
    found = [letter_id for part in parts for letter_id in connection.execute(part).scalars()]
    return _take_out(connection, found, now, actor=actor, reason=reason)


def reminders_waiting(connection: sa.Connection, campaign_id: int, after: datetime | None = None) -> int:
    """How many letters that are not mandatory are queued. With `after`, only those that end later or never."""
    waiting = [letter.c.campaign_id == campaign_id, letter.c.state == "queued", ~mandatory(letter)]
    waiting += [] if after is None else [sa.or_(letter.c.ends.is_(None), letter.c.ends > after)]
    return int(connection.execute(sa.select(sa.func.count()).where(*waiting)).scalar_one())


def waiting_since(connection: sa.Connection, campaign_id: int, instant: datetime) -> int:
    """How many queued letters could have gone since an instant: they were queued by then, and not put off to a later time."""
    free = sa.func.coalesce(letter.c.not_before, letter.c.queued_at) <= instant
    waiting = (letter.c.campaign_id == campaign_id, letter.c.state == "queued", free)
    return int(connection.execute(sa.select(sa.func.count()).where(*waiting)).scalar_one())


def put_off_until(connection: sa.Connection, campaign_id: int) -> datetime | None:
    """The latest instant (UTC) before which a queued letter is not tried again; it may have passed. None if no letter was put off."""
    waiting = (letter.c.campaign_id == campaign_id, letter.c.state == "queued")
    found: datetime | None = connection.execute(sa.select(sa.func.max(letter.c.not_before)).where(*waiting)).scalar_one()
    return found


def decide(connection: sa.Connection, ref: str, after: LetterState, now: datetime, *, actor: str, reason: str | None = None) -> None:
    """Records a person's decision on a letter (design §9): an uncertain letter was `sent`, or a failed or uncertain one is `queued` again.

    Raises LedgerError if there is no such letter, or if its state leaves nothing to decide.
    """
    found = find(connection, ref)
    if found is None:
        raise LedgerError(f"there is no letter {as_typed(ref)}.", hint="`migrate explain ACCOUNT` lists an account's letters.")
    before: LetterState = found["state"]
    wrong = objection(before, after, found["reason"]) or (None if before in ("failed", "uncertain") else f"this letter is {before}")
    values = FRESH if after == "queued" else {"settled_at": now}
    moved = None if wrong else move(connection, [found["id"]], before, after, at=now, actor=actor, reason=reason, values=values)
    if not moved:
        raise LedgerError(
            f"letter {as_typed(ref)}: {wrong or 'it changed meanwhile'}; nothing was changed.",
            hint=f"`migrate explain {as_typed(ref)}` shows it.",
        )


def find(connection: sa.Connection, ref: str) -> sa.RowMapping | None:
    """The letter of a reference, however it is typed: the letter's columns, its notice's `tenure`, `told_cutoff` and `change_seq`, and the
    campaign's name as `campaign`; None if there is none."""
    joined = letter.join(notice, letter.c.notice_id == notice.c.id).join(campaign, letter.c.campaign_id == campaign.c.id)
    of_notice = (notice.c.tenure, notice.c.told_cutoff, notice.c.change_seq)
    wanted = sa.select(letter, *of_notice, campaign.c.name.label("campaign")).select_from(joined).where(letter.c.reference == as_typed(ref))
    return connection.execute(wanted).mappings().first()


def counts(connection: sa.Connection, campaign_id: int | None) -> dict[str, int]:
    """State → how many letters of a campaign are in it, for every state."""
    grouped = sa.select(letter.c.state, sa.func.count()).where(letter.c.campaign_id == campaign_id).group_by(letter.c.state)
    # Each part is counted by an index alone, without reading millions of rows.
    parts = sa.union_all(*(grouped.where(which) for which in (letter.c.state == "queued", indexed(UNSETTLED), indexed(ENDED))))
    return dict.fromkeys(STATES, 0) | {state: int(number) for state, number in connection.execute(parts)}


def queued(connection: sa.Connection, campaign_id: int) -> int:
    """How many letters of a campaign are queued."""
    waiting = (letter.c.campaign_id == campaign_id, letter.c.state == "queued")
    return int(connection.execute(sa.select(sa.func.count()).where(*waiting)).scalar_one())


def queued_for_any_hour(connection: sa.Connection, campaign_id: int, ending_by: datetime | None) -> int:
    """How many queued letters of a campaign need not wait for the send hours: confirmations, and letters that end by `ending_by`."""
    hurried = mandatory(letter) if ending_by is None else sa.or_(mandatory(letter), letter.c.ends <= ending_by)
    waiting = (letter.c.campaign_id == campaign_id, letter.c.state == "queued", hurried)
    return int(connection.execute(sa.select(sa.func.count()).where(*waiting)).scalar_one())


def held(connection: sa.Connection, campaign_id: int) -> bool:
    """Whether a live worker has letters of a campaign in hand: letters whose lease has not expired, by the real clock."""
    states, live = letter.c.state.in_(("claimed", "sending")), letter.c.lease_until > real_now(connection)
    wanted = sa.select(letter.c.id).where(letter.c.campaign_id == campaign_id, indexed(UNSETTLED), states, live)
    return connection.execute(wanted.limit(1)).first() is not None


def withdrawn_by(connection: sa.Connection, actors: Sequence[str], since: datetime) -> int:
    """How many letters these runs and workers withdrew, at or after an instant."""
    event = letter_event.c
    wanted = sa.select(sa.func.count()).where(event.at >= since, event.to_state == "withdrawn", event.actor.in_(actors))
    return int(connection.execute(wanted).scalar_one())


def moved(connection: sa.Connection, campaign_id: int, since: datetime, until: datetime) -> dict[str, int]:
    """How many letters became sent, failed, uncertain and withdrawn between two instants, by anybody, and how many were queued at the
    end."""
    event = letter_event.c
    within = (letter.c.campaign_id == campaign_id, event.at <= until)
    joined = letter_event.join(letter, letter.c.id == event.letter_id)
    by_state = sa.select(event.to_state, sa.func.count()).select_from(joined).where(*within, event.at >= since).group_by(event.to_state)
    counts = {state: int(count) for state, count in connection.execute(by_state)}
    newest = sa.select(sa.func.max(event.id)).select_from(joined).where(*within).group_by(event.letter_id)
    waiting = sa.select(sa.func.count()).where(event.id.in_(newest), event.to_state == "queued")
    letters = {state: counts.get(state, 0) for state in ("sent", "failed", "uncertain", "withdrawn")}
    return letters | {"queued": int(connection.execute(waiting).scalar_one())}


def too_late(connection: sa.Connection, actors: Sequence[str], since: datetime) -> int:
    """How many letters these runs and workers withdrew past their end, at or after an instant, without a single try."""
    event = letter_event.c
    by_them = (event.at >= since, event.to_state == "withdrawn", event.reason == PAST_CUTOFF, event.actor.in_(actors))
    joined = letter_event.join(letter, letter.c.id == event.letter_id)
    wanted = sa.select(sa.func.count()).select_from(joined).where(*by_them, letter.c.attempts == 0)
    return int(connection.execute(wanted).scalar_one())
