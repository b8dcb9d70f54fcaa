"""What the field found, through real drivers: one meaning in several shapes, yes and no, ids and instants as sources hold them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from directory.conftest import csv_directory, sqlite_directory, write_csv, write_sqlite, write_xlsx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrate.core.accounts import words_of
from migrate.directory import Directory, open_directory, settings_model
from migrate.directory.testing import read_all

Column = Callable[[str, list[str]], pd.DataFrame]


def sql_directory(url: str, **more: Any) -> Directory:
    return open_directory(settings_model("sql")(**{"kind": "sql", "url": url, "table": "users"} | more))


@pytest.fixture(params=["postgres_url", "mariadb_url"])
def server_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def execute(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def accounts(directory: Directory) -> dict[str, dict[str, Any]]:
    """Id → the account's row; nothing may be rejected."""
    rows, _ = read_all(directory)
    assert rows["rejection"].dropna().tolist() == []
    return {str(row["account_id"]): {str(name): value for name, value in row.items()} for row in rows.to_dict("records")}


def methods(directory: Directory) -> dict[str, tuple[str, ...]]:
    return {name: words_of(int(row["methods"])) for name, row in accounts(directory).items()}


# One meaning, several shapes


FACTORS = (
    "CREATE TABLE people (id text, mail text)",
    "CREATE TABLE factors (person text, type text)",
    "INSERT INTO people VALUES ('a', 'a@example.com'), ('b', 'b@example.com'), ('c', 'c@example.com')",
    "INSERT INTO factors VALUES ('a', 'sms'), ('a', 'token:software:totp'), ('b', 'FIDO2 (WebAuthn)')",
    "CREATE TYPE factor AS ENUM ('sms', 'totp')",
)

AGGREGATED = [
    "array_agg(f.type)",
    "array_agg(f.type)::text",
    "json_agg(f.type)",
    "jsonb_agg(f.type)",
    "json_agg(f.type)::text",
    "string_agg(f.type, ',')",
    "string_agg(f.type, E'\\n')",
    "array_agg(f.type) FILTER (WHERE f.type IS NOT NULL)",
]


@pytest.mark.parametrize("methods_as", AGGREGATED)
def test_somebody_without_factors_in_a_left_join_has_no_methods(postgres_url: str, methods_as: str) -> None:
    execute(postgres_url, *FACTORS)
    query = (
        f"SELECT p.id AS account_id, p.mail AS email, {methods_as} AS methods "
        "FROM people p LEFT JOIN factors f ON f.person = p.id GROUP BY p.id, p.mail"
    )
    found = methods(sql_directory(postgres_url, table=None, query=query))
    assert found == {"a": ("sms", "totp"), "b": ("passkey",), "c": ()}


def test_arrays_of_postgresqls_own_types_are_lists(postgres_url: str) -> None:
    execute(
        postgres_url,
        "CREATE EXTENSION IF NOT EXISTS citext",
        "CREATE TYPE factor AS ENUM ('sms', 'totp')",
        "CREATE TABLE users (account_id text, email text, methods factor[], notification_emails citext[])",
        "INSERT INTO users VALUES ('a', 'a@example.com', '{sms,totp}', '{a@example.net,b@example.net}'), ('b', null, '{NULL}', '{NULL}')",
    )
    found = accounts(sql_directory(postgres_url))
    assert found["a"]["notification_emails"] == "a@example.net\nb@example.net"
    assert [words_of(int(found[name]["methods"])) for name in "ab"] == [("sms", "totp"), ()]
    assert found["b"]["notification_emails"] == ""


def test_a_json_column_may_hold_a_word_in_one_row_and_a_list_in_another(postgres_url: str) -> None:
    execute(
        postgres_url,
        "CREATE TABLE users (account_id text, email text, methods jsonb, groups jsonb)",
        """INSERT INTO users VALUES ('a', null, '"sms"', '"staff"'), ('b', null, '["totp", "sms"]', '["x", "y"]')""",
        "INSERT INTO users VALUES ('c', null, '[null]', '[]')",
    )
    for more in ({}, {"table": None, "query": "SELECT * FROM users"}):
        found = accounts(sql_directory(postgres_url, **more))
        assert [words_of(int(row["methods"])) for row in found.values()] == [("sms",), ("sms", "totp"), ()]
        assert [row["groups"] for row in found.values()] == ["staff", "x\ny", ""]


