"""A ledger on every database, with a campaign and a recorded run in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def mariadb_with_tables(server: str, template: list[str]) -> Iterator[str]:
    """The URL of a fresh MariaDB database with the ledger's tables in it."""
    with mariadb_database(server) as url:
        with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
            for statement in template:
                connection.exec_driver_sql(statement)
        yield url


@pytest.fixture(scope="session")
def mariadb_ledger(mariadb_server: str, mariadb_template: list[str]) -> Iterator[str]:
    """The URL of a MariaDB ledger that tests use one after the other. Emptying one takes a tenth of the time of a fresh one."""
    with mariadb_with_tables(mariadb_server, mariadb_template) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_ledger(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """The URL of a PostgreSQL ledger that tests use one after the other."""
    with postgres_database(postgres_server, postgres_template) as url:
        yield url


def empty(url: str) -> None:
    """Takes every row out of a ledger on a server, and counts its ids from 1 again. Whoever left a transaction open is an error."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    quote = engine.dialect.identifier_preparer.quote
    tables = [quote(table.name) for table in schema.metadata.sorted_tables]
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET lock_timeout = '5s'")
            connection.exec_driver_sql(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY")
        else:
            connection.exec_driver_sql("SET foreign_key_checks = 0, lock_wait_timeout = 5")
            for table in tables:
                connection.exec_driver_sql(f"TRUNCATE {table}")
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).all() == [(revisions.HEAD,)], "mark it own_database"


@pytest.fixture(params=DATABASES)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a ledger without a row, on each database the ledger works with. On a server the tests share it, but for those marked
    `own_database`, which change more than rows."""
    given, own = request.getfixturevalue, request.node.get_closest_marker("own_database")
    if request.param == "sqlite":
        shutil.copyfile(given("sqlite_template"), tmp_path / "migrate.db")
        yield f"sqlite:///{tmp_path / 'migrate.db'}"
    elif own and request.param == "mariadb":
        with mariadb_with_tables(given("mariadb_server"), given("mariadb_template")) as url:
            yield url
    elif own:
        with postgres_database(given("postgres_server"), given("postgres_template")) as url:
            yield url
    else:
        url = given("mariadb_ledger" if request.param == "mariadb" else "postgres_ledger")
        yield url
        empty(url)


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
