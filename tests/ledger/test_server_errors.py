"""What real databases refuse that is no bug of ours: a LedgerError says what, where and what to do. Our own mistakes stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledger.scenes import NOW
from peers import missing, postgres_database, run_pgbouncer, unpacked

from migrate.errors import LedgerError
from migrate.ledger import schema
from migrate.ledger.engine import Ledger, LedgerSettings


@pytest.fixture
def ledger_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    with postgres_database(postgres_server, postgres_template) as url:
        yield url


@pytest.fixture
def maria(mariadb_url: str, mariadb_template: list[str]) -> Iterator[Ledger]:
    by_hand(mariadb_url, *mariadb_template)
    with Ledger.open(LedgerSettings(url=mariadb_url), create=False) as opened:
        yield opened


@contextmanager
def refused(ledger: Ledger, says: str, does: str) -> Iterator[sa.Connection]:
    """A write in which the ledger is refused something, in these words."""
    with pytest.raises(LedgerError, match=says) as told, ledger.begin() as connection:
        yield connection
    assert told.value.where == "[ledger] url"
    assert does in (told.value.hint or "")
    assert "\n" not in str(told.value)


def by_hand(url: str, *statements: str) -> None:
    """What an administrator does."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def of(url: str, user: str) -> str:
    return sa.make_url(url).set(username=user).render_as_string(hide_password=False)


def named(url: str) -> str:
    return str(sa.make_url(url).database)