def test_a_list_of_lists_is_refused_whatever_holds_it(tmp_path: Path, postgres_url: str) -> None:
    nested = [["sms"], ["totp"]]
    pq.write_table(pa.table({"account_id": ["a"], "email": [""], "methods": [nested]}), tmp_path / "users.parquet")
    execute(
        postgres_url,
        "CREATE TABLE users (account_id text, email text, methods text[][])",
        "INSERT INTO users VALUES ('a', '', ARRAY[ARRAY['sms'], ARRAY['totp']])",
    )
    write_csv(tmp_path / "users.csv", [{"account_id": "a", "email": "", "methods": json.dumps(nested)}])
    for directory in (csv_directory(tmp_path / "users.parquet"), sql_directory(postgres_url), csv_directory(tmp_path / "users.csv")):
        rows, tally = read_all(directory)
        assert rows["rejection"].tolist() == ['methods: \'[["sms"], ["totp"]]\' is a list of something else than words']
        assert not tally.unknown_words


def test_octets_in_a_list_are_the_words_that_they_spell(tmp_path: Path) -> None:
    table = pa.table({"account_id": ["a", "b"], "email": ["", ""], "methods": [[b"sms", b"totp"], [None]]})
    pq.write_table(table, tmp_path / "users.parquet")
    assert methods(csv_directory(tmp_path / "users.parquet")) == {"a": ("sms", "totp"), "b": ()}


def _as_python(words: list[str]) -> str:
    return repr(words)


def _as_postgresql(words: list[str]) -> str:
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return "{" + ",".join(f'"{word}"' for word in escaped) + "}"


SHAPES: dict[str, Callable[[list[str]], str]] = {
    "json": json.dumps,
    "json with nulls": lambda words: json.dumps([None, *words, None]),
    "postgresql": _as_postgresql,
    "postgresql with nulls": lambda words: _as_postgresql(words)[:-1] + (",NULL}" if words else "NULL}"),
    "python": _as_python,
    "python with nulls": lambda words: repr([None, *words, float("nan")]),
    "python tuple": lambda words: repr((*words, None)),
    "python set": lambda words: repr(set(words)) if words else "set()",
    "numpy": lambda words: "[" + " ".join(map(repr, words)) + "]",
    "commas": ",".join,
    "commas and spaces": " , ".join,
    "semicolons": ";".join,
    "bars": "|".join,
    "lines": lambda words: "".join(f"{word}\n" for word in words),
    "windows lines": "\r\n".join,
    "quoted": lambda words: f'"{";".join(words)}"',
    "html lines": "<br>".join,
    "fullwidth commas": "\uff0c".join,
    "arabic semicolons": "\u061b".join,
    "empty items": lambda words: ",,".join(["", *words, "nan", "null", ""]),
}
KNOWN = [
    "sms",
    "Microsoft Authenticator app",
    "token:software:totp",
    "FIDO2 (WebAuthn)",
    "hardwareOneTimePasscode",
    "Office phone",
    "pigeon",
]


def _csv(folder: Path, rows: list[dict[str, Any]]) -> Directory:
    write_csv(folder / "users.csv", rows)
    return csv_directory(folder / "users.csv")


def _sqlite(folder: Path, rows: list[dict[str, Any]]) -> Directory:
    (folder / "users.db").unlink(missing_ok=True)
    write_sqlite(folder / "users.db", rows)
    return sqlite_directory(folder / "users.db")


def _parquet(folder: Path, rows: list[dict[str, Any]]) -> Directory:
    pd.DataFrame(rows).to_parquet(folder / "users.parquet")
    return csv_directory(folder / "users.parquet")


def _xlsx(folder: Path, rows: list[dict[str, Any]]) -> Directory:
    write_xlsx(folder / "users.xlsx", rows)
    return csv_directory(folder / "users.xlsx")


