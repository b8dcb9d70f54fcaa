"""Databases: SQLite files, a real PostgreSQL, and everything that can be wrong with a URL, a table or a query."""

from __future__ import annotations

import gc
import json
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from migrate.core.accounts import words_of
from migrate.directory import Directory, open_directory
from migrate.directory.sql import SqlDirectory, SqlSettings
from migrate.directory.testing import SAMPLE, assert_contract, assert_sample, assert_unreadable, read_all
from migrate.errors import ConfigError

Database = Callable[..., Directory]

ROWS = [{"account_id": f"a{i}", "email": f"{i}@b.test", "methods": "sms"} for i in range(25)]


def directory(**settings: Any) -> Directory:
    return open_directory(SqlSettings(**{"table": "users"} | settings))


def test_a_table_is_streamed_in_chunks(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlDirectory, "chunk_rows", 10)
    assert [len(frame) for frame in database(ROWS).without_shortcut().frames()] == [10, 10, 5]


def test_only_the_columns_needed_are_selected(database: Database) -> None:
    frame = next(iter(database([{**row, "password_hash": "x"} for row in ROWS]).frames()))
    assert set(frame) == {"account_id", "email", "methods", "position"}


def test_a_view_and_odd_names_are_read(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "d.db")) as db, db:
        db.execute('CREATE TABLE "order" ("select" text, "E-Mail ""x\'" text, "mfa methods" text)')
        db.execute("INSERT INTO \"order\" VALUES ('a', 'a@b.test', 'sms')")
        db.execute('CREATE VIEW "my.view" AS SELECT * FROM "order"')
    names = {"account_id": "select", "email": "E-Mail \"x'", "methods": "mfa methods"}
    for table in ("order", "my.view", "main.order"):
        rows = assert_contract(lambda table=table: directory(url=f"sqlite:///{tmp_path}/d.db", table=table, columns=names))
        assert rows["email"].tolist() == ["a@b.test"]


def test_a_query_may_hold_percent_signs_colons_and_dotted_names(database: Database) -> None:
    query = """SELECT account_id AS "u.id", email, 'sms' AS methods FROM users WHERE email LIKE '1%' AND ':x' <> '12:30'"""
    make = database(ROWS, table=None, query=query, columns={"account_id": "u.id"})
    assert assert_contract(lambda: make)["account_id"].tolist() == ["a1", *(f"a{i}" for i in range(10, 20))]


def test_neither_the_file_nor_its_folder_is_touched(database: Database, tmp_path: Path) -> None:
    made = database(ROWS)
    before = [(path, path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(tmp_path.iterdir())]
    read_all(made)
    assert [(path, path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(tmp_path.iterdir())] == before


@pytest.mark.parametrize("query", ["DELETE FROM users", "DROP TABLE users", "CREATE TABLE x (y)"])
def test_a_query_cannot_write(database: Database, tmp_path: Path, query: str) -> None:
    before = (database(ROWS), (tmp_path / "users.db").read_bytes())[1]
    error = assert_unreadable(lambda: directory(url=f"sqlite:///{tmp_path}/users.db", table=None, query=query))
    assert "readonly" in str(error)
    assert (tmp_path / "users.db").read_bytes() == before


def test_a_query_that_breaks_off_half_way_is_an_error(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlDirectory, "chunk_rows", 5)
    query = "SELECT account_id, email, CASE account_id WHEN 'a20' THEN json('{') ELSE methods END AS methods FROM users"
    error = assert_unreadable(lambda: database(ROWS, table=None, query=query))
    assert "malformed JSON" in str(error)
    assert "SELECT" not in str(error)


def test_a_statement_without_rows_is_an_error(database: Database) -> None:
    assert "returns no rows" in str(assert_unreadable(lambda: database(ROWS, table=None, query="PRAGMA read_uncommitted = 1")))


def test_a_missing_table_is_an_error_naming_the_near_ones(database: Database) -> None:
    assert "did you mean 'users'?" in str(assert_unreadable(lambda: database(ROWS, table="user")))
    assert "no table 'x.y'" in str(assert_unreadable(lambda: database(ROWS, table="x.y")))


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "d.db").write_text("no database, and long enough to be looked at by SQLite " * 20)
    assert "not a database" in str(assert_unreadable(lambda: directory(url=f"sqlite:///{tmp_path}/d.db")))


def test_a_path_with_odd_characters_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "a b#c%20d"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "d.db")) as db, db:
        db.execute("CREATE TABLE users AS SELECT 'a' AS account_id, 'a@b.test' AS email, 'sms' AS methods")
    in_url = str(folder).replace("%", "%25")  # a URL's percent sign begins an escape
    assert len(read_all(directory(url=f"sqlite:///{in_url}/d.db"))[0]) == 1


