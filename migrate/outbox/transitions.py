"""The only way to change a letter's state: compare, set, and record the event, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from migrate.ledger.listed import BACKENDS, LISTED, among, batches, columns_of, ids, in_list, listing
from migrate.ledger.mysql import through
from migrate.ledger.schema import letter, letter_event, micros
from migrate.ledger.states import LetterState, objection

Row = tuple[Any, ...]
Claim = tuple[int, datetime]
"""A letter's id and the end of its lease. The latter tells apart two claims that one worker made on the same letter."""

IDLE: Final[dict[str, Any]] = {"owner": None, "lease_until": None}
FRESH: Final[dict[str, Any]] = {"reason": None, "reply": None, "attempts": 0, "not_before": None, "claimed_at": None, "settled_at": None}
"""The values of a letter that a person sends again, or that is due again after it was withdrawn: its tries begin anew."""


_LAST_SAID: Final = ("reply", "subject", "mail_digest", "message_digest")
_EVENT: Final = ("letter_id", "at", "run_seq", "actor", "from_state", "to_state", "reason", "reply")
_OF_STEP: Final = (
    letter.c.id, letter.c.owner, letter.c.lease_until, letter.c.state, letter.c.attempts, letter.c.reason, letter.c.not_before,
    letter.c.settled_at, letter.c.reply, letter.c.subject, letter.c.mail_digest, letter.c.message_digest,
)  # fmt: skip
"""The columns of a letter that a step has values for, in the order of `Step.row`."""


def _given(column: str) -> sa.ColumnElement[Any]:
    """A parameter, cast to the type of its column, since not every database can infer it."""
    kind = letter_event.c[column].type
    return sa.cast(sa.bindparam(f"new_{column}", type_=kind), kind)


def _step(settled: Sequence[sa.ColumnElement[Any]], *where: sa.ColumnElement[bool]) -> sa.Update:
    """The UPDATE that settles a `sending` letter; `settled` are its new values from `state` on, as in `_OF_STEP`."""
    state, tried, reason, not_before, settled_at, *said = settled
    return (
        sa.update(letter)
        .where(*where)
        .values(
            state=state,
            reason=reason,
            not_before=not_before,
            settled_at=settled_at,
            attempts=letter.c.attempts + tried,
            owner=None,
            lease_until=None,
            **{name: sa.func.coalesce(new, letter.c[name]) for name, new in zip(_LAST_SAID, said, strict=True)},
        )
    )


_THESE: Final = in_list(letter.c.id, "ids")


def _events(*values: sa.ColumnElement[Any]) -> sa.Insert:
    there = through(sa.select(letter.c.id, *values).where(_THESE).order_by(letter.c.id), letter, "PRIMARY")
    return sa.insert(letter_event).from_select(_EVENT, there)


_MOVED: Final = _events(*(_given(name) for name in _EVENT[1:]))
_STEPPED: Final = _events(*(_given(name) for name in _EVENT[1:5]), letter.c.state, letter.c.reason, letter.c.reply)
_HELD: Final = through(
    sa.select(letter.c.id, letter.c.owner, letter.c.lease_until).where(letter.c.state == "sending", _THESE).with_for_update(),
    letter,
    "PRIMARY",
)
_NEW: Final = tuple(sa.bindparam(f"new_{column.name}", type_=column.type) for column in _OF_STEP)
"""The parameters begin with `new_`, since a parameter of an UPDATE must not have the name of a column that it sets."""
_STEP: Final = _step(_NEW[3:], letter.c.id == _NEW[0])
_NEW_NAMES: Final = tuple(parameter.key for parameter in _NEW)
_AFTER, _REASON, _REPLY = 3, 5, 8


