from __future__ import annotations

import re
from collections import Counter
from datetime import date
from random import Random

import pytest
from email_validator import EmailNotValidError, validate_email

from migrate.core.accounts import ACCOUNT_TYPES
from migrate.demo.names import CULTURES, written
from migrate.demo.people import LEGACY, MODERN, SMS, TELEPHONE, WORDS, Personnel, User, population
from migrate.demo.world import SEED


@pytest.fixture(scope="module")
def people() -> list[User]:
    return population(Personnel(), SEED)


def valid(address: str) -> bool:
    try:
        validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return False
    return True


def depends_on_sms(user: User) -> bool:
    by_habit = not user.methods & MODERN or user.mfa_default in TELEPHONE
    return user.active and not user.sso and bool(user.methods & TELEPHONE) and by_habit


def test_the_same_seed_gives_the_same_people_and_another_gives_others(people: list[User]):
    assert population(Personnel(), SEED) == people
    assert population(Personnel(), "another") != people


def test_there_are_about_a_thousand_and_nearly_half_depend_on_text_messages(people: list[User]):
    assert 950 <= len(people) <= 1050
    assert 0.40 <= sum(map(depends_on_sms, people)) / len(people) <= 0.50


def test_ids_logins_and_addresses_are_given_out_once(people: list[User]):
    for values in ([u.id for u in people], [u.login for u in people], [u.mail for u in people if u.mail]):
        assert len(values) == len(set(values))


def test_addresses_are_valid_and_in_the_reserved_domains_but_for_the_planted_ones(people: list[User]):
    addresses = [user.mail for user in people if user.mail]
    addresses += [address for user in people for address in (user.security_mails or "").split(", ") if address]
    broken = [address for address in addresses if not valid(address)]
    assert len(broken) == 1
    assert broken[0].endswith("@example,com")
    assert {address.rpartition("@")[2] for address in addresses if valid(address)} == {"example.com", "example.org"}


def test_four_people_on_sms_have_no_address_and_some_have_further_ones(people: list[User]):
    assert [(user.mfa_methods, user.active) for user in people if user.mail is None] == [(SMS, True)] * 4
    further = [user.security_mails.count("@") for user in people if user.security_mails]
    assert len(further) > 30
    assert set(further) == {1, 2}


def test_telephone_numbers_are_fiction(people: list[User]):
    numbers = [user.mobile for user in people if user.mobile]
    assert len(numbers) > 500
    assert all(re.fullmatch(r"\+1 \d{3} 555 01\d\d", number) for number in numbers)


def test_whoever_uses_a_telephone_has_a_number(people: list[User]):
    assert all(user.mobile for user in people if user.methods & TELEPHONE)


def test_every_manager_is_somebody_here_and_only_heads_and_outsiders_have_none_of_their_department(people: list[User]):
    by_mail = {user.mail: user for user in people if user.mail}
    managed = [user for user in people if user.manager]
    assert len(managed) > 900
    assert all(user.manager in by_mail and user.manager != user.mail for user in managed)
    assert Counter(by_mail[user.manager].dept == user.dept for user in managed)[False] == 11


def test_every_default_is_one_of_the_methods(people: list[User]):
    assert all(user.mfa_default in user.methods for user in people if user.mfa_default)


def test_every_kind_of_account_and_every_word_occurs(people: list[User]):
    assert {user.kind for user in people} == {*ACCOUNT_TYPES, "kiosk"}
    assert {word for user in people for word in user.methods} == set(WORDS)
    assert sum(user.mfa_methods == LEGACY for user in people) == 5
    assert any(not user.methods for user in people)


def test_some_are_disabled_some_privileged_some_signed_in_elsewhere_some_never(people: list[User]):
    assert 10 <= sum(not user.active for user in people) <= 50
    assert sum(user.is_admin for user in people) >= 15
    assert 60 <= sum(user.sso for user in people) <= 130
    assert any(user.last_login is None for user in people)
    assert sum(user.last_login == "0000-00-00 00:00:00" for user in people) == 1


def test_many_languages_are_spoken_and_some_people_have_not_said(people: list[User]):
    assert {user.lang for user in people} >= {culture.lang for culture in CULTURES} | {None}


@pytest.mark.parametrize("culture", CULTURES, ids=lambda culture: culture.lang)
def test_every_name_makes_an_address(culture):
    for name in (*culture.given, *culture.family):
        assert re.fullmatch(r"[a-z']+", culture.latin(name)), name
        assert "/" not in written(name)


def test_names_are_spelt_the_way_their_language_does():
    german = next(culture for culture in CULTURES if culture.lang == "de_DE")
    polish = next(culture for culture in CULTURES if culture.lang == "pl_PL")
    assert (german.latin("Größmüller"), polish.latin("Łukasz")) == ("groessmueller", "lukasz")


def test_a_family_name_comes_first_where_that_is_the_custom():
    people = [Personnel().hire(Random(n), date(2024, 1, 8), "Sales", None, old_methods=0.5) for n in range(300)]
    japanese = next(user for user in people if user.lang == "ja_JP")
    assert japanese.name.endswith(f" {japanese.given}")
    assert re.fullmatch(r"[a-z.]+@example\.com", japanese.mail or "")


def test_whoever_marries_keeps_their_given_name_and_domain_and_gets_a_new_address():
    personnel, random = Personnel(), Random(7)
    for _ in range(100):
        before = personnel.hire(random, date(2024, 1, 8), "Harbor Labs", None, old_methods=0.5)
        after = personnel.marry(before, random)
        assert (after.id, after.login, after.given) == (before.id, before.login, before.given)
        assert after.given in after.name != before.name
        assert after.mail != before.mail
        assert after.mail.endswith("@example.org")


def test_a_wish_that_is_taken_gets_the_next_number():
    personnel = Personnel()
    assert [personnel.unique("ann.lee", "@example.com") for _ in range(3)] == [
        "ann.lee@example.com", "ann.lee2@example.com", "ann.lee3@example.com",
    ]  # fmt: skip
    assert personnel.unique("ann.lee", "@example.org") == "ann.lee@example.org"
