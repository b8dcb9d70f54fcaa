"""The campaign at a glance."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import Campaign

from migrate.explain.status import Parts
from migrate.ledger import runs, schema
from migrate.ledger.engine import Ledger


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return Campaign(tmp_path)


def test_before_the_first_run_there_are_days_and_nothing_else(campaign: Campaign) -> None:
    found = campaign.status("2023-07-01 14:00")
    assert (found.last_run, found.accounts, found.forecast, found.burn_down) == (None, None, None, ())
    assert found.stage is None
    assert found.next_stage is not None
    assert found.next_stage.name == "opens"
    assert found.days_left == 215
    assert "Wednesday, 31 January 2024 (Pacific Standard Time, UTC-08:00)" in found.until
    assert set(found.outbox.values()) == {0}


def test_looking_makes_no_ledger(campaign: Campaign) -> None:
    campaign.status()
    assert not campaign.ledger.exists()


def test_looking_changes_no_byte(campaign: Campaign) -> None:
    campaign.person("ann")
    campaign.run("2024-01-02 14:00")
    before = {path: path.read_bytes() for path in campaign.folder.rglob("*") if path.is_file()}
    campaign.status()
    assert {path: path.read_bytes() for path in campaign.folder.rglob("*") if path.is_file()} == before


def test_accounts_are_compliant_or_not_or_out_of_scope(campaign: Campaign) -> None:
    campaign.person("ann")
    campaign.person("bob", "sms,totp")
    campaign.person("cat", "totp")
    campaign.person("dan", "", enabled="no")
    campaign.person("eve", "unknown")
    campaign.run("2024-01-02 14:00")
    found = campaign.status()
    assert found.accounts == Parts(compliant=2, not_compliant=2, out_of_scope=1)
    assert found.last_run is not None
    assert sum(found.last_run.outcomes.values()) == found.last_run.read == 5
    assert found.facts()["accounts"]["total"] == 5


def test_compliant_accounts_that_are_not_certain_are_counted_apart(campaign: Campaign) -> None:
    campaign.person("ann", "totp,other")
    campaign.person("bob", "sms,totp,unknown")
    campaign.person("cat", "totp")
    campaign.person("dan", "other")
    result = campaign.run("2024-01-02 14:00")
    assert result.facts["not_certain"] == {"migrated": 1, "sms_fallback": 1, "unknown": 1}
    found = campaign.status()
    assert found.accounts == Parts(compliant=3, not_compliant=1, out_of_scope=0, not_certain=2)
    assert found.facts()["accounts"] == {"compliant": 3, "not_compliant": 1, "out_of_scope": 0, "not_certain": 2, "total": 4}
    campaign.edit("[ledger]", "[policy]\nstrict_words = true\n\n[ledger]")
    strict = campaign.run("2024-01-02 15:00").facts
    assert strict["standing"] == {"unknown": 3, "migrated": 1}
    assert campaign.status().accounts == Parts(compliant=1, not_compliant=3, out_of_scope=0, not_certain=0)


def test_a_run_of_before_there_were_such_counts_says_nothing_of_them(campaign: Campaign) -> None:
    campaign.person("ann", "totp,other")
    campaign.run("2024-01-02 14:00")
    with Ledger.open(campaign.config.ledger, create=False) as ledger, ledger.begin() as connection:
        run = runs.find(connection, 1)
        runs.record_counts(connection, 1, {subject: counted for subject, counted in run.counts.items() if subject != "not_certain"})
    assert campaign.status().accounts == Parts(compliant=1, not_compliant=0, out_of_scope=0)


def test_a_strict_policy_counts_a_fallback_as_not_compliant(campaign: Campaign) -> None:
    campaign.edit("[ledger]", "[policy]\nstrict_fallback = true\n\n[ledger]")
    campaign.person("bob", "sms,totp")
    campaign.run("2024-01-02 14:00")
    assert campaign.status().accounts == Parts(0, 1, 0)


def test_the_burn_down_leads_to_a_forecast_and_a_verdict(campaign: Campaign) -> None:
    for number in range(12):
        campaign.person(f"p{number:02}")
    for number, day in enumerate((2, 4, 6, 8)):
        campaign.run(f"2024-01-{day:02} 14:00")
        campaign.person(f"p{number:02}", "totp")
    early = campaign.status("2024-01-08 15:00")
    assert early.forecast is None and early.verdict is not None
    assert (
        early.verdict.said == "Too early to say: 7 days seen, a forecast needs 10 and 5 run days. 9 people must still move by 1 Feb 2024."
    )
    campaign.run("2024-01-12 14:00")
    found = campaign.status("2024-01-12 15:00")
    assert [(point.on.day, point.count) for point in found.burn_down] == [(2, 12), (4, 11), (6, 10), (8, 9), (12, 8)]
    assert found.forecast is not None and found.pace is not None and found.verdict is not None
    assert 0 < found.forecast.low < found.forecast.left < 8 < found.forecast.high
    assert (found.pace.late, found.pace.needed) == (0.4, 0.4)
    assert found.verdict.answer == "no"
    assert "path" not in found.facts()["forecast"]
    assert campaign.status("2024-01-31 14:00").forecast is not None
    past = campaign.status("2024-02-01 09:00")
    assert (past.forecast, past.pace) == (None, None)
    assert past.verdict is not None and past.verdict.answer == "past"


def test_a_day_of_several_runs_is_one_point_and_its_last_run_counts(campaign: Campaign) -> None:
    campaign.person("ann")
    campaign.person("bob")
    campaign.run("2024-01-02 14:00")
    campaign.person("ann", "totp")
    campaign.run("2024-01-02 18:00")
    assert [point.count for point in campaign.status().burn_down] == [1]


def test_letters_that_wait_are_counted(campaign: Campaign) -> None:
    campaign.person("ann")
    campaign.run("2024-01-02 14:00", send=False)
    assert campaign.status().outbox["queued"] == 1


def test_a_change_nobody_could_be_told_of_is_open_and_then_given_up(campaign: Campaign) -> None:
    campaign.person("ann", email="")
    campaign.run("2023-12-01 14:00")
    campaign.person("ann", "totp")
    campaign.run("2023-12-02 14:00")
    found = campaign.status()
    assert (found.open_changes, found.unsaid_changes) == (1, 0)
    campaign.run("2024-01-02 14:00")
    found = campaign.status()
    assert (found.open_changes, found.unsaid_changes) == (0, 1)


def test_exemptions_that_ended_or_end_within_two_weeks_are_shown(campaign: Campaign) -> None:
    campaign.person("ann")
    campaign.run("2024-01-02 14:00")
    campaign.grant(schema.exemption, "ended", "2024-01-02")
    campaign.grant(schema.exemption, "today", "2024-01-03")
    campaign.grant(schema.exemption, "soon", "2024-01-17")
    campaign.grant(schema.exemption, "later", "2024-01-18")
    campaign.grant(schema.exemption, "prolonged", "2024-01-02")
    campaign.grant(schema.exemption, "prolonged", "2024-06-01")
    assert [(each.account_id, each.days) for each in campaign.status().exemptions] == [("ended", -1), ("today", 0), ("soon", 14)]


def test_the_last_run_names_its_evidence(campaign: Campaign) -> None:
    campaign.edit("formats = []", 'formats = ["csv"]')
    campaign.person("ann")
    result = campaign.run("2024-01-02 14:00")
    last = campaign.status().last_run
    assert last is not None
    assert last.evidence == result.facts["evidence"]
    assert last.completed
    assert last.run_id == result.facts["run_id"]


def test_a_roll_up_s_counts_are_of_the_accounts_that_are_there(campaign: Campaign) -> None:
    campaign.person("ann")
    campaign.person("bob", "sms", may_enrol="sms")
    campaign.person("cat", "totp")
    campaign.person("dan", "sms", enabled="no")
    campaign.person("eve")
    campaign.run("2024-01-02 14:00")
    found = campaign.status("2024-01-02 15:00")
    assert found.tallies.at_cutoff == {"loses_second_step": 3, "unaffected": 1}, "who cannot sign in loses nothing"
    assert (found.tallies.without_destination, found.tallies.notified, found.tallies.moved_lately) == (1, 2, 0)
    campaign.person("ann", "totp")
    campaign.leaves("eve")
    campaign.run("2024-01-03 14:00")
    found = campaign.status("2024-01-03 15:00")
    assert found.tallies.at_cutoff == {"loses_second_step": 1, "unaffected": 2}
    assert (found.tallies.notified, found.tallies.moved_lately) == (1, 1), "eve is gone, and a confirmation is no reminder"
    assert campaign.status("2024-01-10 14:00").tallies.moved_lately == 0
    assert [campaign.status(when).stale for when in ("2024-01-03 15:00", "2024-01-06 15:00")] == [False, True]
