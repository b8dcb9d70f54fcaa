"""An outbox to deliver, and a mail server that answers as it is told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledger.conftest import sqlite_template  # noqa: F401 - a fixture
from ledger.scenes import NOW, Scene, facts
from mail.post import campaign, mail

from migrate.ledger import runs, schema
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.mail.compose import Composer


@pytest.fixture
def scene(sqlite_template: Path, tmp_path: Path) -> Iterator[Scene]:  # noqa: F811 - it is that fixture
    shutil.copyfile(sqlite_template, tmp_path / "migrate.db")
    with Ledger.open(LedgerSettings(url=f"sqlite:///{tmp_path / 'migrate.db'}"), create=False) as ledger:
        with ledger.begin() as connection:
            connection.execute(sa.insert(schema.campaign).values(name="sms", secret="5" * 64, created_at=NOW))
            campaign_id = connection.execute(sa.select(schema.campaign.c.id)).scalar_one()
            run = runs.begin(connection, campaign_id, facts())
        yield Scene(ledger, campaign_id, run.seq)


@pytest.fixture(scope="session")
def composer() -> Composer:
    return Composer(mail(), campaign())
