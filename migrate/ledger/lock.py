"""The lock that keeps a campaign to one run at a time: a row with an owner and a lease (design §12).

The lock is taken or refused at once. A heartbeat renews the lease. A holder that died stops renewing it; once the lease has ended, the
next process takes the lock over by compare-and-set. The holder checks, inside the transaction that records, that the lock is still its own
(`still_mine`), so a holder that slept through its lease cannot commit after another process took over.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Self

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from migrate.errors import LedgerError, LockedError
from migrate.ledger.clock import LedgerClock, real_now
from migrate.ledger.database_errors import is_busy
from migrate.ledger.engine import Ledger
from migrate.ledger.schema import run_lock

Purpose = Literal["run", "report"]

PATIENCE: Final = timedelta(seconds=2)
"""How long the lock waits for another writer: long enough for one that settles a letter, far too short for one that records a run."""


def worker_name() -> str:
    """A unique name for a process that holds a lock or letters: the `owner` of both."""
    return f"send-{secrets.token_hex(8)}"


class RunLock:
    """A held lock; a context manager that releases it. Leases end by the real clock, whatever the `as_of` of the run is."""

    def __init__(self, ledger: Ledger, campaign: str, purpose: Purpose, owner: str, lease: timedelta, clock: LedgerClock) -> None:
        self.owner = owner
        self._ledger = ledger
        self._campaign, self._purpose = campaign, purpose
        self._lease, self._clock = lease, clock
        self._engine = ledger.apart(PATIENCE)
        self._released = threading.Event()
        self._heart: threading.Thread | None = None

    @classmethod
    def acquire(
        cls,
        ledger: Ledger,
        campaign: str,
        purpose: Purpose,
        owner: str,
        *,
        lease: timedelta = timedelta(minutes=2),
        clock: LedgerClock = real_now,
        beat: bool = True,
    ) -> RunLock:
        """The lock of a campaign, renewed by a heartbeat unless `beat` is false. `owner` is a name that no other process ever has.

        Raises LockedError at once if somebody holds a live lease, or is writing to the ledger right now.
        """
        lock = cls(ledger, campaign, purpose, owner, lease, clock)
        lock._take()
        if beat:
            lock._heart = threading.Thread(target=lock._beat, name="run-lock", daemon=True)
            lock._heart.start()
        return lock

    def still_mine(self, connection: sa.Connection) -> None:
        """Renews the lock in the transaction that is about to commit. Raises LockedError if another process took it over.

        Until the commit nobody can take the lock over: another process waits for the row, and then finds a live lease.
        """
        if not connection.execute(self._renewal(connection)).rowcount:
            raise LockedError(
                f"this {self._purpose} of {self._campaign} outlived its lease and another one took over; nothing was recorded.",
                hint="Look at `migrate status`.",
            )

    def renew(self) -> bool:
        """Extends the lease; false if the lock is no longer ours. Raises DBAPIError if the ledger cannot be written now."""
        with self._writing() as connection:
            return bool(connection.execute(self._renewal(connection)).rowcount)

    def release(self) -> None:
        """Gives the lock back. If the ledger cannot be written now, the lease ends by itself."""
        self._released.set()
        if self._heart is not None:
            self._heart.join()
        with suppress(LedgerError), self._ledger.explained(), self._writing() as connection:
            connection.execute(sa.delete(run_lock).where(*self._row(), run_lock.c.owner == self.owner))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _take(self) -> None:
        try:
            with self._ledger.explained():
                # Reading first needs no lock of the database: the error can name the holder even while the holder writes.
                with self._engine.connect() as connection:
                    self._refuse_live(connection)
                with self._writing() as connection:
                    held = self._refuse_live(connection)
                    taken = {"owner": self.owner, "host": socket.gethostname(), "pid": os.getpid()} | self._times(connection, acquired=True)
                    if held is None:
                        row = {"campaign_name": self._campaign, "purpose": self._purpose}
                        connection.execute(sa.insert(run_lock).values(row | taken))
                        return
                    unchanged = (run_lock.c.owner == held.owner, run_lock.c.lease_until == held.lease_until)
                    if not connection.execute(sa.update(run_lock).where(*self._row(), *unchanged).values(taken)).rowcount:
                        raise self._busy()
        except DBAPIError as error:
            if isinstance(error, IntegrityError):
                raise self._busy() from error
            raise
        except LedgerError as error:
            if isinstance(error.__cause__, DBAPIError) and is_busy(error.__cause__):
                raise self._busy() from error
            raise

    def _refuse_live(self, connection: sa.Connection) -> sa.Row[Any] | None:
        held = connection.execute(sa.select(run_lock).where(*self._row())).first()
        if held is not None and held.lease_until > self._clock(connection):
            raise LockedError(
                f"another {self._purpose} of {self._campaign} is at work: {held.owner} on {held.host}, process {held.pid}, "
                f"since {held.acquired_at:%Y-%m-%d %H:%M:%S} UTC; its lease lasts until {held.lease_until:%H:%M:%S} UTC.",
                hint="Try again later: the lease of a process that died ends by itself.",
            )
        return held

    def _busy(self) -> LockedError:
        return LockedError(
            f"another program is writing to {self._ledger.described} and may be a {self._purpose} of {self._campaign}.",
            hint="Try again later.",
        )

    def _beat(self) -> None:
        while not self._released.wait(self._lease.total_seconds() / 4):
            # While this run records, SQLite lets no other connection write; `still_mine` renews the lease then.
            with suppress(DBAPIError):
                if not self.renew():
                    return

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._engine.execution_options(migrate_writes=True).begin() as connection:
            yield connection

    def _row(self) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
        return run_lock.c.campaign_name == self._campaign, run_lock.c.purpose == self._purpose

    def _renewal(self, connection: sa.Connection) -> sa.Update:
        return sa.update(run_lock).where(*self._row(), run_lock.c.owner == self.owner).values(self._times(connection))

    def _times(self, connection: sa.Connection, *, acquired: bool = False) -> dict[str, datetime]:
        now = self._clock(connection)
        return {"lease_until": now + self._lease} | ({"acquired_at": now} if acquired else {})