@pytest.mark.parametrize("rows", [1, 3, 24, 25, 26])
def test_paging_along_a_key_reads_every_row_once(database: Database, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(SqlDirectory, "chunk_rows", rows)
    found = assert_contract(lambda: database(ROWS, key="account_id"))
    assert found["account_id"].tolist() == sorted(row["account_id"] for row in ROWS)


@pytest.mark.parametrize("key", [["a", "b", "b", "b"], [None, None, "a", "b"], ["a", None, None, None]])
def test_a_key_that_would_lose_rows_is_an_error(database: Database, monkeypatch: pytest.MonkeyPatch, key: list[str | None]) -> None:
    monkeypatch.setattr(SqlDirectory, "chunk_rows", 2)
    rows = [{**row, "k": k} for row, k in zip(ROWS, key, strict=False)]
    assert "not unique or some are missing" in str(assert_unreadable(lambda: database(rows, key="k")))


def test_a_key_that_is_no_column_is_an_error(database: Database) -> None:
    assert "did you mean 'account_id'?" in str(assert_unreadable(lambda: database(ROWS, key="acount_id")))


@pytest.mark.parametrize("url", ["users.db", "sqlite://", "sqlite:///:memory:", "postgers://u:secret@h/d", "://", "http://h:port/x"])
def test_what_is_no_database_url_is_a_mistake_in_the_settings(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        directory(url=url)
    assert raised.value.where == "[directory] url"
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("postgres://h/d", "postgresql+psycopg"),
        ("postgresql://h/d", "postgresql+psycopg"),
        ("mysql://h/d", "mysql+pymysql"),
        ("mariadb://h/d", "mariadb+pymysql"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg2"),
    ],
)
def test_a_url_without_a_driver_gets_the_one_we_ship_for(url: str, driver: str) -> None:
    assert directory(url=url).describe() == f"table users of {driver}://h/d"


def test_a_missing_driver_is_an_error_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, url, extra in (("pymysql", "mysql://h/d", "mysql"), ("psycopg", "postgres://h/d", "postgres")):
        monkeypatch.setitem(sys.modules, module, None)
        assert f"pip install 'sms-migrate[{extra}]'" in str(assert_unreadable(lambda url=url: directory(url=url)))


@pytest.mark.parametrize(
    "settings", [{"table": None}, {"query": "select"}, {"table": None, "query": "select", "key": "id"}, {"tabel": "x"}]
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        directory(url="sqlite:///x.db", **settings)


def test_a_password_is_in_no_description_representation_or_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlDirectory, "connect_wait", 0)
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        made = directory(url=f"postgres://me:hunter2@127.0.0.1:{taken.getsockname()[1]}/d")
        error = assert_unreadable(lambda: made)
    assert "refused" in str(error)
    elsewhere = directory(url="postgres://h/d?user=me&password=hunter2")
    assert not any("hunter2" in text for text in (made.describe(), repr(made.settings), str(error), elsewhere.describe()))


def test_a_password_that_a_server_repeats_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("SELECT 1", {}, Exception("password authentication failed: hunter2, hunter3\nLINE 1: SELECT"))

    monkeypatch.setattr(sa.Engine, "connect", refuse)
    error = assert_unreadable(lambda: directory(url="postgres://me:hunter2@h/d?sslpassword=hunter3"))
    assert "password authentication failed: ***, ***." in str(error)
    assert "SELECT" not in str(error)


def test_connecting_is_tried_a_few_times_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlDirectory, "connect_wait", 0)
    tries: list[object] = []

    def refuse(*_: object, **__: object) -> None:
        tries.append(None)
        raise sa.exc.OperationalError("", {}, Exception(said))

    monkeypatch.setattr(sa.Engine, "connect", refuse)
    refusals = (("connection refused", 3, "unreachable"), ('password authentication failed for user "me"', 1, "directory"))
    for said, expected, kind in refusals:
        tries.clear()
        error = assert_unreadable(lambda: directory(url="postgres://me@h/d"))
        assert said in str(error)
        assert (len(tries), error.kind) == (expected, kind)


