"""Sources with a row a method, and joins of sources: what becomes of their rows, whatever their order and the size of the chunks."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from migrate.core.accounts import words_of
from migrate.directory import Directory, mapping_digest, open_directory, table_model
from migrate.directory.csv import CsvDirectory
from migrate.directory.testing import assert_contract, assert_unreadable, comparable, read_all
from migrate.errors import ConfigError, MigrateError


def opened(**table: Any) -> Directory:
    table = {"kind": "csv"} | table
    return open_directory(table_model(table).model_validate(table))


def read(**table: Any) -> pd.DataFrame:
    return assert_contract(lambda: opened(**table))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    pd.DataFrame(rows).to_csv(path, index=False)


def write_sqlite(path: Path, rows: list[dict[str, Any]]) -> None:
    with closing(sqlite3.connect(path)) as database:
        pd.DataFrame(rows).to_sql("users", database, index=False)


def methods(rows: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    return {row["account_id"]: words_of(row["methods"]) for row in rows.to_dict("records")}


# Rows of one method


def test_a_hundred_people_in_a_hundred_and_sixty_rows_are_a_hundred_accounts() -> None:
    people = [(n, method) for n in range(100) for method in ["sms", "totp"][: 1 + (n % 5 < 3)]]
    rows = [{"account_id": f"a{n}", "email": f"a{n}@example.com", "methods": method} for n, method in people]
    assert len(rows) == 160
    random.Random(1).shuffle(rows)
    write_csv(Path("rows.csv"), rows)
    found = read(path="rows.csv", rows="methods")
    assert len(found) == 100
    assert found["rejection"].isna().all()
    assert set(methods(found).values()) == {("sms",), ("sms", "totp")}
    assert sum(words == ("sms", "totp") for words in methods(found).values()) == 60


def test_rows_of_one_id_that_contradict_each_other_are_all_rejected_with_their_positions() -> None:
    text = "account_id,email,methods\na,a@x.example,sms\nb,b@x.example,sms\na,other@x.example,totp\nb,,totp\n"
    found = read(path=written("rows.csv", text), rows="methods")
    reason = "rows 1, 3 have this account_id and differ in email"
    assert found[found["rejection"].notna()]["position"].tolist() == [1, 3]
    assert set(found["rejection"].dropna()) == {reason}
    good = found[found["rejection"].isna()]
    assert good[["account_id", "email", "position"]].to_numpy().tolist() == [["b", "b@x.example", 2]]
    assert methods(good) == {"b": ("sms", "totp")}


def test_a_row_that_cannot_be_read_takes_its_account_with_it() -> None:
    text = "account_id,email,methods\na,a@x.example,totp\na,a@x.example,sms,surplus\n,nobody@x.example,sms\n"
    found = read(path=written("rows.csv", text), rows="methods")
    assert found["rejection"].tolist() == ["no account_id", "row 2 of the same account cannot be read", "4 fields where the header has 3"]


def test_a_list_that_the_export_lost_in_a_row_is_said_once(file: Callable[..., Directory]) -> None:
    text = "account_id,email,methods\na,a@b.test,sms\na,a@b.test,System.Object[]\n"
    lost, other = sorted(read_all(file(text, rows="methods"))[0]["rejection"])
    assert lost.startswith("methods: 'System.Object[]' is what an export writes in place of a list that it lost: ")
    assert lost.count("System.Object[]") == 1
    assert other == "row 2 of the same account cannot be read"


def test_a_method_may_be_null_or_a_list_and_the_latest_times_count() -> None:
    text = (
        "id,email,MFA Factor,Last Used,Last Enrolled,Login\n"
        'a,a@x.example,"[""sms"", null]",2024-01-02T00:00:00Z,2023-01-01,a\n'
        "a,a@x.example,{totp},2024-03-01 00:00:00,2023-05-01,a\n"
        "a,a@x.example,,2024-04-01,,a\n"
        "b,b@x.example,Retina Scan,2024-04-01,,b\nb,b@x.example,sms,2024-04-01,,b\n"
    )
    table = {"path": written("rows.csv", text), "profile": "okta-mfa-usage"}
    found = read(**table).set_index("account_id")
    assert words_of(found.loc["a", "methods"]) == ("sms", "totp")
    assert found.loc["a", "last_used_method"] == "totp"
    assert found.loc["a", "methods_changed_at"] == pd.Timestamp("2023-05-01", tz="UTC")
    assert words_of(found.loc["b", "methods"]) == ("sms", "other")
    assert pd.isna(found.loc["b", "last_used_method"])  # two at the same moment are as good as none
    _, tally = read_all(opened(**table))
    assert dict(tally.unknown_words) == {"Retina Scan": 1}


def test_rows_of_a_database_and_of_columns_a_method_are_united_as_well() -> None:
    rows = [{"id": 1, "mail": "a@x.example", "sms": 1, "app": 0}, {"id": 1, "mail": "a@x.example", "sms": 0, "app": 1}]
    write_sqlite(Path("rows.db"), rows)
    found = read(
        kind="sql", url="sqlite:///rows.db", table="users", rows="methods", columns={"account_id": "id", "email": "mail"},
        method_columns={"sms": "sms", "totp": "app"},
    )  # fmt: skip
    assert methods(found) == {"1": ("sms", "totp")}


WORDS = ["sms", "totp", "Security Key", "", "none", "Retina Scan", '["sms","push"]', "{NULL}"]
ROW = st.tuples(
    st.integers(0, 6), st.sampled_from(WORDS), st.sampled_from(["", "yes", "no"]), st.sampled_from(["", "2024-01-01", "2024-02-01"])
)
QUICK = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(rows=st.lists(ROW, min_size=1, max_size=20), order=st.randoms(use_true_random=False), chunk=st.integers(1, 7))
def test_neither_the_order_of_the_rows_nor_the_size_of_the_chunks_matters(rows: list[Any], order: random.Random, chunk: int) -> None:
    def found(rows: list[Any], chunk: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        given_rows = [{"account_id": f"a{n}", "email": "", "methods": m, "enabled": e, "last_used_at": at} for n, m, e, at in rows]
        write_csv(Path("rows.csv"), given_rows)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CsvDirectory, "chunk_rows", chunk)
            read, _ = read_all(opened(path="rows.csv", rows="methods"))
        read["rejection"] = read["rejection"].str.replace(r"rows [\d, ]+", "rows ", regex=True)
        good = read[read["rejection"].isna()]
        bad = read[read["rejection"].notna()].groupby("account_id")["rejection"].agg(["first", "size"])
        return good.drop(columns="position").reset_index(drop=True), bad

    whole = found(rows, 25_000)
    order.shuffle(rows)
    for one, other in zip(whole, found(rows, chunk), strict=True):
        assert_frame_equal(one, other)


# Joins


USERS = "id,login,mail,name,active\n1,Ann,ann@x.example,Ann,yes\n2,bob,bob@x.example,Bob,no\n3,cid,,Cid,yes\n"
FACTORS = 'who,factor,address\nANN ,sms,\nzoe,totp,zoe@x.example\ncid,"sms, totp",cid@x.example\n'
FIRST: dict[str, Any] = {
    "path": "users.csv",
    "columns": {"account_id": "id", "username": "login", "email": "mail", "display_name": "name", "enabled": "active"},
}
JOIN: dict[str, Any] = {"kind": "csv", "path": "factors.csv", "on": "username", "columns": {"username": "who", "methods": "factor"}}


@pytest.fixture
def joined() -> Callable[..., dict[str, Any]]:
    """A table `[directory]` of two files, with further settings of the join."""
    written("users.csv", USERS)
    written("factors.csv", FACTORS)
    return lambda **more: FIRST | {"join": [JOIN | more]}


def test_the_first_source_says_who_exists_and_the_second_brings_what_it_is_named_for(joined: Any) -> None:
    found = read(**joined())
    assert methods(found) == {"1": ("sms",), "2": ("unknown",), "3": ("sms", "totp")}
    assert found.set_index("account_id")["email"].fillna("").to_dict() == {"1": "ann@x.example", "2": "bob@x.example", "3": ""}
    assert found["position"].tolist() == [1, 2, 3]


def test_who_is_in_one_source_alone_is_counted_and_named(joined: Any) -> None:
    directory = opened(**joined())
    read_all(directory)
    assert directory.caveats() == (
        "1 person is only in the file factors.csv, and not in the file users.csv: zoe",
        (
            "1 account has no row in the file factors.csv (0 of them enabled), "
            "which counts as an unknown second step: [directory.join] missing"
        ),
    )
    assert directory.describe() == "the file users.csv joined with the file factors.csv"


def test_missing_none_means_that_nobody_without_a_row_has_a_method(joined: Any) -> None:
    assert methods(read(**joined(missing="none")))["2"] == ()


def test_a_column_that_is_only_found_fills_what_the_first_source_lacks(joined: Any) -> None:
    written("factors.csv", FACTORS.replace("address", "email").replace("ANN ,sms,", "ANN ,sms,ann@other.example"))
    emails = read(**joined()).set_index("account_id")["email"]
    assert emails["1"] == "ann@x.example"
    assert emails["3"] == "cid@x.example"
    named = JOIN["columns"] | {"email": "email"}
    emails = read(**joined(columns=named)).set_index("account_id")["email"]
    assert emails["1"] == "ann@other.example"


def test_methods_that_both_have_and_nobody_chose_between_are_said_to_be_left_aside() -> None:
    written("users.csv", "account_id,username,email,methods\na,ada,ada@x.example,sms\n")
    join = {"kind": "csv", "path": written("others.csv", "username,methods\nada,totp\n"), "on": "username"}
    said = "the methods of the file others.csv are not used, for the file users.csv has methods"
    for columns, expected in (({}, "sms"), ({"methods": "methods"}, "totp")):
        directory = opened(path="users.csv", join=[join | {"columns": columns}])
        found, _ = read_all(directory)
        assert methods(found) == {"a": (expected,)}
        assert any(caveat.startswith(said) for caveat in directory.caveats()) == (expected == "sms")


def test_rows_of_the_second_source_that_contradict_each_other_reject_the_account(joined: Any) -> None:
    written("factors.csv", "who,factor\nann,sms\nAnn,sms\nbob,sms\nbob,totp\ncid,sms,surplus\n")
    found = read(**joined()).set_index("account_id")
    assert pd.isna(found.loc["1", "rejection"])
    assert found.loc["2", "rejection"] == "rows 3, 4 of the file factors.csv have this username and differ in methods"
    assert found.loc["3", "rejection"] == "row 5 of the file factors.csv: 3 fields where the header has 2"


def test_an_id_is_compared_byte_for_byte_and_anything_else_without_its_case(joined: Any) -> None:
    written("factors.csv", "id,factor\n1,sms\n")
    found = read(**joined(on="account_id", columns={"account_id": "id", "methods": "factor"}))
    assert methods(found) == {"1": ("sms",), "2": ("unknown",), "3": ("unknown",)}
    written("users.csv", USERS.replace("\n1,", "\nA1,"))
    written("factors.csv", "id,factor\na1,sms\n")
    found = read(**joined(on="account_id", columns={"account_id": "id", "methods": "factor"}))
    assert methods(found)["A1"] == ("unknown",)


def test_the_second_source_may_have_a_row_a_method_and_be_of_another_kind(joined: Any) -> None:
    write_sqlite(Path("factors.db"), [{"who": "ann", "factor": "sms"}, {"who": "ANN", "factor": "totp"}, {"who": "cid", "factor": None}])
    table = joined()
    table["join"] = [
        {"kind": "sql", "url": "sqlite:///factors.db", "table": "users", "rows": "methods", "on": "username", "columns": JOIN["columns"]}
    ]
    assert methods(read(**table)) == {"1": ("sms", "totp"), "2": ("unknown",), "3": ()}


def test_three_sources_are_joined_each_on_a_column_of_its_own(joined: Any) -> None:
    table = joined()
    written("people.csv", "key,department\nbob@X.example,Sales\n")
    table["join"].append({"kind": "csv", "path": "people.csv", "on": "email", "columns": {"email": "key", "department": "department"}})
    found = read(**table).set_index("account_id")
    assert found["department"].fillna("").to_dict() == {"1": "", "2": "Sales", "3": ""}
    assert methods(found.reset_index())["3"] == ("sms", "totp")


def test_words_are_those_of_the_source_that_brings_the_column(joined: Any) -> None:
    written("users.csv", USERS.replace("yes", "sms").replace("no", "totp"))
    table = joined(methods={"sms": "passkey"})
    table["columns"] = table["columns"] | {"enabled": {"column": "active", "yes": ["sms"], "no": ["totp"]}}
    found = read(**table).set_index("account_id")
    assert words_of(found.loc["1", "methods"]) == ("passkey",)
    assert found["enabled"].to_dict() == {"1": True, "2": False, "3": True}


def test_what_no_source_brings_and_an_empty_second_source_are_errors(joined: Any) -> None:
    table = joined()
    del table["columns"]["email"]
    try:
        error = assert_unreadable(lambda: opened(**table))
    finally:
        table["columns"]["email"] = "mail"
    assert "none of them has a column 'email'" in str(error)
    written("factors.csv", "who,factor\n")
    assert "has no row with a username" in str(assert_unreadable(lambda: opened(**joined())))
    written("factors.csv", "whom,factor\n")
    assert assert_unreadable(lambda: opened(**joined())).where == "[directory.join.columns] username"


def test_the_digest_of_the_mapping_is_of_all_sources(joined: Any) -> None:
    def digest(**more: Any) -> str:
        table = {"kind": "csv"} | joined(**more)
        return mapping_digest(table_model(table).model_validate(table))

    assert len({digest(), digest(missing="none"), digest(methods={"factor": "sms"}), digest(on="email", columns={"email": "who"})}) == 4
    assert digest() == digest(path="elsewhere.csv")


def test_an_unknown_kind_of_a_join_says_where() -> None:
    with pytest.raises(ConfigError) as raised:
        table_model({"kind": "csv", "path": "x", "join": [{"kind": "sqll"}]})
    assert raised.value.where == "[directory.join] kind"


@QUICK
@given(
    users=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["", "d1", "d2"])), max_size=15, unique_by=lambda row: row[0]),
    others=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["sms", "totp"])), min_size=1, max_size=15, unique_by=lambda row: row[0]),
    chunk=st.integers(1, 5),
)
def test_a_join_is_what_pandas_calls_a_left_merge(users: list[Any], others: list[Any], chunk: int) -> None:
    left = pd.DataFrame([(f"a{n}", f"U{n}", department) for n, department in users], columns=["account_id", "username", "department"])
    right = pd.DataFrame([(f"u{n}", method) for n, method in others], columns=["username", "methods"])
    left.assign(email="").to_csv("users.csv", index=False)
    right.to_csv("factors.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CsvDirectory, "chunk_rows", chunk)
        join = {"kind": "csv", "path": "factors.csv", "on": "username", "columns": {"methods": "methods"}}
        found, tally = read_all(opened(path="users.csv", join=[join]))
    expected = left.assign(key=left["username"].str.casefold()).merge(right.rename(columns={"username": "key"}), on="key", how="left")
    expected["methods"] = expected["methods"].fillna("unknown")
    assert tally.rows == len(left)
    assert methods(found) == {row["account_id"]: (row["methods"],) for row in expected.to_dict("records")}
    assert comparable(found)["department"].fillna("").tolist() == [
        dict(zip(left["account_id"], left["department"], strict=True))[each] for each in found["account_id"]
    ]


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"kind": "csv", "path": "nowhere.csv"}, "[directory.join] path"),
        ({"kind": "sql", "url": "postgresq://u:hunter2@127.0.0.1:1/db", "table": "u"}, "[directory.join] url"),
        ({"kind": "sql", "url": "postgresql://u:hunter2@127.0.0.1:1/db", "table": "u"}, "[directory.join]"),
    ],
)
def test_what_is_wrong_with_a_joined_source_names_its_table_and_never_its_password(wrong: dict[str, str], where: str) -> None:
    people = written("people.csv", "account_id,email\na,a@x.example\n")
    with pytest.raises(MigrateError) as error:
        read_all(opened(path=people, join=[wrong | {"on": "email"}]))
    assert error.value.where == where
    assert "hunter2" not in str(error.value)
