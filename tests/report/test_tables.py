from collections import Counter
from datetime import UTC, datetime

import pytest
from report.conftest import AS_OF, CAST, CHANGE_ROWS, EXEMPTION_ROWS, LETTERS, TERMS, frame, instant, recorded

from migrate.report import accounts, tables
from migrate.report.terms import Terms
from migrate.report.told import NOBODY


def test_the_summary_counts_every_account_once_and_its_shares_add_up_to_the_total() -> None:
    found = accounts.accounts_table(recorded(CAST), NOBODY, TERMS, AS_OF)
    in_parts = accounts.standing_counts(found.slice(0, 4)) + accounts.standing_counts(found.slice(4))
    doubtful = accounts.standing_counts(accounts.not_certain(found))
    summary = tables.summary_table(in_parts, doubtful)
    assert summary.equals(tables.summary_table(accounts.standing_counts(found), doubtful))
    assert summary.iloc[-1].tolist() == [tables.TOTAL, tables.TOTAL, found.num_rows, 1.0, 2]
    assert summary.loc[summary["not_certain"] > 0, "standing"].tolist() == ["unknown", "sms_fallback", tables.TOTAL]
    assert summary.iloc[-2]["department"] == tables.NO_DEPARTMENT
    assert summary["count"][:-1].sum() == found.num_rows
    assert summary["share"][:-1].sum() == pytest.approx(1.0, abs=1e-5)


def test_a_summary_of_nobody_is_a_total_of_nothing() -> None:
    assert tables.summary_table(Counter(), Counter()).values.tolist() == [[tables.TOTAL, tables.TOTAL, 0, 0.0, 0]]


def test_notices_are_letters_under_the_columns_of_the_dictionary() -> None:
    notices = tables.notices_table(frame(list(LETTERS), tables.LETTER_COLUMNS))
    assert list(notices.columns) == list(tables.NOTICES.columns)
    assert notices["to"].tolist() == [each["address"] for each in LETTERS]


def test_a_change_that_was_closed_later_was_still_open() -> None:
    changes = frame(CHANGE_ROWS, tables.CHANGE_COLUMNS)
    found = tables.changes_table(changes, datetime(2024, 1, 2, 14, 0, 9, tzinfo=UTC))
    assert found["state"].tolist() == ["confirmed", "open"]
    assert found["closed_at"].isna().tolist() == [False, True]
    assert found["had"].tolist() == ["sms", "sms,totp"]


def test_an_exemption_counts_its_days_and_is_expired_from_the_day_after_its_last() -> None:
    exemptions = frame(EXEMPTION_ROWS, tables.EXEMPTION_COLUMNS)
    on_its_last_day = tables.exemptions_table(exemptions, TERMS, datetime(2024, 1, 1, 20, tzinfo=UTC))
    assert on_its_last_day[["account_id", "days_to_expiry", "expired"]].values.tolist() == [["ann", 0, False], ["gil", 60, False]]
    found = tables.exemptions_table(exemptions, TERMS, AS_OF)
    assert found[["account_id", "days_to_expiry", "expired"]].values.tolist() == [["ann", -1, True], ["gil", 59, False]]


def test_an_exemption_that_was_taken_back_comes_last_and_does_not_expire() -> None:
    removal = {"removed_at": instant("2023-12-24T10:00:00Z"), "removed_by": "jo", "removed_reason": "is back"}
    exemptions = frame([EXEMPTION_ROWS[0], EXEMPTION_ROWS[1] | removal], tables.EXEMPTION_COLUMNS)
    found = tables.exemptions_table(exemptions, TERMS, AS_OF)
    assert found[["account_id", "expired", "removed_by"]].fillna("").values.tolist() == [["gil", False, ""], ["ann", False, "jo"]]


def test_no_table_names_a_column_twice_and_every_frame_can_be_empty() -> None:
    assert len({table.name for table in tables.TABLES}) == len(tables.TABLES)
    assert tables.exemptions_table(frame([], tables.EXEMPTION_COLUMNS), TERMS, AS_OF).empty
    assert tables.changes_table(frame([], tables.CHANGE_COLUMNS), AS_OF).empty


def test_terms_survive_being_kept_as_json() -> None:
    import json

    assert Terms.from_json(json.loads(json.dumps(TERMS.to_json()))) == TERMS
