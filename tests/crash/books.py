"""What the ledger says of letters, whichever database holds it; read beside the command, as an auditor would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from crash.killer import taken
from mail.scripted_smtp import ScriptedSmtp
from office import Office

from migrate.ledger.schema import EPOCH, letter, run_lock


@contextmanager
def books(office: Office) -> Iterator[sa.Connection]:
    """The ledger, for a look or a change of the test's own."""
    url = sa.make_url(office.ledger)
    if url.get_backend_name() == "sqlite":
        url = url.set(database=str(office.folder / str(url.database)))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def letters(office: Office) -> dict[str, tuple[str, str]]:
    """Reference → (kind, state) of every letter but those withdrawn."""
    with books(office) as ledger:
        rows = ledger.execute(sa.select(letter.c.reference, letter.c.kind, letter.c.state).where(letter.c.state != "withdrawn"))
        return {reference: (kind, state) for reference, kind, state in rows}


def in_flight(office: Office) -> int:
    """How many letters are `sending`: of so many a process that was just killed may leave the fate unknown."""
    with books(office) as ledger:
        return int(ledger.execute(sa.select(sa.func.count()).where(letter.c.state == "sending")).scalar_one())


def leases_end(office: Office) -> None:
    """As if hours had passed since whoever holds letters or the lock was killed: leases end by the real clock, whatever `--as-of` says."""
    with books(office) as ledger:
        ledger.execute(sa.update(letter).where(letter.c.lease_until.is_not(None)).values(lease_until=EPOCH))
        ledger.execute(sa.update(run_lock).values(lease_until=EPOCH))


def holder(office: Office) -> str | None:
    """Who holds the run lock, alive or not."""
    with books(office) as ledger:
        return ledger.execute(sa.select(run_lock.c.owner).where(run_lock.c.purpose == "run")).scalar()


def assert_promises_kept(office: Office, server: ScriptedSmtp, flown: int) -> None:
    """Counted at both ends: no reminder twice, every letter sent, failed or uncertain, no more uncertain than were in flight at the kills,
    every confirmation at least once."""
    got, known = taken(server), letters(office)
    assert set(got) <= set(known)
    states = [state for _, state in known.values()]
    assert set(states) <= {"sent", "failed", "uncertain"}, states
    for reference, (kind, state) in known.items():
        if kind == "change_confirmation":
            assert got[reference] >= 1 or state == "uncertain"
        else:
            assert got[reference] <= 1
        assert state != "sent" or got[reference] >= 1
        assert state != "failed" or got[reference] == 0
    assert states.count("uncertain") <= flown
    assert {kind for kind, _ in known.values()} >= {"change_confirmation", "reminder"}
    assert states.count("sent") > len(known) / 2