SOURCES: dict[str, Callable[[Path, list[dict[str, Any]]], Directory]] = {
    "csv": _csv, "sqlite": _sqlite, "parquet": _parquet, "xlsx": _xlsx,
}  # fmt: skip


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(people=st.lists(st.lists(st.sampled_from(KNOWN), unique=True), min_size=1, max_size=6), source=st.sampled_from(sorted(SOURCES)))
def test_any_shape_of_a_list_in_any_source_gives_the_same_methods_and_addresses(
    tmp_path: Path, people: list[list[str]], source: str
) -> None:
    addresses = ["a@example.net", "b@example.net", "c@example.net"]
    expected: list[Any] | None = None
    for name, shape in SHAPES.items():
        rows = [
            {
                "account_id": f"a{number}", "email": "x@example.com", "methods": shape(words),
                "notification_emails": shape(addresses[: len(words) % 4]),
            }
            for number, words in enumerate(people)
        ]  # fmt: skip
        read, tally = read_all(SOURCES[source](tmp_path, rows))
        listed = [sorted(each.split()) for each in read["notification_emails"]]  # a set has no order
        found = [read["methods"].tolist(), listed, dict(tally.unknown_words)]
        expected = expected or found
        assert read["rejection"].isna().all(), (name, read["rejection"].dropna().tolist())
        assert found == expected, name
    assert expected is not None
    assert expected[1] == [addresses[: len(words) % 4] for words in people]
    if any("pigeon" in words for words in people):
        assert expected[2] == {"pigeon": sum("pigeon" in words for words in people)}


NOTHING = [
    "NULL", "null", "None", "nan", "NaN", "<null>", "<none>", "(null)", "\\N", "N/A", "-", "\u2014", "[]", "{}", "[null]", "{NULL}",
    "[None]", "undefined", "nil", "<NA>", "NaT", "set()", "()", "''", '""', "[nan]", "{None}", ",", "||", "{NULL,NULL}", '["", null]',
]  # fmt: skip


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_nothing_is_nothing_in_every_list_however_it_is_spelt(tmp_path: Path, source: str) -> None:
    rows = [
        {"account_id": f"a{n}", "email": "", "methods": each, "groups": each, "notification_emails": each} for n, each in enumerate(NOTHING)
    ]
    for spelt, row in zip(NOTHING, accounts(SOURCES[source](tmp_path, rows)).values(), strict=True):
        assert (row["methods"], row["groups"], row["notification_emails"]) == (0, "", ""), spelt


def test_lists_of_the_source_itself_give_the_same_methods(tmp_path: Path) -> None:
    table = pa.table(
        {
            "account_id": ["a", "b", "c", "d"],
            "email": pa.nulls(4, pa.string()),
            "methods": pa.array([["sms", "totp"], [None], [], None], pa.list_(pa.string())),
            "notification_emails": pa.array([["a@example.net", None], None, [], ["b@example.net", "c@example.net"]], pa.list_(pa.string())),
        }
    )
    pq.write_table(table, tmp_path / "users.parquet")
    found = accounts(csv_directory(tmp_path / "users.parquet"))
    assert [words_of(int(row["methods"])) for row in found.values()] == [("sms", "totp"), (), (), ()]
    assert [row["notification_emails"] for row in found.values()] == ["a@example.net", "", "", "b@example.net\nc@example.net"]


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_a_list_that_the_export_lost_is_said_to_be_lost(tmp_path: Path, source: str) -> None:
    rows = [
        {"account_id": "a", "email": "a@example.com", "methods": "System.Object[]", "notification_emails": ""},
        {"account_id": "b", "email": "b@example.com", "methods": "sms", "notification_emails": "System.String[]"},
    ]
    read, tally = read_all(SOURCES[source](tmp_path, rows))
    assert "lost" in read["rejection"][0]
    assert "join" in read["rejection"][0]
    assert read["notification_emails"][1] == ""
    assert dict(tally.lost_lists) == {"notification_emails": 1}
    assert not tally.unknown_words


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_an_unknown_word_is_told_whole(tmp_path: Path, source: str) -> None:
    long = "Contoso Secure Sign-In Gateway 2019 with the token that the works council agreed to in its meeting of last spring"
    word = long.replace(",", "")
    _, tally = read_all(SOURCES[source](tmp_path, [{"account_id": "a", "email": "a@example.com", "methods": f"sms;{word}"}]))
    assert dict(tally.unknown_words) == {word: 1}


# Yes and no


BITS = {
    "mariadb_url": ("bit(1)", "b'1'", "b'0'"),
    "postgres_url": ("bit(1)", "B'1'", "B'0'"),
}


