"""Every ledger that an earlier release left behind, brought to the tables of this one with its rows in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from ledger.scenes import NOW, facts

from migrate.ledger import revisions, runs, schema
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.ledger.pace import reserve

EARLIER = ["0001"]


def _left_behind(url: str, revision: str) -> None:
    """A ledger of that revision with a campaign and a run in it."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        made = revisions.config()
        made.attributes["connection"] = connection
        command.upgrade(made, revision)
        connection.execute(sa.insert(schema.campaign).values(name="sms", secret="5" * 64, created_at=NOW))
        runs.begin(connection, 1, facts())
    engine.dispose()


@pytest.mark.parametrize("revision", EARLIER)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_an_earlier_ledger_keeps_its_rows(revision: str, database: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url: Any = f"sqlite:///{tmp_path / 'migrate.db'}" if database == "sqlite" else request.getfixturevalue("postgres_url")
    _left_behind(url, revision)
    with Ledger.open(LedgerSettings(url=url), create=False) as ledger:
        with ledger.read() as connection:
            assert revisions.current(connection) == revisions.HEAD
            assert connection.execute(sa.select(schema.campaign.c.name)).scalar_one() == "sms"
            assert runs.find(connection, 1).as_of == NOW
        assert reserve(ledger, "mail.example.com:25", NOW - NOW, 1, NOW) == NOW
    assert (tmp_path / f"migrate.db.{revision}.bak").exists() is (database == "sqlite")
