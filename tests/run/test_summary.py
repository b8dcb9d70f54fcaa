"""What a run says of itself, and the exit code that follows from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from campaigns import Campaign

from migrate.delivery import Forecast, Waiting
from migrate.errors import GuardError, MailServerError, first_of
from migrate.explain.queue import Bounced
from migrate.ledger import runs
from migrate.ledger.engine import Ledger
from migrate.run.job import Result
from migrate.run.summary import Sending, Summary, Waits, exit_code

SENDING = Sending(sent=1, failed=0, uncertain=0, withdrawn=0, queued=0)
WAITS = Waits(waiting=Waiting(), delivery=Forecast(), unreachable=Bounced(20, 20))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Campaign, Result]:
    campaign = Campaign(tmp_path_factory.mktemp("summary"))
    campaign.person("ada", "sms")
    campaign.person("bob", "carrier pigeon")
    campaign.person("", "sms")
    campaign.run("2023-12-01 14:00")
    campaign.person("ada", "totp")
    return campaign, campaign.run("2024-01-03 14:00")


def last(campaign: Campaign, **counts: Any) -> Summary:
    """The last run as the ledger tells it; counts that are None it does not have."""
    with Ledger.open_readonly(campaign.config.ledger) as ledger, ledger.read() as connection:
        run = runs.last(connection, 1)
        assert run is not None
        there = {name: value for name, value in (run.counts | counts).items() if value is not None}
        return Summary.recalled(connection, replace(run, counts=there))


def test_the_ledger_tells_of_a_run_what_the_run_told_of_itself(lived: tuple[Campaign, Result]) -> None:
    campaign, result = lived
    assert result.facts["outcomes"] == {"rejected": 1, "queued": 1, "not_reminded": 1}
    assert result.facts["letters"] == {"sent": 1, "failed": 0, "uncertain": 0, "withdrawn": 0, "queued": 0}
    assert last(campaign).facts() == result.facts


def test_counts_are_told_in_one_order_whatever_was_counted_first(lived: tuple[Campaign, Result]) -> None:
    """The cache counts what carries over last, and the ledger keeps words by the alphabet."""
    campaign, result = lived
    for facts in (result.facts, last(campaign).facts()):
        assert list(facts["outcomes"]) == ["rejected", "queued", "not_reminded"]
        assert list(facts["standing"]) == ["migrated", "unknown"]


def test_what_an_older_version_did_not_count_is_empty_and_letters_are_counted_from_their_history(lived: tuple[Campaign, Result]) -> None:
    campaign, result = lived
    found = last(campaign, letters=None, not_certain=None, lost_lists=None, unreachable=None, delivery=None)
    assert found.sending == result.summary.sending
    assert (found.decision.not_certain, found.decision.noticed.lost_lists) == ({}, {})
    assert "unreachable" not in found.facts()


def test_instants_that_were_stored_are_read_back(lived: tuple[Campaign, Result]) -> None:
    at = datetime(2024, 1, 3, 14, tzinfo=UTC)
    waits = Waits(waiting=Waiting(3, at), delivery=Forecast(3, at, 500, at), unreachable=Bounced(1, 20))
    assert waits.facts()["delivery"]["done_at"] == "2024-01-03T14:00:00Z"
    assert last(lived[0], **waits.facts()).waits == waits


def test_the_first_exit_code_that_applies_is_that_of_the_list_and_a_bug_goes_before_all() -> None:
    order = [1, 75, 2, 3, 4, 6, 5]
    for number, code in enumerate(order):
        assert first_of(reversed([*order[number:], 0])) == code
    assert first_of([0, 0]) == first_of([]) == 0


@pytest.mark.parametrize(
    ("code", "signal", "stopped", "sending", "waits"),
    [
        (0, None, [], {}, {}),
        (5, None, [], {"failed": 1}, {}),
        (5, None, [], {"uncertain": 1}, {}),
        (5, None, [], {"too_late": 1}, {}),
        (5, None, [], {}, {"waiting": Waiting(too_long=1)}),
        (5, None, [], {}, {"unreachable": Bounced(21, 20)}),
        (0, None, [], {}, {"unreachable": None}),
        (6, None, [MailServerError("refuses")], {"failed": 1}, {}),
        (4, None, [MailServerError("refuses"), GuardError("held")], {"failed": 1}, {}),
        (143, 15, [GuardError("held")], {"failed": 1}, {}),
    ],
)
def test_how_a_delivery_ends_is_its_exit_code(
    code: int, signal: int | None, stopped: list[Any], sending: dict[str, int], waits: dict[str, Any]
) -> None:
    assert exit_code(signal, stopped, replace(SENDING, **sending), replace(WAITS, **waits)) == code


def test_evidence_is_the_last_thing_that_a_summary_gets(lived: tuple[Campaign, Result]) -> None:
    summary = lived[1].summary
    assert (summary.evidence, summary.facts()["evidence"]) == (None, None)
    assert summary.reported(Path("reports/x")).facts() == summary.facts() | {"evidence": "reports/x"}
