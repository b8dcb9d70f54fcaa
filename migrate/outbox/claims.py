"""Taking letters out of the outbox to send them: any number of workers on any number of hosts (design §9, §11).

A claim says who holds a letter and until when: it is `claimed`. Before a word about it is spoken it is made `sending`, committed. After the
lease of a worker that died `sweep` makes what was `sending` `uncertain`, for nobody can know whether the server took it, and puts back
into the queue what was only claimed. SQLite lets one writer in at a time; PostgreSQL and MariaDB skip what another worker is just claiming.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, Literal, NamedTuple, TypeVar

import sqlalchemy as sa

from migrate.core.kinds import MANDATORY
from migrate.core.words import PAST_CUTOFF
from migrate.ledger import exemptions, mysql
from migrate.ledger.clock import Clock, real_now
from migrate.ledger.engine import Ledger
from migrate.ledger.listed import BACKENDS, BATCH, among, ids
from migrate.ledger.mysql import through
from migrate.ledger.schema import UNSETTLED, UtcInstant, bounce, indexed, letter, mandatory, notice
from migrate.ledger.states import LEASE_EXPIRED, RESENT, SERVER_REFUSED, LetterState
from migrate.outbox.transitions import IDLE, Step, move, move_each, record

_S = TypeVar("_S", sa.Select[Any], sa.Update)

Verdict = Literal["sent", "temporary", "released", "failed", "uncertain", "withdrawn"]

_BECOMES: Final[dict[Verdict, LetterState]] = {
    "sent": "sent", "temporary": "queued", "released": "queued", "failed": "failed", "uncertain": "uncertain", "withdrawn": "withdrawn",
}  # fmt: skip
_TRIED: Final = ("sent", "temporary", "failed", "uncertain")


class ClaimedLetter(NamedTuple):
    """A letter in a worker's hands, with all that composing and sending it needs. `facts` is JSON; `ends` is when it is too late.

    `lease_until` is when its lease ends by the ledger's clock, `held_until` the same by the worker's own.
    """

    letter_id: int
    owner: str
    lease_until: datetime
    held_until: datetime
    account_id: str
    tenure: int
    kind: str
    occasion: str
    told_cutoff: str
    change_seq: int | None
    address: str
    role: str
    reference: str
    message_id: str
    language: str
    standing: str | None
    days_left: int | None
    facts: str
    ends: datetime | None
    attempts: int
    resent: bool
    queued_at: datetime


_LEASE: Final = ClaimedLetter._fields.index("lease_until")
"""`held_until` is the next."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """A mail server called the very address unknown or disabled, with its `code`; it is not mailed before `until`."""

    code: str
    until: datetime


class Settlement(NamedTuple):
    """What became of a claimed letter.

    `temporary` (tried, and to be tried again) and `released` (not tried) go back to the queue, not before `not_before`. `reply` is the
    server's last words, `reason` a word for the reports. `subject` and `mail_digest` say what was sent, and with which templates;
    `message_digest` is the SHA-256 of the message.
    `bounce` is what was learnt about the address.
    """

    verdict: Verdict
    reason: str | None = None
    reply: str | None = None
    not_before: datetime | None = None
    subject: str | None = None
    mail_digest: str | None = None
    message_digest: str | None = None
    bounce: Bounce | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """Ids of letters that became uncertain, of confirmations that went back into the queue by themselves, and of letters only claimed."""

    uncertain: tuple[int, ...]
    requeued: tuple[int, ...]
    returned: tuple[int, ...] = ()


class Exchange(NamedTuple):
    """Letters that are `sending` now, those that are `claimed` still, and those to be settled whose lease was lost."""

    begun: list[ClaimedLetter]
    held: list[ClaimedLetter]
    lost: list[ClaimedLetter]


@dataclass(frozen=True, slots=True)
class Claims:
    """The outbox of one campaign, for one worker. `owner` names the worker and no other, ever; `zone` is where the campaign's days end.

    The `now` of its methods is the campaign's, which `--as-of` may have set. Leases run on the real `clock`, so that a worker whose days
    are only played through takes no letter out of the hands of another one.
    `longest_try` is the part of a lease that one try at a letter may take.
    """

    ledger: Ledger
    campaign_id: int
    owner: str
    lease: timedelta = timedelta(minutes=5)
    zone: tzinfo = UTC
    clock: Clock = real_now
    longest_try: timedelta = timedelta(0)

    def in_time(self, claimed: ClaimedLetter, now: datetime) -> bool:
        """Whether a try at a letter that begins now ends before its lease does: nobody else can have decided on the letter until then."""
        return now < claimed.held_until - self.longest_try

    def exchange(
        self,
        settled: Sequence[tuple[ClaimedLetter, Settlement]],
        now: datetime,
        wanted: int = 1,
        *,
        held: Sequence[ClaimedLetter] = (),
        ahead: int | None = None,
        only_confirmations: bool = False,
        ending_by: datetime | None = None,
    ) -> Exchange:
        """Settle letters and begin with others, in one commit: with those `held` (claimed before), then with the next ones in the queue.

        Those are confirmations first, then the accounts told least recently. When letters are claimed, `ahead` more are. Letters past
        their end are withdrawn on the way, and reminders to accounts that were exempted or paused since they were queued. What is held
        and not begun with stays claimed; with `ahead` None, or if it may not be sent now, it goes back into the queue. If nothing was begun
        with, nothing may be sent now. With `only_confirmations` no other letter goes but those that end by `ending_by`.
        """
        only = _bound(ending_by) if only_confirmations else None
        return self.ledger.write(lambda connection: self._exchange(connection, settled, now, wanted, list(held), ahead, only))

    def settle(self, claimed: ClaimedLetter, settlement: Settlement, now: datetime) -> bool:
        """Write down what became of a letter. False if its lease was lost: then somebody else decided, and that stands."""
        return not self.ledger.write(lambda connection: self._settle(connection, [(claimed, settlement)], now))

    def withdraw_late(self, now: datetime) -> None:
        """Withdraw queued letters that are past their end; a claim does so too."""
        self.ledger.write(lambda connection: self._withdraw_late(connection, now))

    def put_back(self, letters: Sequence[int], now: datetime, not_before: datetime) -> list[int]:
        """Queue failed letters (ids) again that were refused for the server's sake; that try does not count. The ids of those put back."""
        values = {"attempts": letter.c.attempts - 1, "settled_at": None, "not_before": not_before}

        def back(connection: sa.Connection) -> list[int]:
            return move(connection, letters, "failed", "queued", at=now, actor=self.owner, reason=SERVER_REFUSED, values=values)

        return self.ledger.write(back)

    def refused_lately(self) -> list[str]:
        """What the server said to the letters that it refused for its own sake or ours since it last took one."""
        refused = sa.select(letter.c.claimed_at, letter.c.reply).where(
            letter.c.campaign_id == self.campaign_id,
            letter.c.state == "queued",
            letter.c.not_before.is_not(None),  # which the index knows: hardly a letter is looked at for its reason
            letter.c.reason == SERVER_REFUSED,
        )
        taken = sa.select(sa.func.max(letter.c.claimed_at, type_=UtcInstant)).where(
            letter.c.campaign_id == self.campaign_id, letter.c.state == "sent"
        )
        with self.ledger.read() as connection:
            found = connection.execute(refused).all()
            last = connection.execute(taken).scalar() if found else None
        return [reply or "" for claimed_at, reply in found if last is None or claimed_at >= last]

    def waiting(self, now: datetime, *, only_confirmations: bool = False, ending_by: datetime | None = None) -> int:
        """How many letters may be sent now."""
        with self.ledger.read() as connection:
            due = _due(now, only_confirmations, _bound(ending_by))
            counted = sa.select(sa.func.count()).where(letter.c.campaign_id == self.campaign_id, *due)
            return int(connection.execute(counted).scalar_one())

    def next_at(self, now: datetime, *, only_confirmations: bool = False, ending_by: datetime | None = None) -> datetime | None:
        """When there may be something to do, on the clock of `now`: the first letter's time to be tried again, or the end of a lease. None:
        nothing is left."""
        wanted = _only(_bound(ending_by)) if only_confirmations else []
        again = (sa.and_(letter.c.state == "queued", *wanted), sa.func.coalesce(letter.c.not_before, 0))
        held = ((_held_as(state), letter.c.lease_until) for state in ("sending", "claimed"))
        with self.ledger.read() as connection:
            mine = letter.c.campaign_id == self.campaign_id
            first = [sa.select(sa.func.min(at, type_=UtcInstant)).where(mine, state) for state, at in (again, *held)]
            due, *leases = (connection.execute(query).scalar() for query in first)
            ends = min((instant for instant in leases if instant is not None), default=None)
            found = [due, None if ends is None else now + (ends - self.clock(connection))]
        return min((instant for instant in found if instant is not None), default=None)

    def sweep(self, now: datetime) -> Swept:
        """Of letters whose lease has expired: those begun with become uncertain, those only claimed go back into the queue.

        `now` dates what is written. An uncertain confirmation goes back into the queue by itself, once in its life.
        """
        return self.ledger.write(lambda connection: self._sweep(connection, now))

    def _sweep(self, connection: sa.Connection, now: datetime) -> Swept:
        real = self.clock(connection)
        here = {"campaign": self.campaign_id, "now": real, "limit": BATCH}
        expired = connection.execute(_EXPIRED, here).scalars().all()
        tried = {"attempts": letter.c.attempts + 1, "settled_at": now} | IDLE
        swept = move(
            connection, expired, "sending", "uncertain", at=now, actor=self.owner, reason=LEASE_EXPIRED,
            only=[letter.c.lease_until <= real], values=tried,
        )  # fmt: skip
        unbegun = connection.execute(_UNBEGUN, here).scalars().all()
        returned = self._return(connection, unbegun, now, reason=LEASE_EXPIRED, only=[letter.c.lease_until <= real])
        unsure = connection.execute(_UNSURE, here).scalars().all()
        back = {"resent": True, "not_before": None, "settled_at": None}
        requeued = move(
            connection, unsure, "uncertain", "queued", at=now, actor=self.owner, reason=RESENT, only=_RESENT_BY_ITSELF, values=back
        )
        return Swept(tuple(swept), tuple(requeued), tuple(returned))

    def _exchange(
        self,
        connection: sa.Connection,
        settled: Sequence[tuple[ClaimedLetter, Settlement]],
        now: datetime,
        wanted: int,
        held: list[ClaimedLetter],
        ahead: int | None,
        only: datetime | None,
    ) -> Exchange:
        """`exchange`; if not all may go, `only` is by when letters other than confirmations must end."""
        lost = self._settle(connection, settled, now)
        if only is not None:
            waits = [each for each in held if each.kind not in MANDATORY and (each.ends is None or each.ends > only)]
            self._return(connection, [each.letter_id for each in waits], now)
            held = [each for each in held if each not in waits]
        begun: list[ClaimedLetter] = []
        while len(begun) < wanted and held:
            some = wanted - len(begun)
            begun += self._begin(connection, held[:some], now)
            held = held[some:]
        while (left := wanted - len(begun)) > 0 and (held := self._claim(connection, now, left + (ahead or 0), only)):
            # Of letters past their end a claim withdraws a batch beforehand; there may be more of them.
            begun += self._begin(connection, held[:left], now)
            held = held[left:]
        if ahead is None:
            self._return(connection, [each.letter_id for each in held], now)
            held = []
        return Exchange(begun, held, lost)

    def _claim(self, connection: sa.Connection, now: datetime, limit: int, only: datetime | None) -> list[ClaimedLetter]:
        self._withdraw_late(connection, now)
        here = {"campaign": self.campaign_id, "now": now}
        today = now.astimezone(self.zone).date().isoformat()
        lease_until = self.clock(connection) + self.lease
        mine: list[ClaimedLetter] = []
        while wanted := limit - len(mine):
            asked = here | {"limit": wanted, "today": today} | ({} if only is None else {"ending_by": only})
            picked = _picked(connection, asked, only_confirmations=only is not None)
            if spared := [(row[0], row[-1]) for row in picked if row[-1] is not None]:
                self._spare(connection, spared, now)
            if going := [row for row in picked if row[-1] is None]:
                these = [row[0] for row in going]
                backend = connection.dialect.name
                connection.execute(_CLAIM[backend], ids(backend, these) | {"new_owner": self.owner, "new_lease_until": lease_until})
                record(connection, these, "queued", "claimed", at=now, actor=self.owner)
                mine += (ClaimedLetter._make((row[0], self.owner, lease_until, now + self.lease, *row[1:-1])) for row in going)
            if not spared:
                break
        return mine

    def _withdraw_late(self, connection: sa.Connection, now: datetime) -> None:
        late = connection.execute(_LATE, {"campaign": self.campaign_id, "now": now, "limit": BATCH}).scalars().all()
        self._withdraw(connection, late, "queued", PAST_CUTOFF, now)

    def _begin(self, connection: sa.Connection, held: Sequence[ClaimedLetter], now: datetime) -> list[ClaimedLetter]:
        """Make claimed letters `sending`, with a lease from now on. Those past their end are withdrawn; others may have been meanwhile."""
        late = [each.letter_id for each in held if each.ends is not None and each.ends <= now]
        self._withdraw(connection, late, "claimed", PAST_CUTOFF, now)
        these = [each.letter_id for each in held if each.letter_id not in late]
        if not these:
            return []
        backend, lease_until = connection.dialect.name, self.clock(connection) + self.lease
        mine = ids(backend, these) | {"old_owner": self.owner, "new_lease_until": lease_until}
        begun = connection.execute(_BEGIN[backend], mine | {"new_claimed_at": now}).rowcount
        if begun < len(these):
            there = set(connection.execute(_BEGUN[backend], mine).scalars())
            these = [letter_id for letter_id in these if letter_id in there]
        record(connection, these, "claimed", "sending", at=now, actor=self.owner)
        ours = set(these)
        fresh = (lease_until, now + self.lease)
        return [ClaimedLetter._make((*each[:_LEASE], *fresh, *each[_LEASE + 2 :])) for each in held if each.letter_id in ours]

    def _return(
        self,
        connection: sa.Connection,
        letters: Sequence[int],
        now: datetime,
        reason: str | None = None,
        only: Sequence[sa.ColumnElement[bool]] | None = None,
    ) -> list[int]:
        """Put claimed letters (ids) back into the queue as they were; our own, unless `only` says which."""
        only = [letter.c.owner == self.owner] if only is None else only
        as_it_was = IDLE | {"reason": letter.c.reason}
        return move(connection, letters, "claimed", "queued", at=now, actor=self.owner, reason=reason, only=only, values=as_it_was)

    def _withdraw(self, connection: sa.Connection, letters: Sequence[int], before: LetterState, reason: str, now: datetime) -> None:
        settled = IDLE | {"settled_at": now}
        move(connection, letters, before, "withdrawn", at=now, actor=self.owner, reason=reason, values=settled)

    def _spare(self, connection: sa.Connection, found: Sequence[tuple[int, str]], now: datetime) -> None:
        """Withdraw reminders (ids) to accounts with an exception in force, each with its outcome.

        Who grants one withdraws what waits, but cannot see what a run is just queueing. Here, the moment before it is sent, it is seen.
        """
        for outcome in sorted({why for _, why in found}):
            these = [letter_id for letter_id, why in found if why == outcome]
            self._withdraw(connection, these, "queued", outcome, now)

    def _settle(self, connection: sa.Connection, settled: Sequence[tuple[ClaimedLetter, Settlement]], now: datetime) -> list[ClaimedLetter]:
        """Settle what is still held; the letters whose lease was lost."""
        if not settled:
            return []
        steps: list[Step] = []
        for claimed, settlement in settled:
            tried = settlement.verdict in _TRIED
            steps.append(
                Step(
                    letter_id=claimed.letter_id,
                    owner=claimed.owner,
                    lease_until=claimed.lease_until,
                    after=_BECOMES[settlement.verdict],
                    tried=tried,
                    reason=settlement.reason,
                    reply=settlement.reply,
                    not_before=settlement.not_before,
                    subject=settlement.subject if tried else None,
                    mail_digest=settlement.mail_digest if tried else None,
                    message_digest=settlement.message_digest if tried else None,
                )
            )
        held = move_each(connection, steps, at=now, actor=self.owner)
        # What a server says of an address holds, whoever settled the letter.
        learnt = [
            {"address": claimed.address, "code": settlement.bounce.code, "until": settlement.bounce.until, "reply": settlement.reply}
            for claimed, settlement in settled
            if settlement.bounce
        ]
        if learnt:
            same = {"campaign_id": self.campaign_id, "hard": True, "seen_at": now}
            connection.execute(sa.insert(bounce), [row | same for row in learnt])
        return [claimed for claimed, _ in settled if (claimed.letter_id, claimed.lease_until) not in held]


