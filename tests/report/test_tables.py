from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from report.conftest import AS_OF, CAST, CHANGE_ROWS, EXEMPTION_ROWS, LETTERS, TERMS, frame, instant, letter, record

from migrate.accounts import RECORD_COLUMNS
from migrate.report import tables
from migrate.report.terms import Terms


def accounts(*rows: dict[str, Any], letters: list[dict[str, Any]] | None = None, as_of: datetime = AS_OF) -> pd.DataFrame:
    table = tables.accounts_table(frame(list(rows), RECORD_COLUMNS), frame(letters or [], tables.LETTER_COLUMNS), TERMS, as_of)
    assert list(table.columns) == list(tables.ACCOUNTS.columns)
    return table.set_index("account_id", drop=False)


def test_an_account_that_is_gone_is_no_row() -> None:
    assert list(accounts(record("ann"), record("ida", gone_at=instant("2023-12-24T14:00:00Z"))).index) == ["ann"]


def test_days_left_are_calendar_days_of_the_campaign_to_each_account_s_own_cutoff() -> None:
    rows = (record("ann"), record("leo", cutoff=instant("2024-01-15T08:00:00Z")))
    assert accounts(*rows)["days_left"].tolist() == [30, 13]
    assert accounts(*rows, as_of=datetime(2024, 1, 3, 7, 59, tzinfo=UTC))["days_left"].tolist() == [30, 13]
    assert accounts(*rows, as_of=datetime(2024, 2, 3, 8, 0, tzinfo=UTC))["days_left"].tolist() == [-2, -19]


def test_letters_sent_and_uncertain_count_as_notices_and_others_do_not() -> None:
    states = ["sent", "uncertain", "queued", "sending", "failed", "withdrawn"]
    letters = [letter("ann", state=state, address=f"{state}@example.com") for state in states]
    found = accounts(record("ann"), record("bob"), letters=letters)
    assert found["notices_sent"].tolist() == [2, 0]


def test_the_last_notice_is_the_one_queued_last_and_of_those_the_one_to_the_primary_address() -> None:
    together = {"queued_at": instant("2024-01-02T14:00:01Z")}
    letters = [
        letter("ann", occasion="T-30", role="notification", reference="AAAAAAAA", state="failed", **together),
        letter("ann", occasion="T-30", role="primary", reference="ZZZZZZZZ", state="sent", **together),
        letter("ann", occasion="T-60", queued_at=instant("2023-12-03T14:00:01Z"), changed_at=instant("2024-01-02T15:00:00Z")),
    ]
    for arrival in (letters, letters[::-1]):
        found = accounts(record("ann"), letters=arrival).loc["ann"]
        assert (found["last_notice"], found["last_notice_state"]) == ("reminder T-30", "sent")
        assert found["last_notice_at"] == instant("2024-01-02T14:00:02.5Z")


def test_what_a_predecessor_under_the_same_id_was_told_is_not_counted() -> None:
    found = accounts(record("ann", tenure=2), letters=[letter("ann")]).loc["ann"]
    assert found["notices_sent"] == 0
    assert pd.isna(found["last_notice"])


def test_the_next_stage_is_told_only_for_accounts_that_would_be_reminded() -> None:
    found = accounts(*CAST)
    assert set(found.index[found["next_stage"].notna()]) == {"ann", "bob", "eve", "leo"}
    assert set(found["next_stage"].dropna()) == {"T-14"}
    assert set(found["next_stage_on"].dropna()) == {"2024-01-18"}


def test_after_the_cutoff_the_reminded_who_are_not_compliant_still_have_a_next_stage() -> None:
    lost = record("lost", "no_second_step", reminded=True)
    saved = record("saved", "migrated", reminded=True)
    never = record("never", "no_second_step")
    found = accounts(lost, saved, never, as_of=datetime(2024, 2, 2, tzinfo=UTC))
    assert found["next_stage"].fillna("").tolist() == ["T+14", "", ""]


def test_after_the_last_stage_nothing_comes_next() -> None:
    assert accounts(record("ann"), as_of=datetime(2024, 3, 1, tzinfo=UTC))["next_stage"].isna().all()


def test_the_action_list_holds_those_in_scope_who_are_not_compliant_privileged_first() -> None:
    rows = tables.action_rows(accounts(*CAST).reset_index(drop=True))
    assert list(rows.columns) == list(tables.ACTION_LIST.columns)
    assert rows["account_id"].tolist() == ["bob", "leo", "eve", "ann", "jon", "kim"]
    assert rows[["owner", "action", "due", "comment"]].isna().all(axis=None)


def test_the_summary_counts_every_account_once_and_its_shares_add_up_to_the_total() -> None:
    found = accounts(*CAST).reset_index(drop=True)
    in_parts = tables.standing_counts(found.iloc[:4]) + tables.standing_counts(found.iloc[4:])
    summary = tables.summary_table(in_parts)
    assert summary.equals(tables.summary_table(tables.standing_counts(found)))
    assert summary.iloc[-1].tolist() == [tables.TOTAL, tables.TOTAL, len(found), 1.0]
    assert summary.iloc[-2]["department"] == tables.NO_DEPARTMENT
    assert summary["count"][:-1].sum() == len(found)
    assert summary["share"][:-1].sum() == pytest.approx(1.0, abs=1e-5)


def test_a_summary_of_nobody_is_a_total_of_nothing() -> None:
    nobody = tables.standing_counts(accounts().reset_index(drop=True))
    assert tables.summary_table(nobody).values.tolist() == [[tables.TOTAL, tables.TOTAL, 0, 0.0]]


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
    assert accounts().empty
    assert tables.exemptions_table(frame([], tables.EXEMPTION_COLUMNS), TERMS, AS_OF).empty
    assert tables.changes_table(frame([], tables.CHANGE_COLUMNS), AS_OF).empty


def test_terms_survive_being_kept_as_json() -> None:
    import json

    assert Terms.from_json(json.loads(json.dumps(TERMS.to_json()))) == TERMS
