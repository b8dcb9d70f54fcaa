"""The one way a letter changes its state: compare, set, and write the event down, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from migrate.ledger.mysql import through
from migrate.ledger.schema import letter, letter_event
from migrate.ledger.states import LetterState, refuse

_T = TypeVar("_T")

BATCH: Final = 5_000
"""Values in one IN list: below the limits of every database, above the point where the round trips count."""

IDLE: Final[dict[str, Any]] = {"owner": None, "lease_until": None}
FRESH: Final[dict[str, Any]] = {"reason": None, "reply": None, "attempts": 0, "not_before": None, "claimed_at": None, "settled_at": None}
"""What a letter that goes back into the queue for another reason than a temporary failure leaves behind."""


_LAST_SAID: Final = ("reply", "subject", "mail_digest")
_STEP: Final = (
    sa.update(letter)
    .where(letter.c.id == sa.bindparam("letter_id"))
    .values(
        state=sa.bindparam("after"),
        reason=sa.bindparam("new_reason"),
        not_before=sa.bindparam("new_not_before"),
        settled_at=sa.bindparam("new_settled_at"),
        attempts=letter.c.attempts + sa.bindparam("tried"),
        owner=None,
        lease_until=None,
        **{
            name: sa.func.coalesce(sa.bindparam(f"new_{name}", type_=sa.Text), letter.c[name])
            for name in ("reply", "subject", "mail_digest")
        },
    )
)
"""An UPDATE may not name a parameter as a column it sets, hence `new_`."""

_EVENT: Final = ("letter_id", "at", "run_seq", "actor", "from_state", "to_state", "reason", "reply")


def _given(column: str) -> sa.ColumnElement[Any]:
    """A value to be given, said to be of its column's type: no database has to guess it."""
    kind = letter_event.c[column].type
    return sa.cast(sa.bindparam(f"new_{column}", type_=kind), kind)


def _events(*values: sa.ColumnElement[Any]) -> sa.Insert:
    these = letter.c.id.in_(sa.bindparam("ids", expanding=True))
    return sa.insert(letter_event).from_select(
        _EVENT, through(sa.select(letter.c.id, *values).where(these).order_by(letter.c.id), letter, "PRIMARY")
    )


_MOVED: Final = _events(*(_given(name) for name in _EVENT[1:]))
_STEPPED: Final = _events(*(_given(name) for name in _EVENT[1:5]), letter.c.state, letter.c.reason, letter.c.reply)
"""One statement for the events of many letters; those of steps are written from the letters as they stand then."""


def move(
    connection: sa.Connection,
    letters: Sequence[int],
    before: LetterState,
    after: LetterState,
    *,
    at: datetime,
    actor: str,
    run_seq: int | None = None,
    reason: str | None = None,
    reply: str | None = None,
    only: Sequence[sa.ColumnElement[bool]] = (),
    values: dict[str, Any] | None = None,
) -> list[int]:
    """Move those of the letters (ids) that are `before` and match `only` to `after`; the ids that moved, in the order given.

    A letter that somebody else moved meanwhile is left alone and not among them. `values` are further columns to set. A move that
    `TRANSITIONS` does not have is a ValueError of the caller's making.
    """
    if wrong := refuse(before, after):
        raise ValueError(wrong)
    moved: list[int] = []
    for ids in batches(letters):
        there = sa.select(letter.c.id).where(letter.c.id.in_(ids), letter.c.state == before, *only).with_for_update()
        locked = set(connection.execute(through(there, letter, "PRIMARY")).scalars())
        found = [letter_id for letter_id in ids if letter_id in locked]
        if not found:
            continue
        new = {"state": after, "reason": reason} | (values or {})
        connection.execute(sa.update(letter).where(letter.c.id.in_(found)).values(new))
        record(connection, found, before, after, at=at, actor=actor, run_seq=run_seq, reason=reason, reply=reply)
        moved += found
    return moved


@dataclass(frozen=True, slots=True)
class Step:
    """One claimed letter's own way out of `sending`; what is None is left as it stands, but for `reason` and `not_before`."""

    letter_id: int
    after: LetterState
    tried: bool
    reason: str | None
    reply: str | None
    not_before: datetime | None
    subject: str | None
    mail_digest: str | None


def move_each(connection: sa.Connection, steps: Sequence[Step], *, at: datetime, actor: str) -> None:
    """Move letters that are `sending`, and that this transaction has locked, each its own way: a few statements for all of them."""
    if not steps:
        return
    rows = []
    for step in steps:
        if wrong := refuse("sending", step.after):
            raise ValueError(wrong)
        new = {f"new_{name}": getattr(step, name) for name in ("reason", "not_before", *_LAST_SAID)}
        settled_at = None if step.after == "queued" else at
        rows.append(new | {"letter_id": step.letter_id, "after": step.after, "tried": int(step.tried), "new_settled_at": settled_at})
    connection.execute(_STEP, rows)
    told = [step.letter_id for step in steps if step.reply is not None]
    if told:
        same = {"new_at": at, "new_run_seq": None, "new_actor": actor, "new_from_state": "sending"}
        connection.execute(_STEPPED, same | {"ids": told})
    for after, reason in dict.fromkeys((step.after, step.reason) for step in steps if step.reply is None):
        silent = [step.letter_id for step in steps if step.reply is None and (step.after, step.reason) == (after, reason)]
        record(connection, silent, "sending", after, at=at, actor=actor, reason=reason)


def record(
    connection: sa.Connection,
    letters: Sequence[int],
    before: LetterState | None,
    after: LetterState,
    *,
    at: datetime,
    actor: str,
    run_seq: int | None = None,
    reason: str | None = None,
    reply: str | None = None,
) -> None:
    """Write the event of a state that letters (ids) have just reached; `before` is None for new ones."""
    same: dict[str, Any] = {"new_at": at, "new_run_seq": run_seq, "new_actor": actor, "new_reason": reason, "new_reply": reply}
    same |= {"new_from_state": before, "new_to_state": after}
    for ids in batches(letters):
        connection.execute(_MOVED, same | {"ids": ids})


def batches(values: Sequence[_T], size: int | None = None) -> Iterator[Sequence[_T]]:
    """The values in slices of a size (`BATCH`)."""
    size = size or BATCH
    for start in range(0, len(values), size):
        yield values[start : start + size]