def looked_up(connection: sa.Connection, letter_id: int) -> ClaimedLetter:
    """A letter as whoever claims it gets it, to look at: nobody holds it, so its leases are of no worth."""
    found = connection.execute(sa.select(*_WHOLE[:-1]).select_from(_WITH_NOTICE).where(letter.c.id == letter_id)).one()
    never = datetime.fromtimestamp(0, UTC)
    return ClaimedLetter._make((found[0], "", never, never, *found[1:]))


_Instant = datetime | sa.BindParameter[datetime]


def _due(now: _Instant, only_confirmations: bool, ending_by: _Instant) -> list[sa.ColumnElement[bool]]:
    wanted = _only(ending_by) if only_confirmations else []
    return [letter.c.state == "queued", sa.or_(letter.c.not_before.is_(None), letter.c.not_before <= now), *wanted]


def _only(ending_by: _Instant) -> list[sa.ColumnElement[bool]]:
    """Confirmations, and letters that would end while they wait."""
    return [sa.or_(mandatory(letter), letter.c.ends <= ending_by)]


def _bound(ending_by: datetime | None) -> datetime:
    """`ending_by` for a statement: no letter ends by the epoch."""
    return ending_by or datetime.fromtimestamp(0, UTC)


# The statements of every claim, put together once: SQLAlchemy takes longer to write one than SQLite to run it.
_NOW: Final = sa.bindparam("now", type_=UtcInstant)
_ENDING_BY: Final = sa.bindparam("ending_by", type_=UtcInstant)
_Column = sa.ColumnElement[Any]