@pytest.mark.parametrize("database", sorted(BITS))
@pytest.mark.parametrize("how", ["table", "query"])
def test_the_bits_of_a_database_are_yes_and_no(request: pytest.FixtureRequest, database: str, how: str) -> None:
    url = str(request.getfixturevalue(database))
    kind, yes, no = BITS[database]
    execute(
        url,
        f"CREATE TABLE users (account_id varchar(10), email varchar(50), methods varchar(50), enabled {kind}, privileged {kind})",
        f"INSERT INTO users VALUES ('a', null, 'sms', {yes}, {no}), ('b', null, 'sms', {no}, {yes}), ('c', null, 'sms', null, null)",
    )
    more = {"table": None, "query": "SELECT * FROM users"} if how == "query" else {}
    found = accounts(sql_directory(url, **more))
    assert [(row["enabled"], row["privileged"]) for row in found.values()] == [(True, False), (False, True), (True, False)]


SPELT: Mapping[str, tuple[list[Any], list[Any]]] = {
    "words": (["VRAI", "Wahr", "VERDADERO", "Vero", "VERDADEIRO", "WAAR", "PRAWDA", "oui", "Ja", "sí", "sì", "Sim", "TAK", "✔", "x", "X"],
              ["FAUX", "Falsch", "FALSO", "Não", "ONWAAR", "FAŁSZ", "non", "Nein", "No", "nee", "nie", "-", "✗"]),
    "text": (["True", "yes", "1", "1.0", "T"], ["False", "no", "0", "0.0", "F"]),
}  # fmt: skip


@pytest.mark.parametrize("source", sorted(SOURCES))
@pytest.mark.parametrize("kind", sorted(SPELT))
def test_yes_and_no_of_spreadsheets_are_understood_everywhere(tmp_path: Path, source: str, kind: str) -> None:
    yes, no = SPELT[kind]
    rows = [{"account_id": f"a{i}", "email": "", "methods": "sms", "enabled": value} for i, value in enumerate([*yes, *no])]
    found = accounts(SOURCES[source](tmp_path, rows))
    assert [row["enabled"] for row in found.values()] == [True] * len(yes) + [False] * len(no)


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_method_columns_take_a_dash_and_any_yes(tmp_path: Path, source: str) -> None:
    rows = [{"account_id": "a", "email": "", "phone": "-", "app": "True"}, {"account_id": "b", "email": "", "phone": "x", "app": ""}]
    SOURCES[source](tmp_path, rows)
    suffix = {"sqlite": "db"}.get(source, source)
    columns = {"method_columns": {"sms": "phone", "totp": "app"}}
    make = sqlite_directory if source == "sqlite" else csv_directory
    assert methods(make(tmp_path / f"users.{suffix}", **columns)) == {"a": ("totp",), "b": ("sms",)}


REGISTERED = {
    "Registered": True, "Not registered": False, "ENROLLED": True, "notEnrolled": False, "Enabled": True, "Disabled": False, "active": True,
    "inactive": False, "Enforced": True, "Not set up": False, "pending": False, "not configured": False, "deaktiviert": False, "n/a": False,
}  # fmt: skip


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_method_columns_say_registered_in_any_words_that_say_it_of_a_method(tmp_path: Path, source: str) -> None:
    SOURCES[source](tmp_path, [{"account_id": word, "email": "", "phone": word} for word in REGISTERED])
    make, suffix = (sqlite_directory, "db") if source == "sqlite" else (csv_directory, source)
    found = methods(make(tmp_path / f"users.{suffix}", method_columns={"sms": "phone"}))
    assert found == {word: ("sms",) if yes else () for word, yes in REGISTERED.items()}


def test_rows_of_method_columns_say_registered_in_the_same_words(file: Callable[..., Directory]) -> None:
    text = "account_id,email,phone,app\na,,Registered,-\na,,,enrolled\nb,,Not registered,Pending activation\n"
    assert methods(file(text, method_columns={"sms": "phone", "totp": "app"}, rows="methods")) == {"a": ("sms", "totp"), "b": ()}
    read, _ = read_all(file("account_id,email,phone\na,,perhaps\n", method_columns={"sms": "phone"}))
    assert read["rejection"].tolist() == ["sms: 'perhaps' is neither yes nor no"]


