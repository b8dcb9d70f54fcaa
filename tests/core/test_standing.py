"""Standing (design §5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from cast import CAMPAIGN, accounts, at, person
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from migrate.core.accounts import METHODS, methods_of, words_of
from migrate.core.standing import (
    DESTINATIONS,
    STANDINGS,
    PolicySettings,
    assess,
    at_cutoff,
    certain,
    default_not_registered,
    destination,
    found_in,
    registered,
)

NOW = at("2024-01-02 14:00")


def standing_of(account: dict, policy: PolicySettings | None = None, *, exempt: bool = False, now: datetime = NOW) -> str:
    return assess(accounts(account), policy or PolicySettings(), pd.Series([exempt]), now).iloc[0]


@pytest.mark.parametrize(
    ("methods", "default", "standing"),
    [
        ("sms", None, "sms_only"),
        ("voice", None, "sms_only"),
        ("phone", None, "sms_only"),
        ("sms,email_otp,backup_code", None, "sms_only"),
        ("totp", None, "migrated"),
        ("passkey,backup_code", "passkey", "migrated"),
        ("sms,totp", "totp", "sms_fallback"),
        ("sms,totp", "sms", "sms_default"),
        ("phone,push", "phone", "sms_default"),
        ("sms,totp", None, "sms_fallback"),
        ("sms,totp", "unknown", "sms_fallback"),
        ("sms,totp", "voice", "sms_fallback"),
        ("phone,totp", "sms", "sms_default"),
        ("phone,totp", "voice", "sms_default"),
        ("sms,totp", "phone", "sms_default"),
        ("voice,totp", "phone", "sms_default"),
        ("sms,push", "totp", "sms_fallback"),
        ("totp,external", None, "migrated"),
        ("external", None, "unknown"),
        ("email_otp", None, "unknown"),
        ("unknown", None, "unknown"),
        ("other,backup_code", None, "unknown"),
        ("backup_code", None, "no_second_step"),
        ("", None, "no_second_step"),
    ],
)
def test_the_methods_decide_where_an_account_stands(methods: str, default: str | None, standing: str) -> None:
    assert standing_of(person("a", methods, default_method=default)) == standing


@pytest.mark.parametrize(
    ("methods", "default", "used", "days", "standing"),
    [
        ("sms,totp", None, "sms", None, "sms_default"),
        ("sms,totp", None, "sms", 90, "sms_default"),
        ("sms,totp", None, "sms", 91, "sms_fallback"),
        ("sms,totp", None, "totp", 1, "sms_fallback"),
        ("phone,totp", None, "voice", 1, "sms_default"),
        ("sms,totp", None, "phone", 1, "sms_default"),
        ("sms,totp", "totp", "sms", 1, "sms_fallback"),
        ("sms,totp", "sms", "totp", 1, "sms_default"),
        ("sms,totp", "unknown", "sms", 1, "sms_default"),
        ("sms,totp", "push", "sms", 1, "sms_default"),
        ("sms,totp", "voice", "totp", 1, "sms_fallback"),
        ("sms,totp", None, "voice", 1, "sms_fallback"),
        ("sms,totp", None, "unknown", 1, "sms_fallback"),
        ("sms", None, "sms", 1, "sms_only"),
    ],
)
def test_where_no_default_is_known_the_method_used_last_stands_in_for_it_while_it_is_fresh(
    methods: str, default: str | None, used: str, days: int | None, standing: str
) -> None:
    last = None if days is None else NOW - timedelta(days=days)
    assert standing_of(person("a", methods, default_method=default, last_used_method=used, last_used_at=last)) == standing


def test_how_long_a_use_counts_is_the_policys() -> None:
    used = person("a", "sms,totp", last_used_method="sms", last_used_at=NOW - timedelta(days=31))
    assert standing_of(used, PolicySettings(used_days=31)) == "sms_default"
    assert standing_of(used, PolicySettings(used_days=30)) == "sms_fallback"
    assert standing_of(used, PolicySettings(used_days=31), now=NOW + timedelta(seconds=1)) == "sms_fallback"


def test_a_use_grows_old_at_the_same_instant_whatever_zone_the_clock_is_told_in() -> None:
    used = person("a", "sms,totp", last_used_method="sms", last_used_at=NOW - timedelta(days=90))
    for zone in ("UTC", "America/Los_Angeles", "Europe/Berlin"):
        assert standing_of(used, now=NOW.astimezone(ZoneInfo(zone))) == "sms_default"
        assert standing_of(used, now=(NOW + timedelta(seconds=1)).astimezone(ZoneInfo(zone))) == "sms_fallback"


def test_a_default_is_matched_by_class_only_where_it_is_not_registered_itself() -> None:
    texts_only = PolicySettings(retired=("sms",))
    assert standing_of(person("a", "voice,phone,totp", default_method="voice"), texts_only) == "sms_fallback"
    assert standing_of(person("a", "phone,totp", default_method="voice"), texts_only) == "sms_default"


@pytest.mark.parametrize(
    ("methods", "default", "counted"),
    [
        ("sms,totp", "voice", True),
        ("totp", "sms", True),
        ("", "totp", True),
        ("sms", "other", True),
        ("phone,totp", "sms", False),
        ("sms,totp", "phone", False),
        ("sms,totp", "totp", False),
        ("sms,totp", None, False),
        ("sms,totp", "unknown", False),
    ],
)
def test_a_default_that_is_not_among_the_methods_is_counted(methods: str, default: str | None, counted: bool) -> None:
    assert default_not_registered(accounts(person("a", methods, default_method=default))).tolist() == [counted]


@pytest.mark.parametrize("methods", ["totp,other", "totp,unknown", "sms,totp,unknown", "passkey,other,unknown"])
def test_a_second_step_without_a_name_changes_no_standing_unless_the_policy_is_strict_about_words(methods: str) -> None:
    account = person("a", methods)
    assert standing_of(account) == ("sms_fallback" if "sms" in methods else "migrated")
    assert standing_of(account, PolicySettings(strict_words=True)) == "unknown"
    assert at_cutoff(accounts(account), PolicySettings(strict_words=True), "locked_out", pd.Series([False]), NOW).tolist() == ["unknown"]
    assert certain(accounts(account)["methods"]).tolist() == [False]


def test_a_strict_policy_leaves_everybody_else_where_they_stand() -> None:
    strict = PolicySettings(strict_words=True)
    assert [standing_of(person("a", methods), strict) for methods in ("totp", "sms,other", "other", "sms,totp")] == [
        "migrated", "sms_only", "unknown", "sms_fallback",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("methods", "may_enrol", "leads"),
    [
        ("sms", None, "unknown"),
        ("sms", "", "no"),
        ("sms", "sms,voice,email_otp", "no"),
        ("sms", "sms,passkey", "yes"),
        ("sms,totp", None, "yes"),
        ("totp", "", "yes"),
        ("", "external", "no"),
    ],
)
def test_who_may_register_nothing_accepted_has_no_destination(methods: str, may_enrol: str | None, leads: str) -> None:
    assert destination(accounts(person("a", methods, may_enrol=may_enrol)), PolicySettings()).tolist() == [leads]
    # Beside somebody else it is the same.
    both = accounts(person("a", methods, may_enrol=may_enrol), person("b", "sms", may_enrol="totp"))
    assert destination(both, PolicySettings()).tolist() == [leads, "yes"]


def test_what_is_accepted_is_the_policys() -> None:
    account = accounts(person("a", "sms", may_enrol="external"))
    assert destination(account, PolicySettings(accepted=("passkey", "external"))).tolist() == ["yes"]


_words = st.one_of(st.none(), st.sampled_from(METHODS))


@given(st.sets(st.sampled_from(METHODS)), _words, _words, st.one_of(st.none(), st.integers(0, 400)))
def test_a_default_that_is_known_decides_alone_and_nothing_stands_by_a_method_that_is_not_registered(
    methods: set[str], default: str | None, used: str | None, days: int | None
) -> None:
    bits = methods_of(frozenset(methods))
    last = None if days is None else NOW - timedelta(days=days)
    account = person("a", ",".join(methods), default_method=default, last_used_method=used, last_used_at=last)
    found = standing_of(account)
    assert set(words_of(registered(default, bits))) <= methods
    assert (registered(default, bits) != 0) == (found_in(default or "unknown") & bits != 0)
    known = registered(default, bits) or (registered(used, bits) if days is None or days <= 90 else 0)
    if registered(default, bits):
        assert found == standing_of(account | {"last_used_method": None, "last_used_at": None})
    if {"sms", "voice", "phone"} & methods and methods_of(("totp", "push", "passkey", "hardware_otp", "certificate")) & bits:
        assert found == ("sms_default" if known & methods_of(("sms", "voice", "phone")) else "sms_fallback")
    named = default not in (None, "unknown")
    assert default_not_registered(accounts(account)).tolist() == [named and registered(default, bits) == 0]


@given(st.sets(st.sampled_from(METHODS)), st.one_of(st.none(), st.sets(st.sampled_from(METHODS))), st.booleans())
def test_whoever_is_compliant_has_a_destination_and_a_strict_policy_makes_nobody_compliant(
    methods: set[str], may_enrol: set[str] | None, strict: bool
) -> None:
    policy = PolicySettings(strict_words=strict)
    text = None if may_enrol is None else ",".join(word for word in METHODS if word in may_enrol)
    account = person("a", ",".join(methods), may_enrol=text)
    (leads,) = destination(accounts(account), policy)
    assert leads in DESTINATIONS
    standing = standing_of(account, policy)
    if standing in policy.compliant:
        assert leads == "yes"
        assert standing == standing_of(account)
        assert not (strict and {"unknown", "other"} & methods)
    named = may_enrol is not None and not may_enrol & {"unknown", "other"}
    assert (leads == "unknown") == (not named and not set(policy.accepted) & (methods | (may_enrol or set())))
    assert certain(accounts(account)["methods"]).tolist() == [not {"unknown", "other"} & methods]


def test_a_disabled_account_is_inactive_whatever_else_it_is() -> None:
    assert standing_of(person("a", "sms", enabled=False, federated=True), exempt=True) == "inactive"


def test_a_federated_account_is_exempt_unless_the_policy_says_otherwise() -> None:
    assert standing_of(person("a", "sms", federated=True)) == "exempt_sso"
    assert standing_of(person("a", "sms", federated=True), PolicySettings(exempt_federated=False)) == "sms_only"


def test_an_exemption_in_force_takes_an_account_out_of_scope() -> None:
    assert standing_of(person("a", "sms"), exempt=True) == "exempt"


def test_a_telephone_is_retired_as_soon_as_sms_is() -> None:
    assert standing_of(person("a", "phone"), PolicySettings(retired=("sms",))) == "sms_only"
    assert standing_of(person("a", "phone"), PolicySettings(retired=("email_otp",))) == "unknown"


def test_a_fallback_counts_as_compliant_unless_the_policy_is_strict() -> None:
    assert PolicySettings().compliant == {"migrated", "sms_fallback"}
    assert PolicySettings(strict_fallback=True).compliant == {"migrated"}


@given(st.sets(st.sampled_from(METHODS)), st.sampled_from((None, *METHODS)), st.booleans(), st.booleans(), st.booleans())
def test_every_account_has_one_standing_and_unknown_methods_never_make_it_compliant(
    methods: set[str], default: str | None, enabled: bool, federated: bool, exempt: bool
) -> None:
    account = person("a", ",".join(sorted(methods)), default_method=default, enabled=enabled, federated=federated)
    found = standing_of(account, exempt=exempt)
    assert found in STANDINGS
    if methods <= {"unknown", "other", "backup_code"}:
        assert found not in PolicySettings().compliant


@pytest.mark.parametrize(
    ("account", "outlasting", "effect"),
    [
        (person("a", "sms"), False, "locked_out"),
        (person("a", "sms", enabled=False), False, "locked_out"),
        (person("a", "sms"), True, "unaffected"),
        (person("a", "sms,totp", default_method="sms"), False, "unaffected_but_surprised"),
        (person("a", "sms,totp", default_method="totp"), False, "unaffected"),
        (person("a", "other"), False, "unknown"),
        (person("a", ""), False, "unaffected"),
        (person("a", "sms", federated=True), False, "unaffected"),
    ],
)
def test_what_the_cutoff_does_is_decided_from_the_methods(account: dict, outlasting: bool, effect: str) -> None:
    assert at_cutoff(accounts(account), PolicySettings(), "locked_out", pd.Series([outlasting]), NOW).iloc[0] == effect
    assert CAMPAIGN.at_cutoff == "loses_second_step"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"retired": ["fax"]}, "'fax' is no method"),
        ({"accepted": ["backup_code"]}, "neither retired nor accepted"),
        ({"retired": ["sms", "totp"]}, "both name totp"),
        ({"remind": ["migrated"]}, "no standing that can be reminded"),
        ({"used_days": 0}, "greater than or equal to 1"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(settings: dict, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        PolicySettings(**settings)
