"""What an approved plan says of each letter that is due; the files it is read from are in journeys/test_plan_review.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cast import at
from hypothesis import given
from hypothesis import strategies as st

from migrate.core.words import CONFIRMATION
from migrate.review.approval import Approval

ADA: dict[str, Any] = {
    "account_id": "ada", "tenure": 1, "kind": "reminder", "occasion": "T-30", "told_cutoff": "2024-02-01T08:00:00Z",
    "address": "ada@example.com", "standing": "sms_only", "language": "en",
}  # fmt: skip


def approval(*planned: dict[str, Any]) -> Approval:
    columns = ["account_id", "tenure", "occasion", "told_cutoff", "address", "standing", "language", "struck"]
    rows = pd.DataFrame([{"struck": 0} | row for row in planned], columns=columns)
    reminders = rows.astype({"account_id": "str", "struck": "int8"}).set_index("account_id")
    return Approval(Path("reports/dry-run"), at("2024-01-02 14:00"), "d0", "ada", reminders, 0)


def why(planned: list[dict[str, Any]], due: list[dict[str, Any]]) -> list[str]:
    letters = pd.DataFrame(due, columns=list(ADA), index=range(7, 7 + len(due))).astype({"account_id": "str"})
    said = approval(*planned).left_out(letters)
    assert list(said.index) == list(letters.index)
    return said.tolist()


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({}, ""),
        ({"account_id": "bea"}, "not in the plan"),
        ({"account_id": "bea", "kind": CONFIRMATION, "occasion": "change-1"}, ""),
        ({"kind": CONFIRMATION, "occasion": "change-1", "told_cutoff": ""}, ""),
        ({"tenure": 2}, "not in the plan"),
        ({"told_cutoff": "2024-03-01T08:00:00Z"}, "not in the plan"),
        ({"occasion": "T-14"}, "not in the plan, which has T-30"),
        ({"address": "Ada@example.com"}, "the address changed since the plan"),
        ({"standing": "sms_default"}, "the standing changed since the plan, from sms_only"),
        ({"language": "fr"}, "the language changed since the plan, from en"),
    ],
)
def test_a_letter_goes_out_if_it_is_the_one_that_was_reviewed(now: dict[str, Any], says: str) -> None:
    assert why([ADA], [ADA | now]) == [says]


@pytest.mark.parametrize("now", [{}, {"address": "new@example.com"}, {"standing": "sms_default"}])
def test_a_struck_out_letter_stays_out_whatever_changed(now: dict[str, Any]) -> None:
    assert why([ADA | {"struck": 1}], [ADA | now]) == ["struck out by the reviewer"]


def test_a_plan_without_reminders_lets_out_confirmations_only() -> None:
    assert why([], [ADA, ADA | {"kind": CONFIRMATION}]) == ["not in the plan", ""]
    assert why([], []) == []
    assert (approval().approved, approval().struck) == (0, 0)


@given(
    st.lists(st.sampled_from("abcdefgh"), unique=True),
    st.sets(st.sampled_from("abcdefgh")),
    st.lists(st.sampled_from("abcdefgh"), unique=True),
)
def test_exactly_the_letters_that_are_due_and_left_in_the_plan_go_out(planned: list[str], struck: set[str], due: list[str]) -> None:
    said = why([ADA | {"account_id": i, "struck": int(i in struck)} for i in planned], [ADA | {"account_id": i} for i in due])
    out = {account_id for account_id, reason in zip(due, said, strict=True) if not reason}
    assert out == set(due) & set(planned) - struck