TYPES = {
    "guest": ["Guest", "GUEST", "External", "guest user", "GuestUser"],
    "shared": ["SharedMailbox", "shared mailbox", "Shared-Account", "room", "RoomMailbox", "EquipmentMailbox"],
    "service": ["Service Account", "serviceAccount", "service.account", "Bot", "Service-Principal"],
    "break_glass": ["BreakGlass", "Break Glass", "break-glass", "EmergencyAccess"],
    "person": ["Member", "UserMailbox", "user", "Employee", "NULL", "-", ""],
}


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_types_of_account_are_compared_without_case_joints_and_camel_case(tmp_path: Path, source: str) -> None:
    spelt = [(ours, theirs) for ours, each in TYPES.items() for theirs in each]
    rows = [{"account_id": f"a{n}", "email": "", "methods": "sms", "account_type": theirs} for n, (_, theirs) in enumerate(spelt)]
    found = accounts(SOURCES[source](tmp_path, rows))
    assert [(row["account_type"], theirs) for row, (_, theirs) in zip(found.values(), spelt, strict=True)] == spelt


def test_typed_booleans_and_numbers_are_yes_and_no(tmp_path: Path) -> None:
    for number, column in enumerate(([True, False, None], [1, 0, None], [1.0, 0.0, None], [Decimal(1), Decimal(0), None])):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"account_id": ["a", "b", "c"], "email": ["", "", ""], "methods": ["", "", ""], "enabled": column}), path)
        assert [row["enabled"] for row in accounts(csv_directory(path)).values()] == [True, False, True]


def test_the_operator_says_which_words_are_yes_and_no(file: Callable[..., Directory]) -> None:
    text = "account_id,email,methods,status\n" + "".join(
        f"{word},,sms,{word}\n" for word in ("ACTIVE", "PASSWORD_EXPIRED", "SUSPENDED", "DEPROVISIONED", "active", "yes")
    )
    enabled = {"column": "status", "yes": ["ACTIVE", "password expired"], "no": ["SUSPENDED", "DEPROVISIONED"]}
    found = accounts(file(text, columns={"enabled": enabled}))
    assert [row["enabled"] for row in found.values()] == [True, True, False, False, True, True]
    read, _ = read_all(file(text.replace("yes,,sms,yes", "x1,,sms,STAGED"), columns={"enabled": enabled}))
    assert read["rejection"].dropna().tolist() == ["enabled: 'STAGED' is neither yes nor no"]


def test_a_column_that_says_the_opposite_is_turned_round(file: Callable[..., Directory]) -> None:
    text = "account_id,email,methods,suspended\na,,sms,true\nb,,sms,false\nc,,sms,\n"
    found = accounts(file(text, columns={"enabled": {"not": "suspended"}}))
    assert [row["enabled"] for row in found.values()] == [False, True, True]


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_active_directorys_account_control_is_read_by_its_second_bit(tmp_path: Path, source: str) -> None:
    rows = [{"account_id": f"a{value}", "email": "", "methods": "sms", "userAccountControl": value} for value in (512, 514, 66050, 66048)]
    SOURCES[source](tmp_path, rows)
    make = sqlite_directory if source == "sqlite" else csv_directory
    found = accounts(make(tmp_path / f"users.{ {'sqlite': 'db'}.get(source, source) }", columns={"enabled": "userAccountControl"}))
    assert [row["enabled"] for row in found.values()] == [True, False, False, True]


def test_types_of_account_have_the_operators_words(file: Callable[..., Directory]) -> None:
    text = "account_id,email,methods,kind\na,,sms,Gast\nb,,sms,Member\nc,,sms,\nd,,sms,funktionspostfach\n"
    words = {"Gast": "guest", "Funktions-Postfach": "shared"}
    found = accounts(file(text, columns={"account_type": {"column": "kind", "words": words}}))
    assert [row["account_type"] for row in found.values()] == ["guest", "person", "person", "shared"]


def test_a_column_of_a_type_that_nobody_here_knows_disturbs_no_read(postgres_url: str) -> None:
    execute(
        postgres_url,
        "CREATE TABLE users (account_id xid8, email text, methods text, place point, document xml)",
        "INSERT INTO users VALUES ('17', null, 'sms', '(1,2)', null), ('18', null, null, null, null)",
    )
    assert methods(sql_directory(postgres_url)) == {"17": ("sms",), "18": ()}


# Ids and numbers