class _Listed:
    """The statements for many letters at once, for databases that take rows as one parameter (`listed`).

    Events are inserted in the order of the rows, without ORDER BY: after `claim_statements._IN_ORDER` PostgreSQL avoids sorting.
    """

    def __init__(self, backend: str) -> None:
        (given,) = columns_of(backend, letter.c.id)
        begun = columns_of(backend, letter.c.id, letter_event.c.from_state, letter_event.c.to_state)
        same = [_given(name) for name in ("at", "run_seq", "actor")]
        nothing = [sa.cast(sa.null(), letter_event.c[name].type) for name in ("reason", "reply")]
        self.begun = sa.insert(letter_event).from_select(_EVENT, sa.select(begun[0], *same, *begun[1:], *nothing))
        self.moved = sa.insert(letter_event).from_select(_EVENT, sa.select(given, *(_given(name) for name in _EVENT[1:])))
        id_, owner, lease_until, *settled = columns_of(backend, *_OF_STEP)
        still = (letter.c.id == id_, letter.c.state == "sending", letter.c.owner == owner, letter.c.lease_until == lease_until)
        self.held = sa.select(id_, lease_until).where(*still)
        self.step: sa.UpdateBase = _step(settled, *still)
        # PostgreSQL writes a lock into the row. To ask first which claims hold, as other databases do, would write each row twice.
        if returns := backend == "postgresql":
            self.step = _step(settled, among(backend, letter.c.id), *still).returning(id_, lease_until)
        self.returns = returns
        after, reason, reply = settled[0], settled[2], settled[5]
        told = (id_, *(_given(name) for name in _EVENT[1:5]), after, reason, reply)
        self.stepped = sa.insert(letter_event).from_select(_EVENT, sa.select(*told))


_LISTED: Final = {backend: _Listed(backend) for backend in BACKENDS}


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
    """Moves letters (ids) from the state `before` to `after`, if they match `only`; the ids of those that moved, in the given order.

    A letter that somebody else has moved in the meantime is left alone. `values` are further columns to set. Raises ValueError for a
    transition that `TRANSITIONS` does not have, which is a mistake in the caller's code.
    """
    if wrong := objection(before, after):
        raise ValueError(wrong)
    moved: list[int] = []
    for some in batches(letters):
        there = sa.select(letter.c.id).where(_THESE, letter.c.state == before, *only).with_for_update()
        locked = set(connection.execute(through(there, letter, "PRIMARY"), {"ids": some}).scalars())
        found = [letter_id for letter_id in some if letter_id in locked]
        if not found:
            continue
        new = {"state": after, "reason": reason} | (values or {})
        connection.execute(sa.update(letter).where(_THESE).values(new), {"ids": found})
        record(connection, found, before, after, at=at, actor=actor, run_seq=run_seq, reason=reason, reply=reply)
        moved += found
    return moved


class Step(NamedTuple):
    """How one `sending` letter is settled. A value that is None leaves the column unchanged, except `reason` and `not_before`.

    `owner` and `lease_until` are those of the claim. If the claim was lost, the step does nothing.
    """

    letter_id: int
    owner: str
    lease_until: datetime
    after: LetterState
    tried: bool
    reason: str | None
    reply: str | None
    not_before: datetime | None
    subject: str | None
    mail_digest: str | None
    message_digest: str | None = None

    @property
    def claim(self) -> Claim:
        return self.letter_id, self.lease_until

    def row(self, at: datetime) -> Row:
        """The values for the columns `_OF_STEP`."""
        settled_at = None if self.after == "queued" else micros(at)
        not_before = None if self.not_before is None else micros(self.not_before)
        claim = (self.letter_id, self.owner, micros(self.lease_until))
        return (
            *claim, self.after, int(self.tried), self.reason, not_before, settled_at, self.reply, self.subject, self.mail_digest,
            self.message_digest,
        )  # fmt: skip


