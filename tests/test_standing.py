"""Standing (design §5)."""

from __future__ import annotations

import pandas as pd
import pytest
from cast import CAMPAIGN, accounts, person
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from migrate.accounts import METHODS
from migrate.standing import STANDINGS, PolicySettings, assess, at_cutoff


def standing_of(account: dict, policy: PolicySettings | None = None, *, exempt: bool = False) -> str:
    return assess(accounts(account), policy or PolicySettings(), pd.Series([exempt])).iloc[0]


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
        ("email_otp", None, "unknown"),
        ("unknown", None, "unknown"),
        ("other,backup_code", None, "unknown"),
        ("backup_code", None, "no_second_step"),
        ("", None, "no_second_step"),
    ],
)
def test_the_methods_decide_where_an_account_stands(methods: str, default: str | None, standing: str) -> None:
    assert standing_of(person("a", methods, default_method=default)) == standing


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
    assert at_cutoff(accounts(account), PolicySettings(), "locked_out", pd.Series([outlasting])).iloc[0] == effect
    assert CAMPAIGN.at_cutoff == "loses_second_step"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"retired": ["fax"]}, "'fax' is no method"),
        ({"accepted": ["backup_code"]}, "neither retired nor accepted"),
        ({"retired": ["sms", "totp"]}, "both name totp"),
        ({"remind": ["migrated"]}, "no standing that can be reminded"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(settings: dict, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        PolicySettings(**settings)