def test_a_padded_id_is_cut(server_url: str) -> None:
    execute(
        server_url,
        "CREATE TABLE users (account_id char(10), email varchar(50), methods varchar(50))",
        "INSERT INTO users VALUES ('A1', null, 'sms')",
    )
    for more in ({}, {"table": None, "query": "SELECT * FROM users"}):
        assert list(accounts(sql_directory(server_url, **more))) == ["A1"]


@pytest.mark.parametrize(("database", "kind", "literal"), [("mariadb_url", "binary(16)", "0x{}"), ("postgres_url", "bytea", "'\\x{}'")])
def test_binary_ids_are_hexadecimal_whatever_their_octets_spell(
    request: pytest.FixtureRequest, database: str, kind: str, literal: str
) -> None:
    url = str(request.getfixturevalue(database))
    ids = [b"sixteen letters!".hex(), "ff" * 16, "00" * 16]
    values = ", ".join(f"({literal.format(each)}, null, 'sms')" for each in ids)
    execute(
        url, f"CREATE TABLE users (account_id {kind}, email varchar(50), methods varchar(50))",
        f"INSERT INTO users VALUES {values}".replace("%", "%%"),
    )  # fmt: skip
    assert sorted(accounts(sql_directory(url))) == sorted(ids)


def test_whole_numbers_beyond_63_bits_are_read_as_they_are(tmp_path: Path, mariadb_url: str) -> None:
    large = 2**64 - 1
    execute(
        mariadb_url,
        "CREATE TABLE users (account_id bigint unsigned, email varchar(50), methods varchar(50), department bigint unsigned)",
        f"INSERT INTO users VALUES ({large}, null, 'sms', {large}), (7, null, 'sms', 1)",
    )
    found = accounts(sql_directory(mariadb_url))
    assert {name: row["department"] for name, row in found.items()} == {str(large): str(large), "7": "1"}
    table = pa.table({"account_id": pa.array([large, 7], pa.uint64()), "email": ["", ""], "methods": ["sms", "sms"]})
    pq.write_table(table, tmp_path / "users.parquet")
    assert list(accounts(csv_directory(tmp_path / "users.parquet"))) == [str(large), "7"]


# Instants


def test_an_instant_that_no_calendar_holds_is_null_and_counted_and_stops_no_read(postgres_url: str) -> None:
    execute(
        postgres_url,
        "CREATE TABLE users (account_id text, email text, methods text, methods_changed_at timestamptz, last_sign_in_at date)",
        "INSERT INTO users VALUES ('a', null, 'sms', 'infinity', '2024-01-02'), ('b', null, 'sms', '-infinity', 'infinity'), "
        "('c', null, 'sms', '2024-01-02 03:04:05.678+02', null), ('d', null, 'sms', '12024-01-01', '0044-03-15 BC')",
    )
    for more in ({}, {"table": None, "query": "SELECT * FROM users"}, {"key": "account_id"}):
        rows, tally = read_all(sql_directory(postgres_url, **more))
        assert rows["methods_changed_at"].isna().tolist() == [True, True, False, True]
        assert rows["methods_changed_at"][2].to_pydatetime() == datetime(2024, 1, 2, 1, 4, 5, 678000, UTC)
        assert rows["last_sign_in_at"].isna().tolist() == [False, True, True, True]
        assert dict(tally.unreadable_instants) == {"methods_changed_at": 3, "last_sign_in_at": 2}


@pytest.fixture
def zero_dates(mariadb_url: str) -> Iterator[str]:
    execute(
        mariadb_url,
        "CREATE TABLE users (account_id varchar(9), email varchar(9), methods varchar(9), methods_changed_at datetime, "
        "last_sign_in_at date)",
        "INSERT IGNORE INTO users VALUES ('a', null, 'sms', '0000-00-00 00:00:00', '0000-00-00'), "
        "('b', null, 'sms', '2024-01-02 03:04:05', '9999-12-31')",
    )
    yield mariadb_url


def test_the_zero_dates_of_mariadb_are_null_and_counted(zero_dates: str) -> None:
    rows, tally = read_all(sql_directory(zero_dates))
    assert rows["methods_changed_at"].isna().tolist() == [True, False]
    assert rows["last_sign_in_at"].isna().tolist() == [True, True]
    assert dict(tally.unreadable_instants) == {"methods_changed_at": 1, "last_sign_in_at": 2}
