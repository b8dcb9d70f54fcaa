"""Whether letters, their events and their notices agree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from migrate.core.kinds import EVERY_ADDRESS
from migrate.core.words import CONFIRMATION, STANDS
from migrate.ledger.clock import real_now
from migrate.ledger.consistency.database import Check, rows
from migrate.ledger.references import reference
from migrate.ledger.schema import account, campaign, letter, letter_event, notice, written_out
from migrate.ledger.states import AS_BEFORE, TRANSITIONS

_DATED: Final = ("sent", "failed", "uncertain", "withdrawn")
"""The states in which a letter has `settled_at`."""
_TRIED: Final = ("sent", "failed", "uncertain")
_HELD: Final = ("claimed", "sending")
_OF_NOBODY: Final = ("manager_digest", "run_summary")
"""The kinds of notice that go to people without an account (design §8)."""
_SALTS: Final = 10
"""If a reference is taken, the next salt gives another one. This many attempts are more than any letter needs."""
_LONGEST_LEASE: Final = timedelta(days=1)


def _last_event(connection: sa.Connection) -> Iterator[str]:
    last, joined = _with_last_event()
    said = sa.func.coalesce(last.c.to_state, "nothing").label("said")
    differs = sa.select(letter.c.reference, letter.c.state, said).select_from(joined)
    differs = differs.where(sa.or_(last.c.to_state.is_(None), last.c.to_state != letter.c.state)).order_by(letter.c.id)
    return rows(connection, differs, "letter {reference} is {state}; its last event says {said}")


def _with_last_event() -> tuple[sa.FromClause, sa.Join]:
    newest = sa.select(letter_event.c.letter_id, sa.func.max(letter_event.c.id).label("id")).group_by(letter_event.c.letter_id).subquery()
    last = letter_event.alias()
    return last, letter.outerjoin(newest, newest.c.letter_id == letter.c.id).outerjoin(last, last.c.id == newest.c.id)


def _chain(connection: sa.Connection) -> Iterator[str]:
    event = letter_event.c
    previous = sa.func.lag(event.to_state).over(partition_by=event.letter_id, order_by=event.id).label("before")
    steps = sa.select(event.id, event.letter_id, event.from_state, event.to_state, previous).subquery()
    was, now, before = (sa.func.coalesce(steps.c[name], "nothing") for name in ("from_state", "to_state", "before"))
    drawn = sa.or_(*(sa.and_(was == first, now == then) for first, then in (*TRANSITIONS, *AS_BEFORE, ("nothing", "queued"))))
    named = (letter.c.reference, was.label("was"), now.label("now"), before.label("before"))
    broken = sa.select(steps.c.id, *named).select_from(steps.join(letter, letter.c.id == steps.c.letter_id))
    broken = broken.where(sa.or_(was != before, ~drawn)).order_by(steps.c.id)
    return rows(connection, broken, "event {id} moves letter {reference} from {was} to {now}; it was {before} before")


def _of_notice(connection: sa.Connection) -> Iterator[str]:
    same = [letter.c[name] == notice.c[name] for name in ("campaign_id", "account_id", "kind", "occasion")]
    joined = letter.outerjoin(notice, notice.c.id == letter.c.notice_id)
    lost = sa.select(letter.c.reference, letter.c.notice_id).select_from(joined)
    lost = lost.where(sa.or_(notice.c.id.is_(None), ~sa.and_(*same))).order_by(letter.c.id)
    return rows(connection, lost, "letter {reference} names notice {notice_id}, which does not exist or is about something else")


def _silent(connection: sa.Connection) -> Iterator[str]:
    silent = sa.select(notice.c.id, notice.c.account_id, notice.c.occasion).where(~sa.exists().where(letter.c.notice_id == notice.c.id))
    return rows(connection, silent.order_by(notice.c.id), "notice {id} ({occasion} for {account_id!r}) has no letter")


def _leases(connection: sa.Connection) -> Iterator[str]:
    held = (letter.c.owner.is_not(None), letter.c.lease_until.is_not(None))
    taken = letter.c.state.in_(_HELD)
    wrong = sa.or_(sa.and_(taken, ~sa.and_(*held)), sa.and_(~taken, sa.or_(*held)))
    found = sa.select(letter.c.reference, letter.c.state).where(wrong).order_by(letter.c.id)
    yield from rows(
        connection,
        found,
        "letter {reference} is {state}; only a letter that is claimed or sending has an owner and a lease, and it has both",
    )
    odd = letter.c.lease_until > real_now(connection) + _LONGEST_LEASE
    endless = sa.select(letter.c.reference).where(taken, odd).order_by(letter.c.id)
    yield from rows(connection, endless, "letter {reference} has a lease that does not end within a day")


def _settled(connection: sa.Connection) -> Iterator[str]:
    done, dated = letter.c.state.in_(_DATED), letter.c.settled_at.is_not(None)
    found = sa.select(letter.c.reference, letter.c.state).where(sa.or_(sa.and_(done, ~dated), sa.and_(~done, dated))).order_by(letter.c.id)
    yield from rows(connection, found, "letter {reference} is {state}, and its settled_at says otherwise")
    last, joined = _with_last_event()
    differs = sa.and_(done, last.c.to_state == letter.c.state, last.c.at != letter.c.settled_at)
    later = sa.select(letter.c.reference, letter.c.state).select_from(joined).where(differs).order_by(letter.c.id)
    yield from rows(connection, later, "letter {reference} became {state} at another instant than its settled_at")


def _attempts(connection: sa.Connection) -> Iterator[str]:
    event = letter_event.c
    begun = sa.select(sa.func.count()).where(event.letter_id == letter.c.id, event.to_state == "sending").scalar_subquery()
    tried = sa.select(letter.c.reference, letter.c.state, letter.c.attempts, begun.label("begun"))
    wrong = sa.or_(letter.c.attempts > begun, sa.and_(letter.c.state.in_(_TRIED), letter.c.attempts < 1))
    return rows(
        connection,
        tried.where(wrong).order_by(letter.c.id),
        "letter {reference} is {state} after {attempts} tries, and {begun} times a worker began with it",
    )


def _references(connection: sa.Connection) -> Iterator[str]:
    key = (notice.c.account_id, notice.c.tenure, notice.c.occasion, notice.c.told_cutoff)
    joined = letter.join(notice, notice.c.id == letter.c.notice_id).join(campaign, campaign.c.id == letter.c.campaign_id)
    wanted = sa.select(letter.c.reference, letter.c.address, campaign.c.secret, *key).select_from(joined).order_by(letter.c.id)
    for ref, address, secret, *parts in connection.execute(wanted):
        if all(ref != reference(secret, tuple(parts), address, salt) for salt in range(_SALTS)):
            yield f"letter {ref} to {address} does not have the reference of its notice and address"


def _once(connection: sa.Connection) -> Iterator[str]:
    stands = sa.and_(letter.c.notice_id == notice.c.id, ~written_out(letter.c.kind, sorted(EVERY_ADDRESS)), letter.c.state.in_(STANDS))
    of, number = (notice.c.id, notice.c.occasion, notice.c.account_id), sa.func.count(letter.c.id).label("number")
    several = sa.select(*of, number).select_from(notice.join(letter, stands)).group_by(*of)
    several = several.having(sa.func.count(letter.c.id) > 1).order_by(notice.c.id)
    return rows(connection, several, "notice {id} ({occasion} for {account_id!r}) has {number} letters that are waiting, sent or uncertain")


def _cutoffs(connection: sa.Connection) -> Iterator[str]:
    wanted = sa.select(notice.c.id, notice.c.kind, notice.c.occasion, notice.c.told_cutoff).where(notice.c.kind.not_in(_OF_NOBODY))
    for row in connection.execute(wanted.order_by(notice.c.id)):
        if row.kind == CONFIRMATION and row.told_cutoff:
            yield f"notice {row.id} ({row.occasion}) confirms a change, and names the cutoff {row.told_cutoff}"
        elif row.kind != CONFIRMATION and not _is_instant(row.told_cutoff):
            yield f"notice {row.id} ({row.occasion}) names the cutoff {row.told_cutoff!r}, which is no instant"


def _people(connection: sa.Connection) -> Iterator[str]:
    mine = sa.and_(account.c.campaign_id == notice.c.campaign_id, account.c.account_id == notice.c.account_id)
    wanted = sa.select(notice.c.id, notice.c.account_id, notice.c.tenure).select_from(notice.outerjoin(account, mine))
    lost = sa.or_(account.c.tenure.is_(None), ~notice.c.tenure.between(1, account.c.tenure))
    found = wanted.where(notice.c.kind.not_in(_OF_NOBODY), lost).order_by(notice.c.id)
    return rows(connection, found, "notice {id} is for holder {tenure} of {account_id!r}, who is not recorded")


def _is_instant(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


CHECKS: Final[dict[str, tuple[str, Check]]] = {
    "last-event": ("a letter is in the state that its last event gave it", _last_event),
    "event-chain": ("each event begins with the state in which the event before ended, and is a transition that a letter can make", _chain),
    "letter-notice": ("a letter has the campaign, account, kind and occasion of its notice", _of_notice),
    "notice-letters": ("a notice has a letter", _silent),
    "references": ("a letter has the reference that its notice and address give", _references),
    "once": ("a notice that is no confirmation has at most one letter that is waiting, sent or uncertain", _once),
    "cutoffs": ("a notice names a cutoff, unless it is a confirmation", _cutoffs),
    "people": ("a notice is for a present or former holder of a known account", _people),
    "attempts": ("a letter has no more tries than times a worker began with it; one sent, failed or uncertain has a try", _attempts),
    "leases": ("a letter has an owner and a lease if, and only if, it is claimed or sending", _leases),
    "settled": ("a letter has settled_at if, and only if, it is settled", _settled),
}