@pytest.fixture
def other(ledger_url: str) -> Iterator[str]:
    """The name of a PostgreSQL account that may do nothing."""
    name = f"poor_{named(ledger_url)}"
    by_hand(ledger_url, f"CREATE ROLE {name} LOGIN")
    yield name
    by_hand(ledger_url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_an_account_that_may_make_no_table_is_told_what_to_grant(postgres_url: str, other: str) -> None:
    with pytest.raises(LedgerError, match="does not let this account do what a ledger needs: permission denied for schema public") as told:
        Ledger.open(LedgerSettings(url=of(postgres_url, other)), create=True)
    assert "Grant it all rights on the ledger's tables" in str(told.value)


def test_an_account_that_may_only_read_is_told_what_to_grant(ledger_url: str, other: str) -> None:
    by_hand(ledger_url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {other}")
    with (
        Ledger.open(LedgerSettings(url=of(ledger_url, other)), create=False) as ledger,
        refused(ledger, "permission denied for table campaign", "Grant it") as connection,
    ):
        connection.execute(sa.insert(schema.campaign).values(name="sms", secret="s", created_at=NOW))


def test_a_server_without_room_for_a_connection_says_so(ledger_url: str, other: str) -> None:
    by_hand(ledger_url, f"ALTER ROLE {other} CONNECTION LIMIT 0")
    with pytest.raises(LedgerError, match='too many connections for role "poor_') as told:
        Ledger.open(LedgerSettings(url=of(ledger_url, other)), create=False)
    assert told.value.where == "[ledger] url"


@pytest.mark.own_database
@pytest.mark.parametrize(
    ("setting", "says", "does"),
    [
        ("default_transaction_read_only = on", "cannot be written: cannot execute INSERT in a read-only transaction", "takes writes"),
        ("search_path = elsewhere", 'lacks a table or a column of a ledger: relation "campaign" does not exist', "search_path"),
        ("statement_timeout = 200", "took too long: canceling statement due to statement timeout", "statement_timeout"),
        (
            "idle_in_transaction_session_timeout = 200",
            "ended the connection: terminating connection due to idle-in-transaction",
            "same command",
        ),
    ],
)
def test_a_server_that_is_set_against_a_ledger_says_how(ledger_url: str, setting: str, says: str, does: str) -> None:
    with Ledger.open(LedgerSettings(url=ledger_url), create=False) as before:
        before.close()
        by_hand(ledger_url, f"ALTER DATABASE {named(ledger_url)} SET {setting}")
        with refused(before, says, does) as connection:
            if setting.startswith("statement"):
                connection.execute(sa.select(sa.func.pg_sleep(5)))
            if setting.startswith("idle"):
                by_hand(ledger_url, "SELECT pg_sleep(0.6)")
            connection.execute(sa.insert(schema.campaign).values(name="sms", secret="s", created_at=NOW))


def test_an_administrator_who_ends_the_connection_is_named(ledger_url: str) -> None:
    with (
        Ledger.open(LedgerSettings(url=ledger_url), create=False) as ledger,
        refused(ledger, "ended the connection: terminating connection due to administrator command", "nothing is sent twice") as connection,
    ):
        number = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        by_hand(ledger_url, f"SELECT pg_terminate_backend({number})")
        connection.execute(sa.select(schema.campaign))


def test_a_database_of_another_encoding_is_told_to_be_made_anew(postgres_server: str) -> None:
    by_hand(postgres_server, "CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'")
    url = sa.make_url(postgres_server).set(database="latin").render_as_string(hide_password=False)
    try:
        with (
            Ledger.open(LedgerSettings(url=url), create=True) as ledger,
            refused(ledger, "cannot store or compare a text: character with byte sequence .* has no equivalent", "UTF8") as connection,
        ):
            connection.execute(sa.insert(schema.campaign).values(name="日本", secret="s", created_at=NOW))
    finally:
        by_hand(postgres_server, "DROP DATABASE latin WITH (FORCE)")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            "INSERT INTO campaign (name, secret, created_at) SELECT repeat('x', 70000), 's', 0",
            "a value does not fit into a column of .*: value too long",
        ),
        ("SELECT 2147483647::int + 1", "a value does not fit into a column of .*: integer out of range"),
        ("SELECT count(*) FROM campaign FOR UPDATE", "cannot do what a ledger needs: FOR UPDATE is not allowed"),
        ("SELECT pg_advisory_xact_lock(n) FROM generate_series(1, 1000000) n", "does not have enough memory: out of shared memory"),
        ("SELECT ('a' COLLATE \"C\") < ('b' COLLATE \"POSIX\")", "cannot store or compare a text: collation mismatch"),
        ("EXECUTE _pg3_0", "mixes up sessions: prepared statement"),
    ],
)
def test_what_postgresql_does_not_take_is_explained(ledger_url: str, statement: str, says: str) -> None:
    with Ledger.open(LedgerSettings(url=ledger_url), create=False) as ledger, refused(ledger, says, "") as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("53100", "the disk of the postgresql database .* is full"),
        ("53300", "takes no further connection"),
        ("57P02", "ended the connection"),
        ("58030", "ended the connection"),
        ("XX001", "is damaged"),
        ("XX000", "cannot do what a ledger needs"),
        ("P0001", "cannot do what a ledger needs"),
        ("40P01", "is busy"),
        ("55P03", "is busy"),
        ("28P01", "does not accept the sign-in"),
        ("3D000", "does not exist"),
        ("42P05", "mixes up sessions"),
    ],
)
def test_every_state_of_postgresql_that_is_not_our_doing_is_explained(ledger_url: str, state: str, says: str) -> None:
    with (
        Ledger.open(LedgerSettings(url=ledger_url), create=False) as ledger,
        refused(ledger, f"{says}.*(as told|writing)", "") as connection,
    ):
        connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'as told' USING ERRCODE = '{state}'; END $$")


@pytest.mark.own_database
@pytest.mark.parametrize("gone", ["DROP TABLE campaign CASCADE", "ALTER TABLE campaign DROP COLUMN secret"])
def test_a_table_or_a_column_that_somebody_removed_is_named(ledger_url: str, gone: str) -> None:
    by_hand(ledger_url, gone)
    with (
        Ledger.open(LedgerSettings(url=ledger_url), create=False) as ledger,
        refused(ledger, "lacks a table or a column of a ledger: .*(campaign|secret)", "Somebody removed it") as connection,
    ):
        connection.execute(sa.select(schema.campaign))