def _column(name: str) -> _Column:
    """A field of ClaimedLetter in the tables. What a later decision said of a letter stands with it and not with its notice."""
    if name in ("language", "standing", "days_left", "facts"):
        return sa.func.coalesce(letter.c[name], notice.c[name])
    of_notice = name in ("account_id", "tenure", "kind", "occasion", "told_cutoff", "change_seq")
    return notice.c[name] if of_notice else letter.c["id" if name == "letter_id" else name]


_OF_CLAIM: Final = ("owner", "lease_until")
_WHOLE: Final = (*(_column(name) for name in ClaimedLetter._fields if name not in (*_OF_CLAIM, "held_until")), exemptions.spares(letter))
"""A letter but for who claims it, and at the end why it is to be spared, if it is."""
_WITH_NOTICE: Final = letter.join(notice, letter.c.notice_id == notice.c.id)


def _picking(index: str, *where: sa.ColumnElement[bool], order: Sequence[_Column] = (), whole: bool = False) -> sa.Select[Any]:
    """Ids of a campaign's letters that nobody else is moving at this moment, or the letters as a `whole`."""
    mine = letter.c.campaign_id == sa.bindparam("campaign")
    wanted = sa.select(*_WHOLE).select_from(_WITH_NOTICE) if whole else sa.select(letter.c.id)
    wanted = wanted.where(mine, *where).order_by(*order).limit(sa.bindparam("limit", type_=sa.Integer))
    return through(wanted, letter, index).with_for_update(skip_locked=True, of=letter if whole else None)


