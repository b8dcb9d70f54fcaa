"""Accounts as rows of a report, and the action list among them."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
from report.conftest import AS_OF, CAST, TERMS, frame, instant, letter, record, recorded

from migrate.core.campaign import CampaignSettings
from migrate.core.schedule import ScheduleSettings, upcoming
from migrate.core.standing import PolicySettings
from migrate.core.waves import Waves, WavesSettings
from migrate.report import cells, repeats, tables
from migrate.report.accounts import accounts_table, action_rows, standing_counts
from migrate.report.terms import Terms
from migrate.report.told import NOBODY, updated


def accounts(*rows: dict[str, Any], letters: list[dict[str, Any]] | None = None, as_of: datetime = AS_OF) -> pd.DataFrame:
    return shown(accounts_table(recorded(list(rows)), updated(NOBODY, frame(letters or [], tables.LETTER_COLUMNS)), TERMS, as_of))


def shown(table: pa.Table) -> pd.DataFrame:
    """The table, plain and by account."""
    columns = tables.ACCOUNTS.columns | tables.ACTION_LIST.columns
    plain = table.cast(pa.schema([(name, cells.arrow(columns[name])) for name in table.column_names]))
    return plain.to_pandas().set_index("account_id", drop=False)


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
    assert set(found.index[found["next_stage"].notna()]) == {"bob", "eve", "leo"}
    assert found.loc["ann", ["standing", "destination"]].tolist() == ["sms_only", "no"]
    anyway = replace(TERMS, remind_without_destination=True)
    found = shown(accounts_table(recorded(CAST), NOBODY, anyway, AS_OF))
    assert set(found.index[found["next_stage"].notna()]) == {"ann", "bob", "eve", "leo"}
    assert set(found["next_stage"].dropna()) == {"T-14"}
    assert set(found["next_stage_on"].dropna()) == {date(2024, 1, 18)}


def test_after_the_cutoff_the_reminded_who_are_not_compliant_still_have_a_next_stage() -> None:
    lost = record("lost", "no_second_step", reminded=True)
    saved = record("saved", "migrated", reminded=True)
    never = record("never", "no_second_step")
    found = accounts(lost, saved, never, as_of=datetime(2024, 2, 2, tzinfo=UTC))
    assert found["next_stage"].fillna("").tolist() == ["T+14", "", ""]


def test_after_the_last_stage_nothing_comes_next() -> None:
    assert accounts(record("ann"), as_of=datetime(2024, 3, 1, tzinfo=UTC))["next_stage"].isna().all()


def test_what_is_known_of_certainty_last_use_and_groups_is_told_as_it_is() -> None:
    rows = (
        record("ann", groups="All staff\nrole:Reader", in_policy=True, certain=False),
        record("bob", last_used_method="voice", last_used_at=instant("2023-12-30T09:00:00Z"), in_policy=False, destination="no"),
        record("cem"),
    )
    found = accounts(*rows)
    assert found["groups"].tolist() == ["All staff;role:Reader", "", ""]
    assert found["in_policy"].tolist() == [True, False, None]
    assert found["certain"].tolist() == [False, True, True]
    assert found["destination"].tolist() == ["unknown", "no", "unknown"]
    assert found["last_used_method"].fillna("").tolist() == ["", "voice", ""]
    assert found["last_used_at"].tolist()[1] == instant("2023-12-30T09:00:00Z")
    many = [record(f"p{n}", groups=f"g{n}\nall") for n in range(50)]
    assert accounts(*many)["groups"].tolist() == [f"g{n};all" for n in range(50)]


def test_the_action_list_holds_those_in_scope_who_are_not_compliant_without_a_destination_first_then_privileged() -> None:
    table = accounts_table(recorded(CAST), NOBODY, TERMS, AS_OF)
    assert table.column_names == list(tables.ACCOUNTS.columns)
    rows = shown(action_rows(table))
    assert list(rows.columns) == list(tables.ACTION_LIST.columns)
    assert rows["account_id"].tolist() == ["ann", "bob", "leo", "eve", "jon", "kim"]
    assert rows["destination"].tolist() == ["no", "yes", *["unknown"] * 4]
    assert rows[["owner", "action", "due", "comment"]].isna().all(axis=None)


def test_an_account_without_a_department_is_counted_apart_from_one_whose_department_has_no_name() -> None:
    rows = [record("ann", department=None), record("bob", department=""), record("cat", department=None)]
    found = standing_counts(accounts_table(recorded(rows), NOBODY, TERMS, AS_OF))
    assert found == {(tables.NO_DEPARTMENT, "sms_only"): 2, ("", "sms_only"): 1}


def test_accounts_of_whom_much_repeats_and_of_whom_nothing_does_read_the_same() -> None:
    """Columns travel as dictionaries or plain, by what stands in their first rows."""
    many = [record(f"p{n:04d}", ["sms_only", "migrated"][n % 2], department=f"d{n % 3}", phone=f"••••{n:04d}") for n in range(200)]
    letters = updated(NOBODY, frame([letter(f"p{n:04d}", state="sent") for n in range(0, 200, 3)], tables.LETTER_COLUMNS))
    whole = accounts_table(recorded(many), letters, TERMS, AS_OF)
    short = {name for name in whole.column_names if repeats.is_short(repeats.whole(whole[name]))}
    assert {"department", "standing", "cutoff"} <= short
    assert not {"account_id", "phone"} & short
    one_by_one = [accounts_table(recorded([each]), letters, TERMS, AS_OF) for each in many]
    assert shown(whole).equals(pd.concat(map(shown, one_by_one)))


def test_whoever_is_in_a_wave_has_its_cutoff_and_its_next_stage() -> None:
    campaign = {"name": "sms", "organization": "Example Corp", "product": "Example account", "opens": date(2023, 8, 1)}
    days = CampaignSettings(**campaign, cutoff=datetime(2024, 2, 1), timezone=TERMS.timezone, support_email="help@example.com")
    wave = [{"name": "admins", "match": {"privileged": True}, "cutoff": datetime(2024, 7, 1)}]
    waves = Waves.of(days, WavesSettings.model_validate(wave), {})
    terms = Terms.of(waves, ScheduleSettings(), PolicySettings())
    assert Terms.from_json(json.loads(json.dumps(terms.to_json()))) == terms
    july = {"wave": "admins", "cutoff": instant("2024-07-01T07:00:00Z")}
    people = recorded([record("ann", "sms_only", **july), record("bob", "sms_only"), record("cem", "migrated", **july)])
    table = accounts_table(people, NOBODY, terms, AS_OF)
    found = shown(table)[["wave", "next_stage", "next_stage_on"]].astype(object)
    assert found.where(found.notna(), None).to_numpy().tolist() == [
        ["admins", "T-60", date(2024, 5, 2)],
        ["", upcoming(terms.stages, AS_OF).name, upcoming(terms.stages, AS_OF).on],
        ["admins", None, None],
    ]