def postgres(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def fill_postgres(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE users (n serial, {', '.join(f'{name} text' for name in SAMPLE[0])})")
        names = ", ".join(SAMPLE[0])
        values = ", ".join(f":{name}" for name in SAMPLE[0])
        connection.execute(sa.text(f"INSERT INTO users ({names}) VALUES ({values})"), [dict(row) for row in SAMPLE])
    engine.dispose()


@pytest.mark.parametrize("rows", [2, 100])
def test_the_sample_gives_the_same_accounts_in_postgresql(postgres_url: str, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(SqlDirectory, "chunk_rows", rows)
    fill_postgres(postgres_url)
    assert_sample(lambda: directory(url=postgres_url))
    assert_sample(lambda: directory(url=postgres_url, table="public.users", key="n"))
    assert_sample(lambda: directory(url=postgres_url, table=None, query="SELECT * FROM users WHERE '%' <> ':x' ORDER BY n"))


def test_postgresql_keeps_its_types(postgres_url: str) -> None:
    postgres(
        postgres_url,
        "CREATE SCHEMA hr",
        "CREATE TABLE hr.people (account_id uuid, email text, methods text[], enabled boolean, notification_emails jsonb, "
        "methods_changed_at timestamptz, last_sign_in_at timestamp)",
        """INSERT INTO hr.people VALUES ('00000000-0000-0000-0000-000000000007', 'a@b.test', ARRAY['sms', 'Security Key'], false,
           '["x@b.test", "y@b.test"]', '2024-01-01T00:00:00+02', '2024-01-01T00:00:00')""",
        "INSERT INTO hr.people VALUES ('00000000-0000-0000-0000-000000000008', NULL, NULL, NULL, NULL, NULL, NULL)",
    )
    rows = assert_contract(lambda: directory(url=postgres_url, table="hr.people"))
    assert rows["account_id"].tolist() == [f"00000000-0000-0000-0000-00000000000{i}" for i in (7, 8)]
    assert [words_of(bits) for bits in rows["methods"]] == [("sms", "passkey"), ()]
    assert rows["enabled"].tolist() == [False, True]
    assert rows["notification_emails"].tolist() == ["x@b.test\ny@b.test", ""]
    assert str(rows["methods_changed_at"][0]) == "2023-12-31 22:00:00+00:00"
    assert str(rows["last_sign_in_at"][0]) == "2024-01-01 00:00:00+00:00"


def test_a_read_that_is_refused_or_broken_off_leaves_no_cursor_open(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlDirectory, "chunk_rows", 2)
    fill_postgres(postgres_url)
    opened: list[psycopg.ServerCursor[Any]] = []
    made = psycopg.ServerCursor.__init__
    monkeypatch.setattr(psycopg.ServerCursor, "__init__", lambda self, *a, **k: (opened.append(self), made(self, *a, **k))[1])
    for settings in (
        {"table": None, "query": "SELECT 1 AS nothing_we_know"},
        {"table": None, "query": "SELECT 1 / (n - 3) AS account_id FROM users"},
        {"table": None, "query": "SELECT pg_terminate_backend(pg_backend_pid())::text AS account_id FROM users"},
    ):
        assert_unreadable(lambda settings=settings: directory(url=postgres_url, **settings))
    for settings in ({}, {"table": None, "query": "SELECT * FROM users"}):
        frames = directory(url=postgres_url, **settings).frames()
        next(frames)
        frames.close()
    assert len(opened) >= 4
    assert all(cursor.closed for cursor in opened)


def test_postgresql_is_read_only_and_one_consistent_state(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlDirectory, "chunk_rows", 2)
    fill_postgres(postgres_url)
    writes = "WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone"
    assert assert_unreadable(lambda: directory(url=postgres_url, table=None, query=writes))
    for key in (None, "n"):
        frames = directory(url=postgres_url, key=key).frames()
        first = next(frames)
        postgres(postgres_url, "DELETE FROM users WHERE account_id = 'Zoë'")
        assert len(first) + sum(len(frame) for frame in frames) == len(SAMPLE) - (key is not None)


def test_a_missing_postgresql_database_or_table_is_an_error(postgres_url: str) -> None:
    elsewhere = sa.make_url(postgres_url).set(database="nil").render_as_string()
    assert "does not exist" in str(assert_unreadable(lambda: directory(url=elsewhere)))
    postgres(postgres_url, "CREATE TABLE people (id int)")
    assert "people" in str(assert_unreadable(lambda: directory(url=postgres_url, table="peopel")))


def test_values_are_json_where_the_database_has_no_lists(database: Database) -> None:
    rows, _ = read_all(database([{"account_id": 7, "email": None, "methods": json.dumps(["sms", "totp"])}]))
    assert (rows["account_id"][0], words_of(rows["methods"][0])) == ("7", ("sms", "totp"))


def test_a_read_that_is_given_up_leaves_nothing_open(
    database: Database, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(SqlDirectory, "chunk_rows", 5)
    closed: list[object] = []
    monkeypatch.setattr(sa.Engine, "dispose", lambda engine, *_: closed.append(engine))
    frames = database(ROWS).without_shortcut().frames()
    next(frames)
    assert not closed
    del frames
    gc.collect()
    assert closed
    assert not recwarn.list


@pytest.mark.parametrize("option", ["nosuch=1", "connect_timeout=soon", "ssl_ca=/nowhere/ca.pem", "charset=nosuch"])
def test_an_option_that_the_driver_does_not_take_is_an_error_in_the_url(option: str) -> None:
    pytest.importorskip("pymysql")
    told = str(assert_unreadable(lambda: directory(url=f"mysql://root:s3cret@127.0.0.1:9/x?{option}")))
    assert told.startswith("[directory] url: has an option that the driver does not take")
    assert "s3cret" not in told


@pytest.mark.parametrize(
    ("query", "says", "does"),
    [
        ("SELECT * FROM users", "permission denied for table users", "Grant this account SELECT"),
        ("SELECT pg_sleep(5)::text AS account_id", "canceling statement due to statement timeout", "take longer"),
        ("SELECT nosuch FROM pg_class", 'column "nosuch" does not exist', "Correct [directory] query"),
    ],
)
def test_what_postgresql_refuses_comes_with_what_to_do(postgres_url: str, query: str, says: str, does: str) -> None:
    reader = f"reader_{sa.make_url(postgres_url).database}"
    postgres(postgres_url, "CREATE TABLE users (account_id text, email text, methods text)")
    postgres(postgres_url, f"CREATE ROLE {reader} LOGIN")
    postgres(postgres_url, f"ALTER ROLE {reader} SET statement_timeout = 300")
    try:
        url = sa.make_url(postgres_url).set(username=reader).render_as_string()
        told = str(assert_unreadable(lambda: directory(url=url, table=None, query=query)))
    finally:
        postgres(postgres_url, f"DROP ROLE {reader}")
    assert says in told
    assert does in told
