from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.demo.config import CAMPAIGN, DAYS
from migrate.demo.moves import PHRASES, Mood, daily, mood
from migrate.demo.people import MODERN, TELEPHONE, WORDS, Personnel, User, listed

WORKING_DAY = Mood(date(2024, 1, 10), eagerness=1.0, pace=1.0)
FRANTIC = Mood(date(2024, 1, 10), eagerness=200.0, pace=1.0)


def person(methods: frozenset[str], **other: object) -> User:
    user = Personnel().hire(Random(1), date(2023, 1, 9), "Sales", None, old_methods=0.5)
    default = next(iter(sorted(methods)), None)
    return replace(user, mfa_methods=listed(methods), mfa_default=default, **other)


@settings(max_examples=100, deadline=None)
@given(st.frozensets(st.sampled_from(WORDS)), st.integers(), st.sampled_from(DAYS), st.booleans())
def test_whatever_somebody_does_is_a_known_thing_and_leaves_a_row_that_makes_sense(methods, seed, day, frantic):
    did = daily(person(methods), FRANTIC if frantic else mood(day), Random(seed))
    if did:
        what, after = did
        assert what in PHRASES
        assert after.methods <= set(WORDS)
        assert after.mfa_default is None or after.mfa_default in after.methods


@pytest.mark.parametrize("kind", ["service", "shared", "break_glass"])
def test_an_account_that_is_nobody_does_nothing(kind):
    assert not [n for n in range(500) if daily(person(frozenset({"SMS"}), kind=kind), FRANTIC, Random(n))]


def test_somebody_who_signs_in_elsewhere_leaves_their_second_step_alone():
    did = {did[0] for n in range(500) if (did := daily(person(frozenset({"SMS"}), sso=True), FRANTIC, Random(n)))}
    assert did <= {"disabled"}


def test_somebody_disabled_can_only_be_enabled_again():
    did = {did[0] for n in range(3000) if (did := daily(person(frozenset({"SMS"}), active=False), WORKING_DAY, Random(n)))}
    assert did == {"enabled"}


def test_switching_always_ends_with_an_authenticator_and_sometimes_without_the_telephone():
    after = [did[1] for n in range(300) if (did := daily(_willing(), FRANTIC, Random(n))) and did[0] == "switched"]
    assert len(after) > 200
    assert all(user.methods & MODERN for user in after)
    assert {bool(user.methods & TELEPHONE) for user in after} == {True, False}
    assert {user.mfa_default in TELEPHONE for user in after} == {True, False}


def _willing() -> User:
    """Somebody who would switch on a frantic day, by their nature: some never do."""
    personnel = Personnel()
    for n in range(50):
        user = replace(personnel.hire(Random(n), date(2023, 1, 9), "Sales", None, old_methods=1.0), mfa_methods="SMS", mfa_default="SMS")
        if daily(user, FRANTIC, Random(1)):
            return user
    raise AssertionError("nobody is willing")


def test_some_people_never_switch_whatever_they_are_told():
    personnel = Personnel()
    people = [replace(personnel.hire(Random(n), date(2023, 1, 9), "Sales", None, old_methods=1.0), mfa_methods="SMS") for n in range(200)]
    stubborn = [user for user in people if not any((daily(user, FRANTIC, Random(n)) or "x")[0] == "switched" for n in range(20))]
    assert 0.05 < len(stubborn) / len(people) < 0.25


def test_nobody_goes_back_to_sms_once_it_is_gone():
    after_cutoff = Mood(CAMPAIGN.cutoff_date, eagerness=1.0, pace=1.0)
    user = person(frozenset({"AuthenticatorApp"}))
    before = {did[0] for n in range(20_000) if (did := daily(user, WORKING_DAY, Random(n)))}
    after = {did[0] for n in range(20_000) if (did := daily(user, after_cutoff, Random(n)))}
    assert "back_to_sms" in before
    assert "back_to_sms" not in after


def test_the_day_of_a_mail_is_the_liveliest_and_a_weekend_the_quietest():
    opening, week_later = mood(CAMPAIGN.opens), mood(CAMPAIGN.opens + timedelta(days=10))
    assert opening.eagerness > week_later.eagerness == 1.0
    assert mood(date(2024, 1, 13)).pace < mood(date(2024, 1, 15)).pace
    assert mood(date(2024, 1, 1)).pace < 1.0
