"""A database that breaks a run's recording off in favour of another transaction: the run does it again, and nobody notices."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from crash.books import books, letters
from crash.doomed import start
from crash.killer import wait_until
from office import Office

from migrate.ledger.schema import account, letter, rate_slot

_WAITING = {
    "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted",
    "mariadb": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
}


def somebody_waits(office: Office) -> bool:
    time.sleep(0.2)  # MariaDB shows whoever asks more often than every tenth of a second the same again
    with books(office) as ledger:
        return bool(ledger.execute(sa.text(_WAITING[ledger.dialect.name])).scalar())


@pytest.mark.parametrize("database", ["postgres", "mariadb"])
def test_a_run_that_a_deadlock_broke_off_records_all_the_same(database: str, office: Office, request: pytest.FixtureRequest) -> None:
    office.ledger = request.getfixturevalue(f"{database}_url")
    for name in ("ann", "bob"):
        office.hire(name, "sms")
    office.run("2024-01-02T06:00", "--no-send")
    office.change("ann", mfa="totp")
    office.write()
    with books(office) as other:
        # What a server has done most work for survives.
        other.execute(sa.insert(rate_slot), [{"server": f"s{n}", "next_at": datetime(2024, 1, 1, tzinfo=UTC)} for n in range(500)])
        anns = sa.select(account.c.email).where(account.c.account_id == "ann").scalar_subquery()
        other.execute(sa.update(letter).where(letter.c.address == anns).values(reference=letter.c.reference))
        process = start(office.folder, "run", "--as-of", "2024-01-03T06:00", "--json")
        wait_until(lambda: somebody_waits(office))
        # The run has ann's account and waits for her letter; now the two wait for each other, and the run is the one to give way.
        other.execute(sa.update(account).where(account.c.account_id == "ann").values(department="Sales"))
    assert process.wait() == 0, process.said
    told = sorted(letters(office).values())
    assert told == [("change_confirmation", "sent"), ("reminder", "sent")]
    assert office.migrate("ledger", "check").code == 0
    assert sorted(address for address, _ in office.told()) == ["ann@example.com", "bob@example.com"]
