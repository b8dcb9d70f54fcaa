"""Changes (design §6)."""

from __future__ import annotations

import pandas as pd
import pytest
from cast import CAMPAIGN, accounts, at, person, recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.core.accounts import METHODS, methods_of
from migrate.core.changes import Compared, addresses, compare
from migrate.core.standing import PolicySettings
from migrate.core.waves import Waves
from migrate.core.words import CHANGES, MAILED

NOW = at("2024-01-10 14:00")
LATER = at("2024-02-02 14:00")


def compared(
    now: list[dict], before: pd.DataFrame, *, when=NOW, basis: str = "basis", spared: frozenset[str] = frozenset(), **policy
) -> Compared:
    return compare(accounts(*now), before, spared, PolicySettings(**policy), basis, Waves(CAMPAIGN), when)


def change(before: str, now: str, *, when=NOW, basis: str = "basis", prior: dict | None = None, **fields) -> str:
    """The one change between two reads of an account, '' for none."""
    seen = compared([person("a", now, **fields)], recorded(person("a", before, **(prior or {}))), when=when, basis=basis).changes
    assert len(seen) <= 1
    return "" if seen.empty else seen["change"].iloc[0]


@pytest.mark.parametrize(
    ("before", "now", "word"),
    [
        ("sms", "sms", ""),
        ("sms", "", "two_step_disabled"),
        ("totp", "backup_code", "two_step_disabled"),
        ("sms", "totp", "authenticator_enabled"),
        ("sms", "sms,totp", "authenticator_enabled"),
        ("", "passkey", "authenticator_enabled"),
        ("sms,totp", "sms", "authenticator_removed"),
        ("totp", "email_otp", "authenticator_removed"),
        ("totp", "sms,totp", "sms_enabled"),
        ("", "sms", "sms_enabled"),
        ("sms,totp", "totp", "sms_removed"),
        ("sms,email_otp", "email_otp", "sms_removed"),
        ("totp", "passkey", "authenticator_changed"),
        ("totp,backup_code", "totp,push", "authenticator_changed"),
        ("sms", "sms,voice", ""),
        ("sms", "sms,backup_code", ""),
        ("sms", "sms,email_otp", ""),
        ("sms", "sms,other", "reclassified"),
        ("sms", "sms,unknown,other", "reclassified"),
        ("totp,other", "totp", "reclassified"),
        ("unknown", "", "reclassified"),
        ("unknown", "other", "reclassified"),
        ("other", "other,backup_code", ""),
        ("unknown", "totp", "authenticator_enabled"),
        ("sms", "totp,other", "authenticator_enabled"),
        ("totp", "other", "authenticator_removed"),
        ("totp", "passkey,other", "authenticator_changed"),
        ("totp,other", "passkey", "authenticator_changed"),
        ("sms,unknown", "", "two_step_disabled"),
        ("sms", "unknown", "sms_removed"),
        ("other", "sms", "sms_enabled"),
        ("sms,other", "totp,other", "authenticator_enabled"),
    ],
)
def test_a_change_is_named_by_what_was_had_and_what_is(before: str, now: str, word: str) -> None:
    assert change(before, now) == word


def test_another_mapping_or_policy_makes_a_difference_a_reclassification() -> None:
    assert change("sms", "totp", basis="another") == "reclassified"
    assert change("sms", "sms", basis="another") == ""


def test_only_retired_methods_gone_after_the_cutoff_is_the_cutoffs_doing() -> None:
    assert change("sms,totp", "totp", when=LATER) == "cutoff_removal"
    assert change("sms", "", when=LATER) == "cutoff_removal"
    assert change("sms,other", "other", when=LATER) == "cutoff_removal"
    assert change("sms,totp", "totp,other", when=LATER) == "sms_removed"
    assert change("sms", "totp", when=LATER) == "authenticator_enabled"
    assert change("totp", "", when=LATER) == "two_step_disabled"


def test_the_same_authenticator_set_up_anew_is_a_change_if_the_directory_says_when() -> None:
    then, since = at("2023-11-01 09:00"), at("2024-01-09 09:00")
    assert change("totp", "totp", prior={"methods_changed_at": then}, methods_changed_at=since) == "authenticator_changed"
    assert change("totp", "totp", prior={"methods_changed_at": then}, methods_changed_at=since, basis="another") == "reclassified"
    assert change("totp", "totp", prior={"methods_changed_at": since}, methods_changed_at=then) == ""
    assert change("totp", "totp", prior={"methods_changed_at": then}, methods_changed_at=None) == ""
    assert change("totp", "totp", methods_changed_at=since) == ""
    assert change("sms", "sms", prior={"methods_changed_at": then}, methods_changed_at=since) == ""


@pytest.mark.parametrize(("before", "now"), [("totp", "totp,other"), ("totp,unknown", "totp"), ("totp,other", "totp,unknown")])
def test_a_word_that_nobody_knows_hides_no_authenticator_that_the_directory_says_was_replaced(before: str, now: str) -> None:
    then, since = at("2023-11-01 09:00"), at("2024-01-09 09:00")
    assert change(before, now, prior={"methods_changed_at": then}, methods_changed_at=since) == "authenticator_changed"
    assert change(before, now, prior={"methods_changed_at": then}, methods_changed_at=since, basis="another") == "reclassified"
    assert change(before, now, prior={"methods_changed_at": since}, methods_changed_at=since) == "reclassified"


