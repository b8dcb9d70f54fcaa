"""What the ledger is to remember (design §5, §7, §9)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd
import pytest
from cast import CAMPAIGN, accounts, at, person, recorded, rows

from migrate.core.accounts import RECORD_COLUMNS
from migrate.core.changes import compare
from migrate.core.remember import departed, differs, rejected, remember
from migrate.core.standing import PolicySettings, assess, at_cutoff, destination
from migrate.core.waves import Waves
from migrate.directory.snapshot import REJECTED_COLUMNS

NOW, BEFORE = at("2024-01-10 14:00"), at("2023-12-01 14:00")
AFTER_CUTOFF = at("2024-02-03 14:00")


def remembered(account: dict, before: pd.DataFrame, now: datetime = NOW, outcome: str = "not_reminded") -> pd.Series:
    policy = PolicySettings()
    compared = compare(accounts(account), before, frozenset(), policy, "basis", Waves(CAMPAIGN), now)
    none = pd.Series([None], dtype="str")
    standing = assess(compared.accounts, policy, none.notna(), now)
    effect = at_cutoff(compared.accounts, policy, "loses_second_step", none.notna(), now)
    outcomes = pd.DataFrame({"outcome": [outcome], "outcome_reason": [""]})
    leads = destination(compared.accounts, policy)
    cutoff = pd.Series([pd.Timestamp(CAMPAIGN.cutoff_at).as_unit("us")])
    found = remember(compared, standing, effect, none, outcomes, leads, policy=policy, basis="basis", cutoff=cutoff, now=now)
    assert found.dtypes.astype("str").to_dict() == RECORD_COLUMNS
    return found.iloc[0]


def test_a_standing_keeps_the_day_it_was_first_seen() -> None:
    assert remembered(person("a"), recorded(person("a")))["standing_since"] == BEFORE
    assert remembered(person("a", "totp"), recorded(person("a")))["standing_since"] == NOW


def test_migrated_at_is_when_somebody_was_seen_to_migrate_and_missing_for_who_always_was() -> None:
    assert remembered(person("a", "totp"), recorded(person("a")))["migrated_at"] == NOW
    assert pd.isna(remembered(person("a", "totp"), recorded())["migrated_at"])
    assert pd.isna(remembered(person("a", "totp"), recorded(person("a", "totp"), standing="migrated"))["migrated_at"])
    kept = remembered(person("a", "totp"), recorded(person("a", "totp"), standing="migrated", migrated_at=BEFORE))
    assert kept["migrated_at"] == BEFORE
    assert pd.isna(remembered(person("a"), recorded(person("a", "totp"), standing="migrated", migrated_at=BEFORE))["migrated_at"])


def test_who_was_reminded_before_the_cutoff_is_frozen_at_it() -> None:
    assert remembered(person("a"), recorded())["reminded"]
    assert not remembered(person("a", "totp"), recorded())["reminded"]
    assert remembered(person("a", ""), recorded(person("a"), reminded=True), AFTER_CUTOFF)["reminded"]
    assert not remembered(person("a"), recorded(person("a"), reminded=False), AFTER_CUTOFF)["reminded"]


def test_from_the_cutoff_on_it_is_told_what_the_cutoff_did_whatever_the_account_becomes() -> None:
    lost = recorded(person("a"), at_cutoff="loses_second_step")
    assert remembered(person("a", "totp"), lost)["at_cutoff"] == "unaffected"
    assert remembered(person("a", "totp"), lost, AFTER_CUTOFF)["at_cutoff"] == "loses_second_step"
    assert remembered(person("a"), recorded(person("a", "totp"), at_cutoff="unaffected"), AFTER_CUTOFF)["at_cutoff"] == "unaffected"
    assert remembered(person("a"), recorded(), AFTER_CUTOFF)["at_cutoff"] == "loses_second_step"
    other = person("a", "totp", username="z", email="z@example.com")
    assert (
        remembered(other, recorded(person("a"), gone_at=BEFORE, at_cutoff="loses_second_step"), AFTER_CUTOFF)["at_cutoff"] == "unaffected"
    )


def test_another_person_under_a_re_used_id_starts_anew() -> None:
    other = person("a", "totp", username="z", email="z@example.com")
    found = remembered(other, recorded(person("a"), gone_at=BEFORE, standing="migrated", migrated_at=BEFORE, reminded=True), AFTER_CUTOFF)
    assert (found["tenure"], found["first_seen_at"], found["standing_since"]) == (2, AFTER_CUTOFF, AFTER_CUTOFF)
    assert pd.isna(found["migrated_at"])
    assert not found["reminded"]


def test_who_is_gone_is_as_recorded_and_gone() -> None:
    before = recorded(person("a"), change_count=2)
    found = departed(before, NOW).iloc[0]
    assert (found["gone_at"], found["change_count"], found["standing"]) == (NOW, 3, "sms_only")


def test_a_known_account_whose_row_was_rejected_is_as_recorded_but_for_its_outcome() -> None:
    before = recorded(person("a"), person("b"), person("c", gone_at=NOW))
    refused = rows(*(person(account_id, rejection="unreadable") for account_id in "abcd"))[list(REJECTED_COLUMNS)]
    found = rejected(before, refused, pd.Series(["b"], dtype="str"))
    assert found[["account_id", "outcome", "outcome_reason"]].to_numpy().tolist()[0] == ["a", "rejected", "unreadable"]
    assert "b" not in found["account_id"].tolist()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("email", "new@example.com"),
        ("email", None),
        ("methods", 8),
        ("enabled", False),
        ("gone_at", NOW),
        ("display_name", "Ada"),
        ("tenure", 2),
        ("in_policy", True),
        ("may_enrol", ""),
        ("last_used_at", NOW),
        ("groups", "All staff"),
        ("certain", False),
        ("destination", "no"),
    ],
)
def test_a_difference_in_any_column_is_one_and_equal_rows_are_none(column: str, value: Any) -> None:
    one, two = recorded(person("a"), person("b")), recorded(person("a"), person("b"))
    known = pd.Series([True, True])
    assert differs(one, two, known)["differs"].tolist() == [False, False]
    changed = two.copy()
    changed[column] = pd.Series([two[column].iloc[0], value], dtype=RECORD_COLUMNS[column])
    assert differs(one, changed, known)["differs"].tolist() == [False, True]
    assert differs(changed, one, known)["differs"].tolist() == [False, True]


def test_a_policy_that_let_go_of_an_account_is_a_difference_and_one_that_nobody_knows_is_another() -> None:
    known = pd.Series([True] * 3)
    before = recorded(person("a"), person("b"), person("c")).assign(in_policy=pd.Series([True, False, None], dtype="boolean"))
    after = before.assign(in_policy=pd.Series([False, None, None], dtype="boolean"))
    assert differs(after, before, known)["differs"].tolist() == [True, True, False]


def test_a_second_step_without_a_name_makes_an_account_uncertain_and_what_it_may_register_gives_its_destination() -> None:
    found = remembered(person("a", "totp,other", may_enrol="", groups="All staff"), recorded())
    assert (found["certain"], found["destination"], found["groups"], found["may_enrol"]) == (False, "yes", "All staff", "")
    assert remembered(person("a", "sms", may_enrol="sms,voice"), recorded())["destination"] == "no"
    assert remembered(person("a", "sms"), recorded())["certain"]


def test_a_row_the_ledger_does_not_know_differs() -> None:
    one = recorded(person("a"))
    assert differs(one, one, pd.Series([False]))["differs"].tolist() == [True]


@pytest.mark.parametrize(
    ("other", "differs_in_any", "anew"),
    [
        ({"outcome": "nothing_due", "outcome_reason": "sent"}, True, False),
        ({"outcome_reason": "T-14"}, True, False),
        ({"outcome": "nothing_due", "standing": "migrated"}, True, True),
        ({"outcome": "rejected"}, True, True),
        ({}, False, False),
    ],
)
def test_an_account_of_which_only_the_outcome_differs_is_no_new_version(other: dict[str, str], differs_in_any: bool, anew: bool) -> None:
    before = recorded(person("a")).assign(outcome="queued", outcome_reason="T-30")
    found = differs(before.assign(**other), before, pd.Series([True]))
    assert (found["differs"].tolist(), found["anew"].tolist()) == ([differs_in_any], [anew])