@pytest.mark.parametrize(
    "mistake", ["SELEC 1", "SELECT nosuchfunction(1)", "SELECT * FROM nosuchtable", "SELECT nosuchcolumn FROM campaign"]
)
def test_a_mistake_of_ours_is_still_one(mistake: str, ledger_url: str, maria: Ledger, tmp_path: Path) -> None:
    with (
        Ledger.open(LedgerSettings(url=ledger_url), create=False) as postgres,
        Ledger.open(LedgerSettings(url=f"sqlite:///{tmp_path}/migrate.db"), create=True) as sqlite,
    ):
        for ledger in (postgres, maria, sqlite):
            with pytest.raises(sa.exc.DBAPIError), ledger.begin() as connection:
                connection.exec_driver_sql(mistake)


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (1021, "the disk of the mariadb database .* is full"),
        (1114, "the disk of the mariadb database .* is full"),
        (1040, "takes no further connection"),
        (1041, "does not have enough memory"),
        (1142, "does not let this account do"),
        (1290, "cannot be written"),
        (1969, "took too long"),
        (1927, "ended the connection"),
        (1366, "cannot store or compare a text"),
        (1264, "a value does not fit into a column of .*"),
        (1153, "refuses a statement of this size"),
        (1194, "is damaged"),
        (1235, "cannot do what a ledger needs"),
        (1205, "is busy"),
        (1213, "is busy"),
    ],
)
def test_every_number_of_mariadb_that_is_not_our_doing_is_explained(maria: Ledger, number: int, says: str) -> None:
    with refused(maria, f"{says}.*(as told|writing)", "") as connection:
        connection.exec_driver_sql(f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'as told'")


def test_mariadb_says_what_it_is_set_against(maria: Ledger, mariadb_url: str) -> None:
    with refused(maria, "took too long: Query execution was interrupted", "max_statement_time") as connection:
        connection.exec_driver_sql("SET STATEMENT max_statement_time = 0.1 FOR SELECT SLEEP(5) FROM seq_1_to_10")
    with refused(maria, "refuses a statement of this size|ended the connection", "") as connection:
        connection.execute(sa.insert(schema.campaign).values(name="s", secret="x" * (20 << 20), created_at=NOW))
    by_hand(mariadb_url, "SET foreign_key_checks = 0", "DROP TABLE campaign")
    with refused(maria, "lacks a table or a column of a ledger: Table 't.*campaign' doesn't exist", "Somebody") as connection:
        connection.execute(sa.select(schema.campaign))


def test_a_sqlite_table_that_somebody_removed_is_named(tmp_path: Path) -> None:
    with Ledger.open(LedgerSettings(url=f"sqlite:///{tmp_path}/migrate.db"), create=True) as ledger:
        by_hand(f"sqlite:///{tmp_path}/migrate.db", "DROP TABLE bounce")
        with refused(ledger, "lacks a table or a column of a ledger: no such table: bounce", "Somebody removed it") as connection:
            connection.execute(sa.select(schema.bounce))


@pytest.mark.parametrize(
    ("settings", "query", "says"),
    [
        ({"max_client_conn": "1"}, {}, r"no more connections allowed \(max_client_conn\)"),
        ({}, {"options": "-c search_path=elsewhere"}, "unsupported startup parameter"),
        ({"query_wait_timeout": "1"}, {}, "query_wait_timeout"),
        ({"pool_mode": "statement"}, {}, "refuses a command that a ledger needs: transaction blocks not allowed in statement pooling mode"),
    ],
)
def test_what_pgbouncer_refuses_is_explained(
    settings: dict[str, str], query: dict[str, str], says: str, postgres_server: str, ledger_url: str
) -> None:
    installed = unpacked("usr/sbin/pgbouncer")
    if installed is None:
        missing("no PgBouncer; `.ci/peers` unpacks Debian's")
    with run_pgbouncer(installed, postgres_server, default_pool_size="1", **settings) as url:
        behind = sa.make_url(url).set(database=named(ledger_url), query=query).render_as_string(hide_password=False)

        def opened() -> None:
            with pytest.raises(LedgerError, match=says) as told:
                Ledger.open(LedgerSettings(url=behind), create=False)
            assert told.value.where == "[ledger] url"

        if "pool_mode" in settings:
            opened()
            return
        engine = sa.create_engine(sa.make_url(behind).set(query={}), poolclass=sa.NullPool)
        with engine.begin() as holding:
            holding.exec_driver_sql("SELECT 1")
            opened()


def test_a_server_that_took_a_lock_away_from_us_for_long_is_busy(ledger_url: str) -> None:
    with Ledger.open(LedgerSettings(url=ledger_url), create=False) as ledger, ledger.with_patience(timedelta(seconds=0.2)) as hurried:
        holding = sa.create_engine(ledger_url, poolclass=sa.NullPool)
        with holding.begin() as other, refused(hurried, "is busy: another program is writing", "minute") as connection:
            other.exec_driver_sql("LOCK TABLE campaign")
            connection.execute(sa.select(schema.campaign))
