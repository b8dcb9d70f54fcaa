"""A ledger on every database, with a campaign and a recorded run in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledger.scenes import NOW, Scene, facts
from peers import mariadb_database, postgres_database

from migrate.ledger import revisions, runs, schema
from migrate.ledger.engine import Ledger, LedgerSettings

DATABASES = ("sqlite", "postgresql", "mariadb")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables in it, made by the migrations once."""
    path = tmp_path_factory.mktemp("template") / "migrate.db"
    Ledger.open(LedgerSettings(url=f"sqlite:///{path}"), create=True).close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """The name of a PostgreSQL database with the tables in it, made by the migrations once."""
    with postgres_database(postgres_server) as url:
        Ledger.open(LedgerSettings(url=url), create=True).close()
        yield str(sa.make_url(url).database)


@pytest.fixture(scope="session")
def mariadb_template(mariadb_server: str) -> list[str]:
    """The statements that make the tables in an empty MariaDB database, as the migrations did once; a database cannot be copied there."""
    with mariadb_database(mariadb_server) as url:
        Ledger.open(LedgerSettings(url=url), create=True).close()
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            tables = sa.inspect(connection).get_table_names()
            made = [str(connection.exec_driver_sql(f"SHOW CREATE TABLE `{table}`").one()[1]) for table in tables]
    revision = f"INSERT INTO alembic_version VALUES ('{revisions.HEAD}')"
    return ["SET foreign_key_checks = 0", *made, revision]


@pytest.fixture(params=DATABASES)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a ledger without a row, on each database the ledger works with."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_template"), tmp_path / "migrate.db")
        yield f"sqlite:///{tmp_path / 'migrate.db'}"
    elif request.param == "mariadb":
        url = request.getfixturevalue("mariadb_url")
        with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
            for statement in request.getfixturevalue("mariadb_template"):
                connection.exec_driver_sql(statement)
        yield url
    else:
        server, template = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_template")
        with postgres_database(server, template) as url:
            yield url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger.open(LedgerSettings(url=ledger_url), create=False) as opened:
        yield opened


@pytest.fixture
def scene(ledger: Ledger) -> Scene:
    with ledger.begin() as connection:
        connection.execute(sa.insert(schema.campaign).values(name="sms", secret="5" * 64, created_at=NOW))
        campaign_id = connection.execute(sa.select(schema.campaign.c.id)).scalar_one()
        run = runs.begin(connection, campaign_id, facts())
    return Scene(ledger, campaign_id, run.seq)
