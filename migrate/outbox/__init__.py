"""The outbox, as a run and people use it: queues letters and withdraws those that have become pointless (design §7, §8).

A run does both in the transaction that records it. A notice has one letter for each address, for ever. If the same letter is queued again,
it goes back into the queue if it was withdrawn; in any other state it stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from migrate.core.words import PAST_CUTOFF, REVIEWER, WAITING
from migrate.errors import LedgerError
from migrate.ledger.clock import real_now
from migrate.ledger.insertion import inserting
from migrate.ledger.listed import BATCH, batches, in_list
from migrate.ledger.references import as_typed, reference
from migrate.ledger.schema import ENDED, UNSETTLED, campaign, indexed, letter, letter_event, mandatory, micros, notice, run
from migrate.ledger.states import STATES, LetterState, objection
from migrate.outbox.transitions import FRESH, IDLE, move, record

if TYPE_CHECKING:
    import pandas as pd

QUEUE_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str", "tenure": "int32", "kind": "str", "occasion": "str", "told_cutoff": "str", "change_seq": "int32",
    "language": "str", "standing": "str", "days_left": "int32", "facts": "str", "address": "str", "role": "str",
    "ends": "datetime64[us, UTC]", "priority": "int32", "last_told_at": "datetime64[us, UTC]", "message_id": "str",
}  # fmt: skip
"""The columns of a letter to be queued; other columns are ignored. `change_seq` is 0 and `standing` is missing where they do not apply.
`facts` is JSON. `ends` is missing if the letter is never too late, `last_told_at` if the account was never told anything."""

_KEY: Final = ("account_id", "tenure", "occasion", "told_cutoff")
_key = itemgetter(*_KEY)
_SAID: Final = ("language", "standing", "days_left", "facts")
_ON_NOTICE: Final = (*_KEY, "kind", "change_seq", *_SAID)
_ON_LETTER: Final = ("account_id", "kind", "occasion", "address", "role", "ends", "priority", "last_told_at", "message_id")

_KNOWN: Final = sa.select(*(notice.c[name] for name in _KEY), notice.c.id).where(
    notice.c.campaign_id == sa.bindparam("campaign"), in_list(notice.c.account_id, "ids"), in_list(notice.c.occasion, "occasions")
)
_UNDER_NOTICES: Final = sa.select(letter.c.notice_id, letter.c.address, letter.c.id, letter.c.state, letter.c.reason).where(
    in_list(letter.c.notice_id, "notices")
)
_TAKEN: Final = sa.select(letter.c.reference).where(in_list(letter.c.reference, "references"))
_OF_REFERENCES: Final = sa.select(letter.c.id).where(in_list(letter.c.reference, "references")).order_by(letter.c.id)

_Row = dict[str, Any]
_SILENT: Final[_Row] = dict.fromkeys(_SAID)


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What `enqueue` did: how many new notices, new letters, letters put back into the queue, and letters left as they were.

    `letter_ids` are those of the new letters and of the letters put back.
    """

    notices: int
    letters: int
    put_back: int
    untouched: int
    letter_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Queueing:
    connection: sa.Connection
    campaign_id: int
    run_seq: int
    actor: str
    secret: str
    now: datetime


def enqueue(connection: sa.Connection, campaign_id: int, run_seq: int, letters: pd.DataFrame, now: datetime) -> Enqueued:
    """Queues letters (`QUEUE_COLUMNS`) in the caller's transaction.

    There is never a second letter to one address under one notice. If there is one already, it is put back into the queue if it was
    withdrawn by anybody but a reviewer. In any other state, `failed` included, it stays as it is.
    """
    secret = connection.execute(sa.select(campaign.c.secret).where(campaign.c.id == campaign_id)).scalar_one()
    actor = connection.execute(sa.select(run.c.run_id).where(run.c.seq == run_seq)).scalar_one()
    queueing = _Queueing(connection, campaign_id, run_seq, actor, secret, now)
    notices, new, back, untouched = 0, [], [], 0
    for part in _parts(letters, secret):
        ids, before = _notices(queueing, part)
        notices += len(ids) - len(before)
        added, known = _divide(queueing, part, ids, before)
        returned = _put_back(queueing, known)
        new += _insert(queueing, added, ids, before)
        back += returned
        untouched += len(known) - len(returned)
    return Enqueued(notices, len(new), len(back), untouched, (*new, *back))


def _parts(letters: pd.DataFrame, secret: str) -> Generator[list[_Row], None, None]:
    """The letters as rows, some thousands at a time, each with its notice's `key` and the `reference` that it gets unless it is taken."""
    from migrate.ledger.frames import rows  # imports pandas, which nothing else here needs

    letters = letters[list(QUEUE_COLUMNS)].drop_duplicates([*_KEY, "address"])
    for start in range(0, len(letters), BATCH):
        part = rows(letters.iloc[start : start + BATCH])
        for row in part:
            row["change_seq"] = row["change_seq"] or None
            row["last_told_at"] = row["last_told_at"] or 0
            row["key"] = key = _key(row)
            row["reference"] = reference(secret, key, row["address"])
        yield part


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


