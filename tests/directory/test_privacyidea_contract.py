"""A directory of kind privacyidea reads everybody or nobody, whatever the server does on the way, and takes no silence for an answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from directory.privacyidea_fake import PASSWORD, Fake, accounts, directory, person
from graph.clock import VirtualClock
from graph.faults import Kind
from pandas.testing import assert_frame_equal

from migrate.directory import Directory
from migrate.directory.privacyidea import outlook, reading, server
from migrate.directory.testing import assert_contract, assert_unreadable, read_all
from migrate.errors import NotConsentedError, UnreachableError

RUNNING = threading.Event()
USERS, TOKENS, REALMS, SIGN_IN = "/user/", "/token/", "/realm/", "/auth"


@pytest.fixture
def fake(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """110 people with 110 tokens in three pages, and two frames."""
    monkeypatch.setattr(server, "PAGE", 40)
    monkeypatch.setattr(outlook, "PAGE", 40)
    monkeypatch.setattr(reading, "CHUNK", 60)
    with Fake(clock.now) as made:
        made.people = [person(number) for number in range(1, 111)]
        for each in made.people:
            made.has(each, "sms" if int(each["userid"]) % 2 else "totp")
        yield made
    assert made.violations == []


@pytest.fixture
def make(fake: Fake) -> Callable[[], Directory]:
    return lambda: directory(fake)


def test_a_realm_keeps_the_contract(fake: Fake, make: Callable[[], Directory]) -> None:
    rows = assert_contract(make)
    assert len(rows) == 110
    assert rows["rejection"].isna().all()
    assert rows["methods"].tolist()[:2] == [1, 8]


def test_a_read_makes_as_many_calls_as_check_said(fake: Fake, make: Callable[[], Directory]) -> None:
    [told] = make().outlooks()
    fake.calls.clear()
    read_all(make())
    assert (
        f"costs {len(fake.calls)} calls for 110 users and 110 tokens (1 to sign in, 1 for the realm, 1 for all users, 3 for pages"
        in told.said
    )
    assert [line.split()[0] for line in fake.calls] == ["POST"] + ["GET"] * 7


@pytest.mark.parametrize("path", [SIGN_IN, REALMS, USERS, TOKENS])
@pytest.mark.parametrize(("kind", "times"), [("429", 3), ("503", 3), ("500", 2), ("break off", 2), ("hang up", 2), ("html", 1)])
def test_what_passes_is_tried_again_and_everybody_is_read_once(
    path: str, kind: Kind, times: int, fake: Fake, make: Callable[[], Directory]
) -> None:
    undisturbed, _ = read_all(make())
    fake.fail(path, kind, times, after=1 if path == TOKENS else 0)
    rows, tally = read_all(make())
    assert tally.rows == 110
    assert_frame_equal(rows, undisturbed)


@pytest.mark.parametrize("path", [SIGN_IN, REALMS, USERS, TOKENS])
@pytest.mark.parametrize("kind", ["503", "break off", "429", "hang up", "html"])
def test_what_does_not_pass_ends_the_read_in_a_sentence(path: str, kind: Kind, fake: Fake, make: Callable[[], Directory]) -> None:
    fake.fail(path, kind, times=1000, after=1 if path == TOKENS else 0)
    error = assert_unreadable(make)
    assert isinstance(error, UnreachableError)
    assert (error.exit_code, error.where) == (3, "[directory] url")
    assert "privacyIDEA gives no answer that can be used" in str(error) and "tried 10 times. Nothing was changed." in str(error)
    assert PASSWORD not in str(error)


@pytest.mark.parametrize(("after", "said"), [(0, "not full before the last one"), (1, "not full before the last one"), (3, "and gives 80")])
def test_an_empty_page_loses_nobody_in_silence(after: int, said: str, fake: Fake, make: Callable[[], Directory]) -> None:
    fake.fail(TOKENS, "empty page", after=after)
    assert said in str(assert_unreadable(make))


def test_a_page_that_comes_again_is_refused(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.fail(TOKENS, "same page", after=1)
    assert "gives the same page a second time" in str(assert_unreadable(make))


def test_an_answer_without_an_end_is_refused(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.fail(USERS, "huge")
    assert "answers with more than 256 MiB" in str(assert_unreadable(make))


@pytest.mark.parametrize("retry_after", [7, None])
def test_a_server_that_asks_to_wait_is_left_alone_as_long(
    retry_after: int | None, fake: Fake, make: Callable[[], Directory], clock: VirtualClock
) -> None:
    begun = clock.now()
    fake.fail(TOKENS, "429", times=3, retry_after=retry_after)
    read_all(make())
    assert clock.now() - begun >= (21 if retry_after else 2)


def test_a_token_that_ends_in_mid_read_is_renewed(fake: Fake, make: Callable[[], Directory], clock: VirtualClock) -> None:
    fake.token_seconds = 30
    fake.meanwhile = {1: lambda: clock.wait(40, RUNNING), 3: lambda: clock.wait(40, RUNNING)}
    _, tally = read_all(make())
    assert (tally.rows, fake.tokens_given) == (110, 3)


def test_a_token_that_is_taken_back_in_mid_read_is_renewed_once(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.fail(TOKENS, "401", times=1, after=1)
    _, tally = read_all(make())
    assert (tally.rows, fake.tokens_given) == (110, 2)


def test_a_fixed_token_that_ends_in_mid_read_ends_it_and_says_what_would_not(fake: Fake, clock: VirtualClock) -> None:
    text = fake.jwt(exp=fake.now + 60)
    fake.meanwhile = {2: lambda: clock.wait(90, RUNNING)}
    error = assert_unreadable(lambda: directory(fake, token=text, username=None, password=None))
    assert error.where == "[directory] token"
    assert "does not take the token of reader (401 4304)" in str(error) and "set username and password in its place" in str(error)
    assert text not in str(error)


# What moves while it is read


def test_a_token_that_moves_over_the_edge_of_a_page_is_not_lost(fake: Fake, make: Callable[[], Directory]) -> None:
    gone = {1: "T000003", 3: "T000050", 5: "T000007"}
    fake.meanwhile = {call: lambda serial=serial: fake.delete(serial) for call, serial in gone.items()}  # type: ignore[misc]
    rows, _ = read_all(make())
    assert fake.meanwhile == {}
    assert (rows["methods"] == 0).sum() <= 3, "whoever lost no token has one"
    still = rows[~rows["username"].isin(["user3", "user50", "user7"])]
    assert (still["methods"] != 0).all()


def test_tokens_that_come_meanwhile_are_read_as_well(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.meanwhile = {1: lambda: fake.has(fake.people[0], "push"), 2: lambda: fake.has(fake.people[1], "push")}
    rows, _ = read_all(make())
    assert rows["methods"].tolist()[:3] == [1 + 16, 8 + 16, 1]


def test_a_list_that_moves_without_end_is_refused(fake: Fake, make: Callable[[], Directory]) -> None:
    everybody = iter([f"T{number:06}" for number in range(1, 60)])
    fake.meanwhile = {call: lambda: fake.delete(next(everybody)) for call in range(1, 500)}
    fake.people += [person(number) for number in range(111, 4000)]
    for each in fake.people[110:]:
        fake.has(each, "sms")
    everybody = iter([f"T{number:06}" for number in range(1, 4000)])
    assert "deleted from privacyIDEA faster than its list can be read" in str(assert_unreadable(make))


def test_somebody_who_comes_with_a_token_meanwhile_is_looked_for_again(fake: Fake, make: Callable[[], Directory]) -> None:
    def comes() -> None:
        fake.people.append(person(111))
        fake.has(fake.people[-1], "sms")

    fake.meanwhile = {1: comes}
    rows, _ = read_all(make())
    assert len(rows) == 111 and rows["methods"].tolist()[-1] == 1


# Silences that are no answers


def test_a_realm_that_is_not_there_is_an_error_and_not_nobody(fake: Fake) -> None:
    error = assert_unreadable(lambda: directory(fake, realm="staf"))
    assert error.where == "[directory] realm"
    assert "has no realm staf, or reader may not see it: it shows staff" in str(error)


def test_a_realm_of_nobody_is_not_believed(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.people.clear()
    assert "lists nobody in realm staff" in str(assert_unreadable(make))


def test_a_server_with_no_tokens_at_all_is_believed_if_it_proves_it(fake: Fake, make: Callable[[], Directory]) -> None:
    fake._tokens.clear()
    opened = make()
    rows, _ = read_all(opened)
    assert rows["methods"].tolist() == [0] * 110
    assert opened.caveats() == ("nobody in realm staff of privacyIDEA has a token",)


def test_an_old_server_with_no_tokens_cannot_prove_it(fake: Fake, make: Callable[[], Directory]) -> None:
    fake._tokens.clear()
    fake.version = "3.10"
    error = assert_unreadable(make)
    assert "lists no token in realm staff, which is also what it says" in str(error) and 'action "userlist, tokenlist"' in str(error)


@pytest.mark.parametrize("missing", ["userlist", "tokenlist"])
@pytest.mark.parametrize("version", ["3.9", "3.14"])
def test_a_right_that_is_missing_is_named_with_the_policy_that_gives_it(
    missing: str, version: str, fake: Fake, make: Callable[[], Directory]
) -> None:
    fake.version = version
    fake.rights.remove(missing)
    error = assert_unreadable(make)
    assert isinstance(error, NotConsentedError) and error.exit_code == 3
    assert f"the right {missing} is missing" in str(error)
    assert 'scope "admin", action "userlist, tokenlist", admin "reader", realm "staff"' in str(error)
    [told] = make().outlooks()
    assert [f"the right {missing} is missing" in str(each) for each in told.wrong] == [True]


def test_a_right_for_the_tokens_of_another_realm_is_found_out_by_counting(fake: Fake, make: Callable[[], Directory]) -> None:
    real = fake._page
    fake._page = lambda asked, kind: real(asked | {"tokenrealm": "other"}, kind)  # type: ignore[method-assign]
    assert "lists no token in realm staff" in str(assert_unreadable(make))


def test_a_resolver_that_could_not_be_asked_is_an_error_and_not_an_empty_one(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.skipped = ["ldap1"]
    assert "could not ask the resolver ldap1" in str(assert_unreadable(make))
    fake.version = "3.10"
    assert "lists nobody in realm staff" in str(assert_unreadable(make))


def test_a_resolver_of_two_that_is_down_on_an_old_server_is_told_by_its_tokens(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.realms["staff"].append("sql1")
    fake.kinds["sql1"] = "sqlresolver"
    fake.people.append(person(1, resolver="sql1", username="other"))
    fake.has(fake.people[-1], "sms")
    assert accounts(fake)["methods"]["other"] == ("sms",)
    fake.version, fake.skipped = "3.10", ["sql1"]
    fake._tokens[-1]["username"] = ""
    assert "the resolver sql1 of privacyIDEA lists nobody, though 1 token is of its users" in str(assert_unreadable(make))
    fake._tokens[-1]["username"] = "**resolver error**"
    fake._tokens[-1]["user_realm"] = ""
    assert "could not look up the owners of tokens in the resolver sql1" in str(assert_unreadable(make))


@pytest.mark.parametrize("listed", [100, 109])
def test_a_list_of_users_that_is_cut_off_is_told_by_the_tokens_of_others(listed: int, fake: Fake, make: Callable[[], Directory]) -> None:
    del fake.people[listed:]
    error = str(assert_unreadable(make))
    said = {100: "10 people with a token in realm staff are not", 109: "1 person with a token in realm staff is not"}[listed]
    assert said in error and "the list of ldap1 is cut off, or may not be seen" in error


def test_a_list_as_long_as_lists_are_when_they_are_cut_off_is_said_to_be(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.people += [person(number) for number in range(111, 501)]
    opened = make()
    read_all(opened)
    assert any("the resolver ldap1 lists 500 users" in each for each in opened.caveats())


def test_a_count_that_is_more_than_what_is_given_is_refused(fake: Fake, make: Callable[[], Directory]) -> None:
    real = fake._page
    fake._page = lambda asked, kind: real(asked, kind) | {"count": 111}  # type: ignore[method-assign]
    assert "has 111 tokens, and gives 110" in str(assert_unreadable(make))


def test_an_old_server_is_asked_for_no_attributes_for_it_would_search_for_them(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.version = "3.9.2"
    rows, _ = read_all(make())
    assert len(rows) == 110
    assert not any("attributes" in call for call in fake.calls)


def test_a_server_that_gives_smaller_pages_than_it_is_asked_for_is_read_to_the_end(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.largest_page = 15
    rows, _ = read_all(make())
    assert (rows["methods"] != 0).all()


# Who reads


def test_a_password_that_is_wrong_is_sent_once(fake: Fake) -> None:
    error = assert_unreadable(lambda: directory(fake, password="other"))
    assert error.where == "[directory] username"
    assert "does not let reader in: it answers 401 4031" in str(error)
    assert len([call for call in fake.calls if call == "POST /auth"]) == 1


def test_an_administrator_who_is_asked_for_a_second_factor_is_told_so(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.challenge = True
    assert "it asks for a second factor, which a program has not" in str(assert_unreadable(make))
    assert len([call for call in fake.calls if call == "POST /auth"]) == 1


def test_a_user_is_no_administrator_and_sees_herself_alone(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.role = "user"
    assert "is no administrator but a user" in str(assert_unreadable(make))
    assert "is no token of privacyIDEA" in str(assert_unreadable(lambda: directory(fake, token="x.y", username=None, password=None)))


def test_an_address_that_is_not_the_servers_is_said_to_be(fake: Fake) -> None:
    error = str(assert_unreadable(lambda: directory(fake, url=f"{fake.url}/ui")))
    assert "it answers 404" in error and "Look whether url is the address of privacyIDEA itself" in error


# What a server should not give


def test_a_user_who_comes_twice_is_the_same_account_twice_which_is_for_the_snapshot_to_see(fake: Fake) -> None:
    fake.people.append(fake.people[0])
    rows = accounts(fake)
    assert rows["account_id"].tolist()[0] == rows["account_id"].tolist()[-1] == "ldap1:1001"
    assert rows["methods"]["user1"].tolist() == [("sms",), ("sms",)]


def test_a_type_of_token_that_nobody_knows_is_counted_as_it_is_spelt(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.has(fake.people[0], "Retina Scan")
    rows, tally = read_all(make())
    assert tally.unknown_words == {"Retina Scan": 1}
    assert rows["methods"].tolist()[0] & 1


def test_names_of_any_script_are_read_and_hostile_values_break_nothing(fake: Fake, make: Callable[[], Directory]) -> None:
    fake.people[0] |= {"username": "zoë", "givenname": "Zoë 🧑‍🚀", "surname": "Łukasz", "email": "zoë@example.test"}
    fake._tokens[0]["username"] = "zoë"
    fake.people[1] |= {"givenname": ["Ada"], "surname": None, "email": {"x": 1}, "mobile": 7, "realm": None}
    fake.people[2] |= {"givenname": "=cmd()|'x'\r\nBcc: \u202eeve", "surname": "", "username": 7}
    fake.people[3] |= {"userid": None}
    fake.people[4] |= {"userid": ""}
    fake.people[5] |= {"userid": 1006}
    for place, (name, odd) in enumerate({"active": "no", "revoked": None, "rollout_state": None, "info": [], "username": None}.items(), 10):
        fake._tokens[place][name] = odd
    rows, _ = read_all(make())
    assert rows["display_name"].tolist()[:3] == ["Zoë 🧑‍🚀 Łukasz", "Ada", "=cmd()|'x'Bcc: eve"]
    assert rows["rejection"].tolist()[3:5] == ["no account_id"] * 2
    assert rows["methods"].tolist()[0] == 1 and rows["account_id"].tolist()[5] == "ldap1:1006"


@pytest.mark.parametrize(
    "told",
    [None, [], {}, {"result": None}, {"result": {"status": False}}, {"result": {"status": True, "value": 7}}, {"result": {"status": True}}],
)
@pytest.mark.parametrize("path", [REALMS, USERS, TOKENS, SIGN_IN])
def test_an_answer_of_another_shape_ends_the_read(path: str, told: Any, fake: Fake, make: Callable[[], Directory]) -> None:
    real = fake._send

    def send(handler: Any, status: int, answer: Any, more: Any = None, length: int = 0) -> None:
        odd = handler.path.partition("?")[0] == path
        real(handler, status, json.dumps(told).encode() if odd else answer, more, 0 if odd else length)

    fake._send = send  # type: ignore[method-assign]
    assert_unreadable(make)