def move_each(connection: sa.Connection, steps: Sequence[Step], *, at: datetime, actor: str) -> frozenset[Claim]:
    """Settles `sending` letters, each by its own step, with a few statements for all of them. Returns the claims that still held.

    Letters whose claim was lost are left alone: somebody else decided on them.
    """
    for step in steps:
        if wrong := objection("sending", step.after):
            raise ValueError(wrong)
    rows = [step.row(at) for step in steps]
    if not rows:
        return frozenset()
    same = {"new_at": at, "new_run_seq": None, "new_actor": actor, "new_from_state": "sending"}
    listed = _LISTED.get(connection.dialect.name)
    if listed is None:
        return _move_each_by_id(connection, rows, same)
    given: dict[str, Any] = {LISTED: listing(rows)}
    held = frozenset(step.claim for step in steps)
    if listed.returns:
        given |= ids(connection.dialect.name, [step.letter_id for step in steps])
        held = _claims(connection, listed.step, given)
    else:
        moving = connection.begin_nested()
        if connection.execute(listed.step, given).rowcount == len(rows):
            moving.commit()  # nearly always all claims hold
        else:
            moving.rollback()  # which claims hold can only be asked before the letters move
            held = _claims(connection, listed.held, given)
            connection.execute(listed.step, given)
    if len(held) < len(rows):
        given |= {LISTED: listing(row for row, step in zip(rows, steps, strict=True) if step.claim in held)}
    connection.execute(listed.stepped, same | given)
    return held


def _claims(connection: sa.Connection, statement: sa.Executable, given: dict[str, Any]) -> frozenset[Claim]:
    return frozenset((letter_id, lease_until) for letter_id, lease_until in connection.execute(statement, given))


def _move_each_by_id(connection: sa.Connection, rows: Sequence[Row], same: dict[str, Any]) -> frozenset[Claim]:
    found = connection.execute(_HELD, {"ids": [row[0] for row in rows]})
    claims = {(letter_id, owner, micros(lease_until)): (letter_id, lease_until) for letter_id, owner, lease_until in found}
    held = [row for row in rows if row[:3] in claims]
    if not held:
        return frozenset()
    connection.execute(_STEP, [dict(zip(_NEW_NAMES, row, strict=True)) for row in held])
    told = [row[0] for row in held if row[_REPLY] is not None]
    if told:
        connection.execute(_STEPPED, same | {"ids": told})
    silent = [row for row in held if row[_REPLY] is None]
    for after, reason in dict.fromkeys((row[_AFTER], row[_REASON]) for row in silent):
        alike = [row[0] for row in silent if (row[_AFTER], row[_REASON]) == (after, reason)]
        connection.execute(_MOVED, same | {"new_to_state": after, "new_reason": reason, "new_reply": None, "ids": alike})
    return frozenset(claims[row[:3]] for row in held)


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
    """Records the event that letters (ids) have reached the state `after`. `before` is None for new letters."""
    same: dict[str, Any] = {"new_at": at, "new_run_seq": run_seq, "new_actor": actor, "new_reason": reason, "new_reply": reply}
    same |= {"new_from_state": before, "new_to_state": after}
    listed = _LISTED.get(connection.dialect.name)
    for some in batches(letters):
        if listed is None:
            connection.execute(_MOVED, same | {"ids": some})
        else:
            connection.execute(listed.moved, same | {LISTED: listing((letter_id,) for letter_id in some)})


def record_begun(connection: sa.Connection, letters: Sequence[int], *, at: datetime, actor: str) -> None:
    """Records that queued letters (ids) were claimed and became `sending` in one step: two events of each, as of two steps."""
    steps: tuple[tuple[LetterState, LetterState], ...] = (("queued", "claimed"), ("claimed", "sending"))
    listed = _LISTED.get(connection.dialect.name)
    if listed is None:
        for before, after in steps:
            record(connection, letters, before, after, at=at, actor=actor)
        return
    for some in batches(letters):
        events = listing((letter_id, *step) for letter_id in some for step in steps)
        connection.execute(listed.begun, {"new_at": at, "new_run_seq": None, "new_actor": actor, LISTED: events})