def _notices(queueing: _Queueing, part: list[_Row]) -> tuple[dict[tuple[Any, ...], int], frozenset[tuple[Any, ...]]]:
    """The id of each notice of the part, inserted where it was missing; and the keys of the notices that existed before."""
    known = _known_notices(queueing, part)
    before = frozenset(row["key"] for row in part if row["key"] in known)
    fresh = {row["key"]: row for row in reversed(part) if row["key"] not in known}
    if fresh:
        same = {"campaign_id": queueing.campaign_id, "run_seq": queueing.run_seq, "created_at": micros(queueing.now)}
        _insert_rows(queueing.connection, notice, same, _columns(list(reversed(fresh.values())), _ON_NOTICE))
        known = _known_notices(queueing, part)
    return {row["key"]: known[row["key"]] for row in part}, before


def _known_notices(queueing: _Queueing, part: list[_Row]) -> dict[tuple[Any, ...], int]:
    ids, occasions = sorted({row["account_id"] for row in part}), sorted({row["occasion"] for row in part})
    found = queueing.connection.execute(_KNOWN, {"campaign": queueing.campaign_id, "ids": ids, "occasions": occasions})
    return {tuple(row[:-1]): int(row[-1]) for row in found}


def _divide(
    queueing: _Queueing, part: list[_Row], ids: dict[tuple[Any, ...], int], before: frozenset[tuple[Any, ...]]
) -> tuple[list[_Row], list[tuple[int, str | None, str, _Row]]]:
    """The rows without a letter yet; and of the others the letter's id, reason and state, with the row."""
    there: dict[tuple[int, str], Any] = {}
    if before:
        under = queueing.connection.execute(_UNDER_NOTICES, {"notices": [ids[key] for key in before]})
        there = {(found.notice_id, found.address): found for found in under}
    added: list[_Row] = []
    known: list[tuple[int, str | None, str, _Row]] = []
    for row in part:
        found = there.get((ids[row["key"]], row["address"])) if there else None
        if found is None:
            added.append(row)
        else:
            known.append((int(found.id), found.reason, found.state, row))
    return added, known


def _put_back(queueing: _Queueing, known: list[tuple[int, str | None, str, _Row]]) -> list[int]:
    """Queues withdrawn letters again, with the text of this decision; never one that a reviewer withdrew."""
    said = {id_: row for id_, reason, state, row in known if state == "withdrawn" and reason != REVIEWER}
    back = move(
        queueing.connection,
        list(said),
        "withdrawn",
        "queued",
        at=queueing.now,
        actor=queueing.actor,
        run_seq=queueing.run_seq,
        only=[sa.or_(letter.c.reason.is_(None), letter.c.reason != REVIEWER)],
        values=FRESH | {"queued_at": queueing.now},
    )
    if back:
        changed = ("role", "ends", "priority", "last_told_at", *_SAID)
        new = sa.update(letter).where(letter.c.id == sa.bindparam("this")).values({name: sa.bindparam(f"new_{name}") for name in changed})
        queueing.connection.execute(new, [{"this": id_} | {f"new_{name}": said[id_][name] for name in changed} for id_ in back])
    return back


def _insert(queueing: _Queueing, added: list[_Row], ids: dict[tuple[Any, ...], int], before: frozenset[tuple[Any, ...]]) -> list[int]:
    """Inserts letters. If the notice is of an earlier decision, the letter stores what this decision says."""
    if not added:
        return []
    same = {
        "campaign_id": queueing.campaign_id, "state": "queued", "attempts": 0, "resent": False, "queued_at": micros(queueing.now),
    }  # fmt: skip
    references = _references(queueing, added)
    varying = _columns(added, _ON_LETTER) | {"notice_id": [ids[row["key"]] for row in added], "reference": references}
    if before:
        said = [row if row["key"] in before else _SILENT for row in added]
        varying |= _columns(said, _SAID)
    _insert_rows(queueing.connection, letter, same, varying)
    made = list(queueing.connection.execute(_OF_REFERENCES, {"references": references}).scalars())
    record(queueing.connection, made, None, "queued", at=queueing.now, actor=queueing.actor, run_seq=queueing.run_seq)
    return made


def _columns(part: Sequence[_Row], names: Sequence[str]) -> dict[str, list[Any]]:
    """Column → its values in the rows."""
    return {name: [row[name] for row in part] for name in names}


def _insert_rows(connection: sa.Connection, table: sa.Table, same: dict[str, Any], varying: dict[str, list[Any]]) -> None:
    """Inserts rows: `same` and `varying` as in `inserting`."""
    inserting(connection, table, same, varying, len(next(iter(varying.values()))))(slice(None))


def _references(queueing: _Queueing, added: list[_Row]) -> list[str]:
    """A reference for each row that no letter has yet. If one is taken, the next salt gives another one."""
    chosen: dict[str, int] = {}
    waiting, salt = list(range(len(added))), 0
    while waiting:
        wanted = {i: _reference(queueing.secret, added[i], salt) for i in waiting}
        taken = {
            ref for part in batches(list(wanted.values())) for ref in queueing.connection.execute(_TAKEN, {"references": part}).scalars()
        }
        for i, ref in wanted.items():
            if ref not in taken and ref not in chosen:
                chosen[ref] = i
        served = set(chosen.values())
        waiting, salt = [i for i in waiting if i not in served], salt + 1
    return sorted(chosen, key=chosen.__getitem__)


def _reference(secret: str, row: _Row, salt: int) -> str:
    first: str = row["reference"]
    return reference(secret, row["key"], row["address"], salt) if salt else first
