"""A ledger on every database, with a campaign and a recorded run in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledger.scenes import NOW, Scene, facts

from migrate.ledger import runs, schema
from migrate.ledger.engine import Ledger, LedgerSettings

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(params=DATABASES)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that holds nothing yet, on each database the ledger works with."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'migrate.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger.open(LedgerSettings(url=ledger_url), create=True) as opened:
        yield opened


@pytest.fixture
def scene(ledger: Ledger) -> Scene:
    with ledger.begin() as connection:
        connection.execute(sa.insert(schema.campaign).values(name="sms", secret="5" * 64, created_at=NOW))
        campaign_id = connection.execute(sa.select(schema.campaign.c.id)).scalar_one()
        run = runs.begin(connection, campaign_id, facts())
    return Scene(ledger, campaign_id, run.seq)