def _set(*names: str) -> dict[str, Any]:
    return {name: sa.bindparam(f"new_{name}", type_=letter.c[name].type) for name in names}


def _claiming(these: sa.ColumnElement[bool]) -> sa.Update:
    return sa.update(letter).where(these).values(state="claimed", **_set(*_OF_CLAIM))


_MINE: Final = letter.c.owner == sa.bindparam("old_owner", type_=letter.c.owner.type)


def _beginning(these: sa.ColumnElement[bool]) -> sa.Update:
    begun = _set("lease_until", "claimed_at")
    return sa.update(letter).where(these, letter.c.state == "claimed", _MINE).values(state="sending", reason=None, **begun)


def _begun(these: sa.ColumnElement[bool]) -> sa.Select[Any]:
    fresh = letter.c.lease_until == sa.bindparam("new_lease_until", type_=UtcInstant)
    return sa.select(letter.c.id).where(these, letter.c.state == "sending", _MINE, fresh)


_ORDER: Final = (letter.c.priority, letter.c.last_told_at, letter.c.queued_at, letter.c.id)
_NEXT: Final = {
    (only, whole): _picking("ix_letter_claim", *_due(_NOW, only, _ENDING_BY), order=_ORDER, whole=whole)
    for only in (False, True)
    for whole in (False, True)
}
_LATE: Final = _picking("ix_letter_ends", letter.c.state == "queued", letter.c.ends <= _NOW)


