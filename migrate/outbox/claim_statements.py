"""The statements that claim letters, put together once: SQLAlchemy takes longer to write one than SQLite to run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from migrate.ledger import exemptions, mysql
from migrate.ledger.listed import BACKENDS, among, ids
from migrate.ledger.mysql import through
from migrate.ledger.schema import UNSETTLED, UtcInstant, indexed, letter, mandatory, notice
from migrate.ledger.states import LetterState
from migrate.outbox.claimed import ClaimedLetter

_S = TypeVar("_S", sa.Select[Any], sa.Update)

_Instant = datetime | sa.BindParameter[datetime]


def due(now: _Instant, only_confirmations: bool, ending_by: _Instant) -> list[sa.ColumnElement[bool]]:
    """Letters that may be claimed at `now`."""
    wanted = at_any_hour(ending_by) if only_confirmations else []
    return [letter.c.state == "queued", sa.or_(letter.c.not_before.is_(None), letter.c.not_before <= now), *wanted]


def at_any_hour(ending_by: _Instant) -> list[sa.ColumnElement[bool]]:
    """Confirmations, and letters that end by `ending_by`."""
    return [sa.or_(mandatory(letter), letter.c.ends <= ending_by)]


def bound(ending_by: datetime | None) -> datetime:
    """`ending_by` as a parameter of a statement; None becomes the epoch, by which no letter ends."""
    return ending_by or datetime.fromtimestamp(0, UTC)


_NOW: Final = sa.bindparam("now", type_=UtcInstant)
_ENDING_BY: Final = sa.bindparam("ending_by", type_=UtcInstant)
_Column = sa.ColumnElement[Any]


def _column(name: str) -> _Column:
    """A field of ClaimedLetter in the tables. If a later decision than the notice's queued the letter, what that decision said stands in
    the letter's own row."""
    if name in ("language", "standing", "days_left", "facts"):
        return sa.func.coalesce(letter.c[name], notice.c[name])
    of_notice = name in ("account_id", "tenure", "kind", "occasion", "told_cutoff", "change_seq")
    return notice.c[name] if of_notice else letter.c["id" if name == "letter_id" else name]


_OF_CLAIM: Final = ("owner", "lease_until")
WHOLE: Final = (*(_column(name) for name in ClaimedLetter._fields if name not in (*_OF_CLAIM, "held_until")), exemptions.spares(letter))
"""The columns of a ClaimedLetter without those of the claim; the last is why its account is exempt or paused, if it is."""
WITH_NOTICE: Final = letter.join(notice, letter.c.notice_id == notice.c.id)


def _picking(index: str, *where: sa.ColumnElement[bool], order: Sequence[_Column] = (), whole: bool = False) -> sa.Select[Any]:
    """The ids of a campaign's letters that nobody else has locked; with `whole` all their columns (`WHOLE`). Locks them."""
    mine = letter.c.campaign_id == sa.bindparam("campaign")
    wanted = sa.select(*WHOLE).select_from(WITH_NOTICE) if whole else sa.select(letter.c.id)
    wanted = wanted.where(mine, *where).order_by(*order).limit(sa.bindparam("limit", type_=sa.Integer))
    return through(wanted, letter, index).with_for_update(skip_locked=True, of=letter if whole else None)


def _set(*names: str) -> dict[str, Any]:
    return {name: sa.bindparam(f"new_{name}", type_=letter.c[name].type) for name in names}


def _claiming(these: sa.ColumnElement[bool]) -> sa.Update:
    return sa.update(letter).where(these).values(state="claimed", **_set(*_OF_CLAIM))


def _starting(these: sa.ColumnElement[bool]) -> sa.Update:
    return sa.update(letter).where(these).values(state="sending", reason=None, **_set(*_OF_CLAIM, "claimed_at"))


_MINE: Final = letter.c.owner == sa.bindparam("old_owner", type_=letter.c.owner.type)


def _beginning(these: sa.ColumnElement[bool]) -> sa.Update:
    begun = _set("lease_until", "claimed_at")
    return sa.update(letter).where(these, letter.c.state == "claimed", _MINE).values(state="sending", reason=None, **begun)


def _begun(these: sa.ColumnElement[bool]) -> sa.Select[Any]:
    fresh = letter.c.lease_until == sa.bindparam("new_lease_until", type_=UtcInstant)
    return sa.select(letter.c.id).where(these, letter.c.state == "sending", _MINE, fresh)


_ORDER: Final = (letter.c.priority, letter.c.last_told_at, letter.c.queued_at, letter.c.id)
_NEXT: Final = {
    (confirmations, whole): _picking("ix_letter_claim", *due(_NOW, confirmations, _ENDING_BY), order=_ORDER, whole=whole)
    for confirmations in (False, True)
    for whole in (False, True)
}
LATE: Final = _picking("ix_letter_ends", letter.c.state == "queued", letter.c.ends <= _NOW)


def held_as(state: LetterState) -> sa.ColumnElement[bool]:
    """Letters in a state in which a worker holds them, by the index of unsettled letters."""
    return sa.and_(indexed(UNSETTLED), letter.c.state == state)


EXPIRED: Final = _picking("ix_letter_unsettled", held_as("sending"), letter.c.lease_until <= _NOW)
UNBEGUN: Final = _picking("ix_letter_unsettled", held_as("claimed"), letter.c.lease_until <= _NOW)
RESENT_BY_ITSELF: Final = (mandatory(letter), letter.c.resent.is_(False))
UNSURE: Final = _picking("ix_letter_unsettled", indexed(UNSETTLED), letter.c.state == "uncertain", *RESENT_BY_ITSELF)


def _by_id(statement: Callable[[sa.ColumnElement[bool]], _S]) -> dict[str, _S]:
    """For each database the statement about letters whose ids are a parameter."""
    return {backend: statement(among(backend, letter.c.id)) for backend in (*BACKENDS, *mysql.BACKENDS)}


_THESE_WHOLE: Final = _by_id(sa.select(*WHOLE).select_from(WITH_NOTICE).where)
CLAIM: Final = _by_id(_claiming)
START: Final = _by_id(_starting)
"""Claims letters and makes them `sending`."""
BEGIN: Final = _by_id(_beginning)
BEGUN: Final = _by_id(_begun)
_IN_ORDER: Final = sa.text("SET LOCAL enable_sort = off")


def picked(connection: sa.Connection, wanted: dict[str, Any], *, only_confirmations: bool) -> Sequence[sa.Row[Any]]:
    """The next letters in their order, locked; the columns are `WHOLE`."""
    backend = connection.dialect.name
    if backend == "sqlite":
        return connection.execute(_NEXT[only_confirmations, True], wanted).all()
    if backend == "postgresql":
        # Without fresh statistics PostgreSQL takes a queue of a million letters for one of a few, and sorts all of it for every claim.
        connection.execute(_IN_ORDER)
    # Servers lock the letters first and join the notices afterwards: in one statement some would lock the notices as well, and some
    # would read all notices for a few letters.
    next_ = connection.execute(_NEXT[only_confirmations, False], wanted).scalars().all()
    if not next_:
        return []
    found = connection.execute(_THESE_WHOLE[backend], ids(backend, next_) | {"today": wanted["today"]}).all()
    by_id = {row[0]: row for row in found}
    return [by_id[id_] for id_ in next_]