def test_a_first_appearance_is_a_baseline() -> None:
    found = compared([person("a", "totp")], recorded())
    assert found.changes.empty
    assert not found.known.any()
    assert found.tenure.tolist() == [1]


def test_an_account_whose_second_step_belongs_elsewhere_now_or_did_before_has_no_change() -> None:
    assert change("sms", "totp", federated=True) == ""
    assert change("sms", "totp", prior={"federated": True}) == ""
    found = compared([person("a", "totp")], recorded(person("a", "sms"), standing="exempt_sso"))
    assert found.changes.empty


def test_a_disabled_account_whose_methods_nobody_says_keeps_those_that_are_recorded() -> None:
    assert change("push", "unknown", enabled=False) == ""
    assert change("push", "unknown") == "authenticator_removed"
    assert change("push", "", enabled=False) == "two_step_disabled"
    both = compared([person("a", "unknown", enabled=False)], recorded(person("a", "push")))
    assert both.accounts["methods"].tolist() == [methods_of(("push",))]


def test_who_is_missing_from_a_complete_read_is_gone_once() -> None:
    found = compared([person("b")], recorded(person("a"), person("b")))
    assert found.changes[["account_id", "change", "mailed", "seq"]].to_numpy().tolist() == [["a", "gone", False, 1]]
    again = compared([person("b")], recorded(person("a"), gone_at=NOW))
    assert again.changes.empty


def test_a_rejected_row_leaves_its_account_neither_gone_nor_changed() -> None:
    found = compared([], recorded(person("a")), spared=frozenset({"a"}))
    assert found.changes.empty
    assert found.gone.empty


def test_who_comes_back_with_the_same_username_is_compared_as_usual() -> None:
    found = compared([person("a", "totp", email="new@example.org")], recorded(person("a", "sms"), gone_at=NOW, change_count=1))
    assert found.changes[["change", "seq"]].to_numpy().tolist() == [["returned", 2], ["authenticator_enabled", 3]]
    assert found.tenure.tolist() == [1]
    assert found.change_count.tolist() == [3]


@pytest.mark.parametrize(
    "address", [{"email": "A@EXAMPLE.com"}, {"email": "x@example.com", "notification_emails": "a@example.com\ny@example.com"}]
)
def test_who_comes_back_with_an_address_they_had_is_the_same_person(address: dict) -> None:
    found = compared([person("a", "sms", username="other", **address)], recorded(person("a", "sms"), gone_at=NOW))
    assert found.returned.tolist() == [True]


def test_who_comes_back_with_neither_is_another_person_with_a_new_tenure_and_a_new_baseline() -> None:
    found = compared([person("a", "totp", username="other", email="other@example.com")], recorded(person("a", "sms"), gone_at=NOW))
    assert found.changes.empty
    assert found.reused.tolist() == [True]
    assert found.tenure.tolist() == [2]


def test_addresses_are_listed_once_each_the_primary_first() -> None:
    found = addresses(accounts(person("a", notification_emails="A@example.com\nb@example.com"), person("b", email=None)))
    assert found[["row", "address", "role"]].to_numpy().tolist() == [
        [0, "a@example.com", "primary"],
        [0, "b@example.com", "notification"],
    ]


_sets = st.sets(st.sampled_from(METHODS))


@settings(deadline=None)  # a busy machine takes longer for the first
@given(_sets, _sets, st.booleans())
def test_every_pair_of_reads_has_at_most_one_change_and_equal_reads_none(before: set[str], now: set[str], after: bool) -> None:
    found = change(",".join(before), ",".join(now), when=LATER if after else NOW)
    assert found in (*CHANGES, "")
    if before == now:
        assert found == ""


@given(_sets, _sets)
def test_whoever_gains_or_loses_the_authenticator_is_told(before: set[str], now: set[str]) -> None:
    accepted = PolicySettings().accepted_bits
    had, has = methods_of(frozenset(before)) & accepted, methods_of(frozenset(now)) & accepted
    if bool(had) != bool(has):
        assert change(",".join(before), ",".join(now)) in MAILED


_retired_or_accepted = st.sets(st.sampled_from([*PolicySettings().retired, *PolicySettings().accepted, "phone", "backup_code"]))
_unknown = st.sets(st.sampled_from(["unknown", "other"]))


@settings(max_examples=100, deadline=None)
@given(_retired_or_accepted, _retired_or_accepted, _unknown, _unknown, st.booleans(), st.booleans())
def test_words_that_nobody_knows_never_keep_a_change_of_known_methods_from_being_mailed(
    before: set[str], now: set[str], unknown_before: set[str], unknown_now: set[str], moved: bool, after: bool
) -> None:
    """The account may be told in other words: somebody who has an unknown method left has not lost the second step."""
    times = {"prior": {"methods_changed_at": at("2023-11-01 09:00")}, "methods_changed_at": at("2024-01-09 09:00")} if moved else {}
    when = LATER if after else NOW
    plain = change(",".join(before), ",".join(now), when=when, **times)
    beside = change(",".join(before | unknown_before), ",".join(now | unknown_now), when=when, **times)
    if plain in MAILED:
        assert beside in MAILED


@given(_sets, _sets, st.booleans())
def test_a_change_is_a_reclassification_if_nothing_but_unknown_words_came_or_went(before: set[str], now: set[str], after: bool) -> None:
    found = change(",".join(before), ",".join(now), when=LATER if after else NOW)
    assert (found == "reclassified") == (before != now and before ^ now <= {"unknown", "other"})
