"""What tokens and users of privacyIDEA become, and which settings are refused (directories.md 7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from directory.privacyidea_fake import BEGAN, Fake, accounts, directory, person
from graph.clock import VirtualClock
from pydantic import ValidationError

from migrate.core.accounts import words_of
from migrate.directory import open_directory, settings_model, table_model
from migrate.directory.testing import assert_unreadable, read_all


@pytest.fixture
def fake(clock: VirtualClock) -> Iterator[Fake]:
    with Fake(clock.now) as made:
        made.people = [person(number) for number in range(1, 4)]
        yield made
    assert made.violations == []


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        ("sms", "sms"), ("email", "email_otp"), ("totp", "totp"), ("hotp", "totp"), ("daypassword", "totp"), ("motp", "totp"),
        ("ocra", "totp"), ("push", "push"), ("tiqr", "push"), ("webauthn", "passkey"), ("u2f", "passkey"), ("passkey", "passkey"),
        ("yubikey", "hardware_otp"), ("yubico", "hardware_otp"), ("vasco", "hardware_otp"), ("daplug", "hardware_otp"),
        ("certificate", "certificate"), ("paper", "backup_code"), ("tan", "backup_code"), ("radius", "unknown"), ("remote", "unknown"),
        ("4eyes", "other"), ("indexedsecret", None), ("question", None), ("registration", None), ("pw", None), ("spass", None),
        ("sshkey", None), ("applspec", None), ("deprecated", None),
    ],
)  # fmt: skip
def test_every_type_of_token_is_known(kind: str, ours: str | None, fake: Fake) -> None:
    fake.has(fake.people[0], kind)
    rows, tally = read_all(directory(fake))
    assert words_of(int(rows["methods"][0])) == ((ours,) if ours else ())
    assert tally.unknown_words == {}


@pytest.mark.parametrize("kind", ["totp", "hotp", "daypassword"])
def test_a_code_that_a_device_shows_is_no_app(kind: str, fake: Fake) -> None:
    fake.has(fake.people[0], kind, info={"tokenkind": "hardware"})
    assert accounts(fake)["methods"]["user1"] == ("hardware_otp",)


@pytest.mark.parametrize(
    "state",
    [
        {"active": False}, {"revoked": True}, {"locked": True}, {"rollout_state": "verify"}, {"rollout_state": "clientwait"},
        {"rollout_state": "pending"}, {"rollout_state": "broken"}, {"rollout_state": "failed"}, {"rollout_state": "denied"},
        {"rollout_state": "something new"}, {"info": {"validity_period_end": "2026-11-24T04:00+0000"}},
        {"info": {"validity_period_start": "2199-01-01T00:00+0100"}},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_that_signs_nobody_in_is_no_method(state: dict[str, Any], fake: Fake) -> None:
    fake.has(fake.people[0], "totp", **state)
    fake.has(fake.people[0], "sms")
    assert accounts(fake)["methods"]["user1"] == ("sms",)


@pytest.mark.parametrize(
    "state", [{"rollout_state": ""}, {"rollout_state": None}, {"failcount": 10, "maxfail": 10}, {"info": {"validity_period_end": "soon"}}]
)
def test_a_token_that_may_sign_in_again_is_a_method(state: dict[str, Any], fake: Fake) -> None:
    fake.has(fake.people[0], "totp", **state)
    assert accounts(fake)["methods"]["user1"] == ("totp",)


def test_tokens_of_nobody_and_of_another_realm_are_nobodys_here(fake: Fake) -> None:
    fake.has(None, "totp")
    fake.has(fake.people[0], "push", user_realm="other")
    fake.has(fake.people[0], "sms", user_realm="Staff")
    assert accounts(fake)["methods"]["user1"] == ("sms",)


def test_tokens_of_people_who_are_gone_are_counted_and_left_out(fake: Fake) -> None:
    fake.has(fake.people[0], "sms")
    for _ in range(2):
        fake.has(person(9), "sms", username="", user_realm="")
    opened = directory(fake)
    rows, _ = read_all(opened)
    assert len(rows) == 3
    assert opened.caveats() == ("2 tokens are of people whom no resolver of privacyIDEA knows any more, and left out",)


def test_of_two_users_of_one_name_in_a_realm_the_first_is_the_user(fake: Fake) -> None:
    fake.realms["staff"].append("sql1")
    fake.kinds["sql1"] = "sqlresolver"
    fake.people.append(person(7, resolver="sql1"))
    fake.has(fake.people[0], "sms")
    fake.has(person(1, resolver="sql1"), "totp")  # the server lists only the user of the first resolver
    assert accounts(fake)["methods"]["user1"] == ("sms",)


def test_what_was_used_last_is_told_by_the_last_good_sign_in(fake: Fake) -> None:
    fake.has(fake.people[0], "totp", info={"last_auth": "2026-11-24 04:00:25.698857+0000"})
    fake.has(fake.people[0], "sms", info={"last_auth": "2026-11-25 04:00:25.698857+0000"})
    fake.has(fake.people[0], "push", info={"last_auth": "2026-11-26 04:00:25.698857+0000"}, active=False)
    fake.has(fake.people[1], "totp", info={"last_auth": "yesterday"})
    found = accounts(fake)
    assert found["last_used_method"]["user1"] == "sms"
    assert str(found["last_used_at"]["user1"]) == "2026-11-25 04:00:25.698857+00:00"
    assert found["last_used_method"].isna()["user2"]


def test_a_new_authenticator_is_told_by_when_it_was_made_and_a_new_number_is_none(fake: Fake) -> None:
    fake.has(fake.people[0], "totp", info={"creation_date": "2026-11-24T03:59:35+00:00"})
    fake.has(fake.people[0], "sms", "email", "paper", info={"creation_date": "2026-11-27T03:59:35+00:00"})
    fake.has(fake.people[1], "totp", info={"creation_date": "2020-01-01T00:00:00+00:00", "assignment_date": "2026-11-26T00:00:00+01:00"})
    fake.has(fake.people[2], "sms")
    found = accounts(fake)["methods_changed_at"]
    assert str(found["user1"]) == "2026-11-24 03:59:35+00:00"
    assert str(found["user2"]) == "2026-11-25 23:00:00+00:00"
    assert found.isna()["user3"]


def test_a_person_has_names_an_address_and_a_masked_number(fake: Fake) -> None:
    fake.has(fake.people[0], "sms", info={"phone": "+491701234542"})
    fake.people[1]["email"] = ""
    found = accounts(fake)
    assert found.loc["user1", ["account_id", "email", "display_name", "given_name", "phone"]].tolist() == [
        "ldap1:1001", "user1@example.test", "User 1", "User", "••••42",
    ]  # fmt: skip
    assert found["email"].isna()["user2"] and found["phone"]["user2"] == "••••02"


def test_further_attributes_are_asked_for_by_name_and_read_in_our_words(fake: Fake) -> None:
    columns = {
        "account_id": "uuid", "department": "ou", "enabled": {"column": "state", "yes": ["hired"], "no": ["left"]},
        "groups": "memberOf", "locale": "lang",
    }  # fmt: skip
    fake.people[0] |= {"uuid": "a-1", "ou": ["Sales"], "state": "left", "memberOf": ["A", "B"], "lang": "de-DE"}
    fake.people[1] |= {"uuid": "a-2", "state": "hired"}
    fake.people[2] |= {"uuid": "a-3", "state": "perhaps"}
    rows, _ = read_all(directory(fake, columns=columns))
    assert rows["account_id"].tolist() == ["a-1", "a-2", "a-3"]
    assert rows.loc[0, ["department", "enabled", "groups", "locale"]].tolist() == ["Sales", False, "A\nB", "de-DE"]
    assert rows["rejection"].tolist()[2] == "enabled: 'perhaps' is neither yes nor no"
    error = assert_unreadable(lambda: directory(fake, columns={"department": "memberof"}))
    assert error.where == "[directory.columns] department" and "has an attribute 'memberof'" in str(error)


def test_words_of_the_configuration_go_before_those_of_the_product(fake: Fake) -> None:
    fake.has(fake.people[0], "radius", "paper")
    assert accounts(fake, methods={"radius": "external", "paper": "none"})["methods"]["user1"] == ("external",)


# Tokens as a second source


def joined(fake: Fake, folder: Path, people: str, **more: Any) -> dict[str, Any]:
    (folder / "people.csv").write_text(people)
    join = fake.settings(kind="privacyidea", on="username", missing="none", users=False) | more
    return {"kind": "csv", "path": str(folder / "people.csv"), "join": [join]}


def test_tokens_are_joined_to_people_of_another_source_and_need_one_right(fake: Fake, tmp_path: Path) -> None:
    fake.rights, people = (
        ["tokenlist"],
        "account_id,username,email\n1,USER1,a@example.test\n2,user2,b@example.test\n9,nine,c@example.test\n",
    )
    fake.has(fake.people[0], "sms", "totp")
    fake.has(fake.people[2], "push")
    table = joined(fake, tmp_path, people)
    opened = open_directory(table_model(table).model_validate(table))
    rows, _ = read_all(opened)
    assert dict(zip(rows["account_id"], map(words_of, rows["methods"]), strict=True)) == {"1": ("sms", "totp"), "2": (), "9": ()}
    assert any("1 person is only in the tokens of realm staff in privacyIDEA" in each for each in opened.caveats())
    assert not any(call.startswith("GET /user/") for call in fake.calls)


def test_users_and_tokens_are_joined_to_people_by_their_addresses(fake: Fake, tmp_path: Path) -> None:
    fake.has(fake.people[0], "sms")
    table = joined(fake, tmp_path, "account_id,email\n1,User1@example.test\n2,user2@example.test\n", users=True, on="email")
    rows, _ = read_all(open_directory(table_model(table).model_validate(table)))
    assert rows["methods"].tolist() == [1, 0]


def test_a_list_of_no_tokens_cannot_be_proven_without_the_users(fake: Fake, tmp_path: Path) -> None:
    table = joined(fake, tmp_path, "account_id,username,email\n1,user1,a@example.test\n")
    error = assert_unreadable(lambda: open_directory(table_model(table).model_validate(table)))
    assert error.where == "[directory.join] realm" and 'action "tokenlist"' in str(error)


# What check says


def test_check_says_what_more_somebody_may_than_read(fake: Fake) -> None:
    [told] = directory(fake).outlooks()
    assert (told.warnings, told.wrong) == ((), ())
    fake.rights += ["delete", "enrollSMS", "auditlog", "policyread", "container_list", "resolverwrite"]
    [told] = directory(fake).outlooks()
    assert "reader may do more than read, which is never needed: delete, enrollSMS, resolverwrite." in told.warnings[0]


def test_check_says_when_a_fixed_token_ends_and_that_a_slow_read_does_not_fit(fake: Fake) -> None:
    fake.has(fake.people[0], "sms")
    fake.version = "3.10"
    real = fake._page
    fake._page = lambda asked, kind: real(asked, kind) | {"count": 500_000}  # type: ignore[method-assign]
    text = fake.jwt(exp=BEGAN - 40_000_000)
    [told] = directory(fake, token=fake.jwt(), username=None, password=None).outlooks()
    assert "a read of realm staff costs 1,001 calls for 500,000 tokens" in told.said
    assert any("a read may take 152 minutes, and [directory] timeout allows 60" in each for each in told.warnings)
    assert "does not take the token" in str(assert_unreadable(lambda: directory(fake, token=text, username=None, password=None)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "http://mfa.example.com"}, "is no address that a secret may be sent to"),
        ({"url": "https://mfa.example.com/?x=1"}, "without a question mark"),
        ({"realm": "a,b"}, "'a,b' is no realm"),
        ({"realm": "*"}, "'*' is no realm"),
        ({"token": "Bearer eyJ"}, "one word without spaces"),
        ({"token": "eyJ"}, "both are set"),
        ({"username": None}, "username and password belong together"),
        ({"username": None, "password": None}, "there is neither"),
        ({"profile": "privacyidea-tokens"}, "profile is for exports"),
        ({"rows": "methods"}, "rows is for exports"),
        ({"method_columns": {"sms": "has_sms"}}, "has none: take the table away"),
        ({"columns": {"methods": "x"}}, "'methods' has its value from tokens"),
        ({"users": False}, "it must be known who exists"),
        ({"pagesize": 5}, "pagesize"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], said: str) -> None:
    given = {"url": "https://mfa.example.com", "realm": "staff", "username": "reader", "password": "x"} | settings
    with pytest.raises(ValidationError, match=said.replace("*", r"\*")):
        settings_model("privacyidea")(**given)


@pytest.mark.parametrize(
    ("more", "said"), [({"on": "email"}, 'join on = "username"'), ({"columns": {"email": "mail"}}, "users = false reads none")]
)
def test_a_join_of_tokens_alone_has_neither_addresses_nor_attributes(more: dict[str, Any], said: str) -> None:
    join = {"kind": "privacyidea", "url": "https://mfa.example.com", "realm": "staff", "token": "x", "users": False, "on": "username"}
    table = {"kind": "csv", "path": "people.csv", "join": [join | more]}
    with pytest.raises(ValidationError, match=said):
        table_model(table).model_validate(table)
