"""What a real privacyIDEA server says, and says nothing of, and what is made of it. The scripted one of the contract answers likewise."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pandas as pd
import pytest
from privacyidea_server import PrivacyIdeaServer, Realm

from migrate.core.accounts import words_of
from migrate.directory import Directory, open_directory, settings_model
from migrate.directory.testing import assert_contract, assert_unreadable, read_all
from migrate.errors import NotConsentedError


def directory(of: Realm, **more: object) -> Directory:
    return open_directory(settings_model("privacyidea")(**of.settings(**more)))


def accounts(realm: Realm, **more: object) -> pd.DataFrame:
    rows, _ = read_all(directory(realm, **more))
    return rows.assign(methods=rows["methods"].map(words_of)).set_index("username")


def test_people_with_every_kind_of_token_are_read_as_they_are(privacyidea: PrivacyIdeaServer) -> None:
    realm = privacyidea.realm("sms", "app", "both", "push", "none", "off", "begun", "pushless", "mail", "paper", "Zoë")
    for person in ("sms", "both", "off"):
        serial = realm.sms(person)
    realm.disable(serial)
    realm.app("app")
    realm.app("both")
    realm.enrol("begun", "totp")  # the policy wants a code of it, which was not given
    realm.push("push")
    realm.push("pushless", finished=False)
    realm.enrol("mail", "email", email="mail@example.test", genkey=1)
    realm.enrol("paper", "paper")
    realm.enrol("Zoë", "hotp")
    rows = assert_contract(lambda: directory(realm))
    found = rows.assign(methods=rows["methods"].map(words_of)).set_index("username")
    assert found["methods"].to_dict() == {
        "sms": ("sms",), "app": ("totp",), "both": ("sms", "totp"), "push": ("push",), "none": (), "off": (), "begun": (), "pushless": (),
        "mail": ("email_otp",), "paper": ("backup_code",), "Zoë": ("totp",),
    }  # fmt: skip
    assert found["display_name"]["Zoë"] == "Zoë Example"
    assert found["account_id"]["sms"] == f"{realm.name}:1001" and found["phone"]["sms"] == "••••00"
    assert found["methods_changed_at"].notna()["app"] and found["methods_changed_at"].isna()["sms"]


def test_a_code_that_was_right_tells_which_token_was_used_last(privacyidea: PrivacyIdeaServer) -> None:
    realm = privacyidea.realm("ada")
    realm.sms("ada")
    assert realm.signs_in(realm.enrol("ada", "totp"))
    found = accounts(realm)
    assert found["last_used_method"]["ada"] == "totp" and found["last_used_at"].notna()["ada"]


def test_more_tokens_than_a_page_has_are_read_once_each(privacyidea: PrivacyIdeaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from migrate.directory.privacyidea import server

    monkeypatch.setattr(server, "PAGE", 3)
    realm = privacyidea.realm(*(f"user{number}" for number in range(8)))
    for person in realm.people:
        realm.enrol(person, "spass" if person == "user3" else "email", email="x@example.test", genkey=1)
    assert accounts(realm)["methods"].tolist() == [("email_otp",)] * 3 + [()] + [("email_otp",)] * 4


def test_a_token_that_ends_in_mid_read_is_renewed(privacyidea: PrivacyIdeaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from migrate.directory.privacyidea import reading, server

    realm = privacyidea.realm("ada", "bob")
    for person in realm.people:
        realm.sms(person)
    fetched, fetch = [], server.PrivacyIdea._fetch
    monkeypatch.setattr(server.PrivacyIdea, "_fetch", lambda self: fetched.append(fetch(self)) or fetched[-1])
    monkeypatch.setattr(server, "PAGE", 1)
    add = reading.Tokens.add
    monkeypatch.setattr(reading.Tokens, "add", lambda self, page: (add(self, page), time.sleep(2)))
    privacyidea.call("POST", "/policy/short", {"scope": "webui", "action": "jwt_validity=2", "active": True})
    try:
        assert accounts(realm)["methods"].tolist() == [("sms",)] * 2
    finally:
        privacyidea.call("DELETE", "/policy/short")
    assert len(fetched) >= 2 and {each.seconds <= 2 for each in fetched} == {True}


@pytest.fixture
def told(privacyidea: PrivacyIdeaServer) -> Iterator[Realm]:
    realm = privacyidea.realm("ada", "bob")
    realm.sms("ada")
    yield realm
    realm.grant("userlist", "tokenlist")


@pytest.mark.parametrize("given", ["userlist", "tokenlist"])
def test_a_right_that_is_missing_is_named_by_the_read_and_by_check(told: Realm, given: str) -> None:
    told.grant(given)
    missing = {"userlist": "tokenlist", "tokenlist": "userlist"}[given]
    error = assert_unreadable(lambda: directory(told))
    assert isinstance(error, NotConsentedError) and f"the right {missing} is missing" in str(error)
    [outlook] = directory(told).outlooks()
    assert [f"the right {missing} is missing" in str(each) for each in outlook.wrong] == [True]


def test_a_realm_that_is_not_there_or_not_allowed_is_an_error(told: Realm) -> None:
    assert "has no realm nowhere, or reader may not see it" in str(assert_unreadable(lambda: directory(told, realm="nowhere")))
    told.grant()
    assert f"has no realm {told.name}, or reader may not see it" in str(assert_unreadable(lambda: directory(told)))


def test_a_policy_for_one_of_two_resolvers_shows_half_the_people_and_is_found_out(told: Realm) -> None:
    other = told.server.realm("eve")
    told.server.call("POST", f"/realm/{told.name}", {"resolvers": f"{told.name},{other.name}"})
    assert accounts(told)["methods"].to_dict() == {"ada": ("sms",), "bob": (), "eve": ()}
    told.grant("userlist", "tokenlist", resolver=other.name)
    error = str(assert_unreadable(lambda: directory(told)))
    assert f"1 person with a token in realm {told.name} is not among the users" in error and "it names no resolver and no user" in error


def test_a_realm_without_tokens_is_read_only_where_it_is_proven(told: Realm) -> None:
    empty = told.server.realm("ada", "bob")
    opened = directory(empty)
    rows, _ = read_all(opened)
    assert rows["methods"].tolist() == [0, 0] and opened.caveats() == (f"nobody in realm {empty.name} of privacyIDEA has a token",)
    empty.grant("userlist")
    elsewhere = {"scope": "admin", "action": "tokenlist", "adminuser": "reader", "realm": told.name, "active": True}
    told.server.call("POST", f"/policy/{empty.name}-elsewhere", elsewhere)
    assert "the right tokenlist is missing" in str(assert_unreadable(lambda: directory(empty)))


def test_a_database_that_lists_a_hundred_users_and_says_nothing_is_found_out_by_a_token(privacyidea: PrivacyIdeaServer) -> None:
    path = privacyidea.folder / "many.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE users (id INTEGER, username TEXT, email TEXT, mobile TEXT, givenname TEXT, surname TEXT)")
        database.executemany(
            "INSERT INTO users VALUES (?, ?, ?, '', 'User', ?)", [(i, f"u{i}", f"u{i}@example.test", i) for i in range(1, 151)]
        )
    realm = privacyidea.realm("ada")
    names = {name: name for name in ("username", "email", "mobile", "givenname", "surname")} | {"userid": "id"}
    resolver = {"type": "sqlresolver", "Driver": "sqlite", "Server": "/", "Database": str(path)[1:], "Table": "users", "Editable": 0}
    made = resolver | {"Map": json.dumps(names)}
    privacyidea.call("POST", f"/resolver/{realm.name}-sql", made)
    privacyidea.call("POST", f"/realm/{realm.name}", {"resolvers": f"{realm.name}-sql"})
    realm.sms("u1")
    opened = directory(realm)
    assert len(read_all(opened)[0]) == 100
    assert any("lists 100 users, the number at which such a list is cut off" in each for each in opened.caveats())
    realm.sms("u150")
    assert f"the list of {realm.name}-sql is cut off" in str(assert_unreadable(lambda: directory(realm)))
    privacyidea.call("POST", f"/resolver/{realm.name}-sql", made | {"Limit": 100_000})
    assert len(accounts(realm)) == 150


def test_a_resolver_that_another_node_serves_is_no_empty_one(told: Realm) -> None:
    other, node = told.server.realm("eve"), "0a1b2c3d-0000-4000-8000-000000000001"
    with closing(sqlite3.connect(told.server.folder / "pi.sqlite")) as database, database:
        database.execute("INSERT INTO nodename (id, name) VALUES (?, 'other')", [node])
    told.server.call("POST", f"/realm/{told.name}/node/{node}", {"resolver": [{"name": other.name, "priority": 1}]})
    assert f"could not ask the resolver {other.name}" in str(assert_unreadable(lambda: directory(told)))


def test_a_resolver_whose_file_is_gone_is_no_empty_one(told: Realm, clock: object) -> None:
    told.file.unlink()
    assert "it answered 500" in str(assert_unreadable(lambda: directory(told)))


def test_people_of_a_resolver_that_was_taken_out_of_the_realm_are_left_out(told: Realm) -> None:
    other = told.server.realm("eve")
    told.server.call("POST", f"/realm/{told.name}", {"resolvers": f"{told.name},{other.name}"})
    told.sms("eve")
    assert len(accounts(told)) == 3
    told.server.call("POST", f"/realm/{told.name}", {"resolvers": told.name})
    opened = directory(told)
    assert len(read_all(opened)[0]) == 2
    assert opened.caveats() == (f"1 person is left out, with tokens of realm {told.name} and in a resolver that is not in it",)


def test_tokens_of_somebody_who_is_gone_are_left_out_and_counted(told: Realm) -> None:
    told.people.remove("ada")
    told.write()
    opened = directory(told)
    rows, _ = read_all(opened)
    assert rows["username"].tolist() == ["bob"]
    assert opened.caveats() == (
        "1 token is of people whom no resolver of privacyIDEA knows any more, and left out",
    ) or opened.caveats() == ("1 token is of somebody whom no resolver of privacyIDEA knows any more, and left out",)


def test_a_token_that_is_set_is_used_and_a_wrong_password_is_an_error(told: Realm) -> None:
    token = told.server.sign_in("reader", "R3ad-test")
    found = accounts(told, token=token, username=None, password=None)
    assert found["methods"]["ada"] == ("sms",)
    error = str(assert_unreadable(lambda: directory(told, password="other")))
    assert "does not let reader in: it answers 401" in error
    error = str(assert_unreadable(lambda: directory(told, token=f"{token[:-4]}AAAA", username=None, password=None)))
    assert "does not take the token of reader (401" in error


def test_check_warns_of_an_administrator_who_may_do_everything(told: Realm) -> None:
    [outlook] = directory(told, username="admin", password="Adm1n-test").outlooks()
    assert "admin may do more than read, which is never needed: everything (*)" in outlook.warnings[0]
    [outlook] = directory(told).outlooks()
    assert outlook.warnings == () and "costs 4 calls for 2 users and 1 token (" in outlook.said