def _held_as(state: LetterState) -> sa.ColumnElement[bool]:
    return sa.and_(indexed(UNSETTLED), letter.c.state == state)


_EXPIRED: Final = _picking("ix_letter_unsettled", _held_as("sending"), letter.c.lease_until <= _NOW)
_UNBEGUN: Final = _picking("ix_letter_unsettled", _held_as("claimed"), letter.c.lease_until <= _NOW)
_RESENT_BY_ITSELF: Final = (mandatory(letter), letter.c.resent.is_(False))
_UNSURE: Final = _picking("ix_letter_unsettled", indexed(UNSETTLED), letter.c.state == "uncertain", *_RESENT_BY_ITSELF)


def _by_id(statement: Callable[[sa.ColumnElement[bool]], _S]) -> dict[str, _S]:
    """The statement about letters whose ids are given, for each database."""
    return {backend: statement(among(backend, letter.c.id)) for backend in (*BACKENDS, *mysql.BACKENDS)}


_THESE_WHOLE: Final = _by_id(sa.select(*_WHOLE).select_from(_WITH_NOTICE).where)
_CLAIM: Final = _by_id(_claiming)
_BEGIN: Final = _by_id(_beginning)
_BEGUN: Final = _by_id(_begun)
_IN_ORDER: Final = sa.text("SET LOCAL enable_sort = off")


def _picked(connection: sa.Connection, wanted: dict[str, Any], *, only_confirmations: bool) -> Sequence[sa.Row[Any]]:
    """The next letters in their order, locked, as `_WHOLE` has them."""
    backend = connection.dialect.name
    if backend == "sqlite":
        return connection.execute(_NEXT[only_confirmations, True], wanted).all()
    if backend == "postgresql":
        # Without fresh statistics it takes a queue of a million for one of a few, and sorts all of it for every claim.
        connection.execute(_IN_ORDER)
    # Servers lock first, and only what is theirs to lock: some would lock the notices too, some read all of them for a few.
    next_ = connection.execute(_NEXT[only_confirmations, False], wanted).scalars().all()
    if not next_:
        return []
    found = connection.execute(_THESE_WHOLE[backend], ids(backend, next_) | {"today": wanted["today"]}).all()
    by_id = {row[0]: row for row in found}
    return [by_id[id_] for id_ in next_]
