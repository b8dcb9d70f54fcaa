"""Queues the letters of a run (design §7).

A notice has one letter for each address, for ever. If the same letter is queued again, it goes back into the queue if it was withdrawn; in
any other state it stays as it is.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from migrate.core.words import REVIEWER
from migrate.ledger.insertion import inserting
from migrate.ledger.listed import BATCH, batches, in_list
from migrate.ledger.references import reference
from migrate.ledger.schema import campaign, letter, micros, notice, run
from migrate.outbox.transitions import FRESH, move, record

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
