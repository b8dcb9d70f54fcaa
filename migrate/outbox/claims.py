"""Taking letters out of the outbox to send them: any number of workers on any number of hosts (design §9, §11).

A claim says who holds a letter, and until when: its lease. A claimed letter is `claimed`. Before the mail server hears of it, it becomes
`sending`, and that is committed. When the lease of a worker that died has expired, `sweep` makes its `sending` letters `uncertain`, since
nobody can know whether the server took them, and puts its `claimed` letters back into the queue. SQLite lets one writer in at a time;
PostgreSQL and MariaDB skip the rows that another worker is claiming at that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

import sqlalchemy as sa

from migrate.core.kinds import MANDATORY
from migrate.core.words import PAST_CUTOFF
from migrate.ledger.clock import LedgerClock, real_now
from migrate.ledger.engine import Ledger
from migrate.ledger.listed import BATCH, ids
from migrate.ledger.schema import UtcInstant, bounce, letter
from migrate.ledger.states import LEASE_EXPIRED, RESENT, SERVER_REFUSED, LetterState
from migrate.outbox import claim_statements as statements
from migrate.outbox.claimed import Bounce, ClaimedLetter, Exchange, SettledAs, Settlement, Swept
from migrate.outbox.transitions import IDLE, Step, move, move_each, record, record_begun

__all__ = ["Bounce", "ClaimedLetter", "Claims", "Exchange", "SettledAs", "Settlement", "Swept", "looked_up"]

_BECOMES: Final[dict[SettledAs, LetterState]] = {
    "sent": "sent", "temporary": "queued", "released": "queued", "failed": "failed", "uncertain": "uncertain", "withdrawn": "withdrawn",
}  # fmt: skip
_TRIED: Final = ("sent", "temporary", "failed", "uncertain")


_LEASE: Final = ClaimedLetter._fields.index("lease_until")
"""The position of `lease_until`; `held_until` follows it."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The outbox of one campaign, for one worker. `owner` names this worker only, for all time; `zone` is the campaign's time zone.

    The `now` of its methods is the campaign's, which `--as-of` may have set. Leases follow the real `clock`: a worker that plays days
    through must not take a letter that another worker holds. `longest_try` is the longest time that one try at a letter may take.
    """

    ledger: Ledger
    campaign_id: int
    owner: str
    lease: timedelta = timedelta(minutes=5)
    zone: tzinfo = UTC
    clock: LedgerClock = real_now
    longest_try: timedelta = timedelta(0)

    def in_time(self, claimed: ClaimedLetter, now: datetime) -> bool:
        """Whether a try that begins now ends before the lease does. As long as the lease lasts, nobody else can decide on the letter."""
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
        """Settles letters and makes `wanted` others `sending`, in one commit: first those `held` (claimed before), then the next in the
        queue.

        In the queue confirmations go first, then the accounts that were told least recently. If the queue is read, `ahead` more letters are
        claimed. A `held` letter that does not become `sending` stays claimed; it goes back into the queue if `ahead` is None or it may not
        be sent now. Letters past their end are withdrawn, and so are reminders to accounts that were exempted or paused after they were
        queued. If no letter became `sending`, none may be sent now. With `only_confirmations` no other letters go but those that end by
        `ending_by`.
        """
        hurried_by = statements.bound(ending_by) if only_confirmations else None
        return self.ledger.write(lambda connection: self._exchange(connection, settled, now, wanted, list(held), ahead, hurried_by))

    def settle(self, claimed: ClaimedLetter, settlement: Settlement, now: datetime) -> bool:
        """Records what became of a letter. False if its lease was lost: then somebody else decided, and that decision stands."""
        return not self.ledger.write(lambda connection: self._settle(connection, [(claimed, settlement)], now))

    def withdraw_late(self, now: datetime) -> None:
        """Withdraws queued letters that are past their end. Claiming letters does so as well."""
        self.ledger.write(lambda connection: self._withdraw_late(connection, now))

    def put_back(self, letters: Sequence[int], now: datetime, not_before: datetime) -> list[int]:
        """Queues failed letters (ids) again that the server refused because of itself or us; that try does not count. The ids of these
        letters."""
        values = {"attempts": letter.c.attempts - 1, "settled_at": None, "not_before": not_before}

        def back(connection: sa.Connection) -> list[int]:
            return move(connection, letters, "failed", "queued", at=now, actor=self.owner, reason=SERVER_REFUSED, values=values)

        return self.ledger.write(back)

    def refused_lately(self) -> list[str]:
        """The replies to letters that the server refused because of itself or us, since it last took a letter."""
        refused = sa.select(letter.c.claimed_at, letter.c.reply).where(
            letter.c.campaign_id == self.campaign_id,
            letter.c.state == "queued",
            letter.c.not_before.is_not(None),  # narrows by the index: few letters are read for their reason
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
        """How many letters may be sent at `now`; `only_confirmations` and `ending_by` as in `exchange`."""
        with self.ledger.read() as connection:
            due = statements.due(now, only_confirmations, statements.bound(ending_by))
            counted = sa.select(sa.func.count()).where(letter.c.campaign_id == self.campaign_id, *due)
            return int(connection.execute(counted).scalar_one())

    def next_at(self, now: datetime, *, only_confirmations: bool = False, ending_by: datetime | None = None) -> datetime | None:
        """When there may be something to do, by the clock of `now`: when the first letter may be tried again, or when a lease ends. None if
        nothing is left. `only_confirmations` and `ending_by` as in `exchange`."""
        wanted = statements.at_any_hour(statements.bound(ending_by)) if only_confirmations else []
        again = (sa.and_(letter.c.state == "queued", *wanted), sa.func.coalesce(letter.c.not_before, 0))
        held = ((statements.held_as(state), letter.c.lease_until) for state in ("sending", "claimed"))
        with self.ledger.read() as connection:
            mine = letter.c.campaign_id == self.campaign_id
            first = [sa.select(sa.func.min(at, type_=UtcInstant)).where(mine, state) for state, at in (again, *held)]
            due, *leases = (connection.execute(query).scalar() for query in first)
            ends = min((instant for instant in leases if instant is not None), default=None)
            found = [due, None if ends is None else now + (ends - self.clock(connection))]
        return min((instant for instant in found if instant is not None), default=None)

    def sweep(self, now: datetime) -> Swept:
        """Clears up letters whose lease has expired: `sending` ones become `uncertain`, `claimed` ones go back into the queue.

        `now` is the time that is recorded. An uncertain confirmation is queued again by itself, once in its life.
        """
        return self.ledger.write(lambda connection: self._sweep(connection, now))

    def _sweep(self, connection: sa.Connection, now: datetime) -> Swept:
        real = self.clock(connection)
        here = {"campaign": self.campaign_id, "now": real, "limit": BATCH}
        expired = connection.execute(statements.EXPIRED, here).scalars().all()
        tried = {"attempts": letter.c.attempts + 1, "settled_at": now} | IDLE
        swept = move(
            connection, expired, "sending", "uncertain", at=now, actor=self.owner, reason=LEASE_EXPIRED,
            only=[letter.c.lease_until <= real], values=tried,
        )  # fmt: skip
        unbegun = connection.execute(statements.UNBEGUN, here).scalars().all()
        returned = self._return(connection, unbegun, now, reason=LEASE_EXPIRED, only=[letter.c.lease_until <= real])
        unsure = connection.execute(statements.UNSURE, here).scalars().all()
        back = {"resent": True, "not_before": None, "settled_at": None}
        requeued = move(
            connection,
            unsure,
            "uncertain",
            "queued",
            at=now,
            actor=self.owner,
            reason=RESENT,
            only=statements.RESENT_BY_ITSELF,
            values=back,
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
        hurried_by: datetime | None,
    ) -> Exchange:
        """`exchange`. If not all letters may go, `hurried_by` is the instant by which letters other than confirmations must end to go all
        the same."""
        lost = self._settle(connection, settled, now)
        if hurried_by is not None:
            waits = [each for each in held if each.kind not in MANDATORY and (each.ends is None or each.ends > hurried_by)]
            self._return(connection, [each.letter_id for each in waits], now)
            held = [each for each in held if each not in waits]
        begun: list[ClaimedLetter] = []
        while len(begun) < wanted and held:
            some = wanted - len(begun)
            begun += self._begin(connection, held[:some], now)
            held = held[some:]
        if not ahead and not held:
            begun += self._claim(connection, now, wanted - len(begun), hurried_by, begin=True)
        while ahead and (left := wanted - len(begun)) > 0 and (held := self._claim(connection, now, left + ahead, hurried_by)):
            # More than one turn: a claim withdraws one batch of letters past their end, and may still return others.
            begun += self._begin(connection, held[:left], now)
            held = held[left:]
        if ahead is None:
            self._return(connection, [each.letter_id for each in held], now)
            held = []
        return Exchange(begun, held, lost)

    def _claim(
        self, connection: sa.Connection, now: datetime, limit: int, hurried_by: datetime | None, *, begin: bool = False
    ) -> list[ClaimedLetter]:
        """Claims the next letters in the queue. With `begin` they become `sending` in the same step, and those past their end are
        withdrawn."""
        if not limit:
            return []
        self._withdraw_late(connection, now)
        here = {"campaign": self.campaign_id, "now": now}
        today = now.astimezone(self.zone).date().isoformat()
        lease_until = self.clock(connection) + self.lease
        mine: list[ClaimedLetter] = []
        while wanted := limit - len(mine):
            asked = here | {"limit": wanted, "today": today} | ({} if hurried_by is None else {"ending_by": hurried_by})
            picked = statements.picked(connection, asked, only_confirmations=hurried_by is not None)
            if spared := [(row[0], row[-1]) for row in picked if row[-1] is not None]:
                self._spare(connection, spared, now)
            claim = (self.owner, lease_until, now + self.lease)
            going = [ClaimedLetter._make((row[0], *claim, *row[1:-1])) for row in picked if row[-1] is None]
            late = [each.letter_id for each in going if begin and each.ends is not None and each.ends <= now]
            if late:
                self._withdraw(connection, late, "queued", PAST_CUTOFF, now)
                going = [each for each in going if each.letter_id not in late]
            if these := [each.letter_id for each in going]:
                backend = connection.dialect.name
                values = ids(backend, these) | {"new_owner": self.owner, "new_lease_until": lease_until}
                if begin:
                    connection.execute(statements.START[backend], values | {"new_claimed_at": now})
                    record_begun(connection, these, at=now, actor=self.owner)
                else:
                    connection.execute(statements.CLAIM[backend], values)
                    record(connection, these, "queued", "claimed", at=now, actor=self.owner)
                mine += going
            if not spared and not late:
                break
        return mine

    def _withdraw_late(self, connection: sa.Connection, now: datetime) -> None:
        late = connection.execute(statements.LATE, {"campaign": self.campaign_id, "now": now, "limit": BATCH}).scalars().all()
        self._withdraw(connection, late, "queued", PAST_CUTOFF, now)

    def _begin(self, connection: sa.Connection, held: Sequence[ClaimedLetter], now: datetime) -> list[ClaimedLetter]:
        """Makes claimed letters `sending`, with a new lease; those that are now `sending`. Letters past their end are withdrawn, and
        somebody may have withdrawn others in the meantime."""
        late = [each.letter_id for each in held if each.ends is not None and each.ends <= now]
        self._withdraw(connection, late, "claimed", PAST_CUTOFF, now)
        these = [each.letter_id for each in held if each.letter_id not in late]
        if not these:
            return []
        backend, lease_until = connection.dialect.name, self.clock(connection) + self.lease
        mine = ids(backend, these) | {"old_owner": self.owner, "new_lease_until": lease_until}
        begun = connection.execute(statements.BEGIN[backend], mine | {"new_claimed_at": now}).rowcount
        if begun < len(these):
            there = set(connection.execute(statements.BEGUN[backend], mine).scalars())
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
        """Puts claimed letters (ids) back into the queue, otherwise unchanged; those of this worker, unless `only` names other
        conditions."""
        only = [letter.c.owner == self.owner] if only is None else only
        as_it_was = IDLE | {"reason": letter.c.reason}
        return move(connection, letters, "claimed", "queued", at=now, actor=self.owner, reason=reason, only=only, values=as_it_was)

    def _withdraw(self, connection: sa.Connection, letters: Sequence[int], before: LetterState, reason: str, now: datetime) -> None:
        settled = IDLE | {"settled_at": now}
        move(connection, letters, before, "withdrawn", at=now, actor=self.owner, reason=reason, values=settled)

    def _spare(self, connection: sa.Connection, found: Sequence[tuple[int, str]], now: datetime) -> None:
        """Withdraws reminders (id, outcome) to accounts that are exempt or paused.

        Granting an exemption withdraws letters that wait, but not those that a run is queueing at that moment. Those are found here, just
        before they would be sent.
        """
        for outcome in sorted({why for _, why in found}):
            these = [letter_id for letter_id, why in found if why == outcome]
            self._withdraw(connection, these, "queued", outcome, now)

    def _settle(self, connection: sa.Connection, settled: Sequence[tuple[ClaimedLetter, Settlement]], now: datetime) -> list[ClaimedLetter]:
        """Settles the letters whose lease still holds; those whose lease was lost."""
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
        # What a server said about an address is true even if the lease was lost.
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
    """A letter in the form in which a worker gets it, to look at. It is not claimed, so the times of its lease mean nothing."""
    found = connection.execute(sa.select(*statements.WHOLE[:-1]).select_from(statements.WITH_NOTICE).where(letter.c.id == letter_id)).one()
    never = datetime.fromtimestamp(0, UTC)
    return ClaimedLetter._make((found[0], "", never, never, *found[1:]))
