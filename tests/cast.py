"""The standing cast: accounts that each stand for one situation, as frames (tests mirror `migrate/`, and share these people)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from migrate.core.accounts import ACCOUNT_COLUMNS, RECORD_COLUMNS, ROW_COLUMNS, conform, empty, methods_of
from migrate.core.campaign import CampaignSettings
from migrate.core.letters import LAST_TOLD_COLUMNS, TOLD_COLUMNS, WAITING_COLUMNS, Mailed

CAMPAIGN = CampaignSettings(
    name="sms-retirement",
    organization="Example Corp",
    product="Example account",
    opens=date(2023, 8, 1),
    cutoff=datetime(2024, 2, 1),
    timezone="America/Los_Angeles",
    support_email="help@example.com",
)


def at(text: str) -> datetime:
    """A UTC instant: `at("2024-01-02 14:00")`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


FIRST_READ = at("2023-12-01 14:00")


def person(account_id: str, methods: str = "sms", **fields: Any) -> dict[str, Any]:
    """One row of `ROW_COLUMNS`; `methods` are our words, comma-separated."""
    row: dict[str, Any] = dict.fromkeys(ROW_COLUMNS, None) | {
        "account_id": account_id,
        "username": account_id,
        "email": f"{account_id}@example.com",
        "notification_emails": "",
        "groups": "",
        "locale": "en",
        "enabled": True,
        "federated": False,
        "account_type": "person",
        "privileged": False,
        "methods": methods_of(tuple(word for word in methods.split(",") if word)),
        "position": 1,
    }
    return row | fields


def rows(*people: dict[str, Any]) -> pd.DataFrame:
    """People as a directory hands them over: `ROW_COLUMNS`."""
    if not people:
        return empty(ROW_COLUMNS)
    frame = pd.DataFrame(list(people))
    return conform(frame.assign(position=range(1, len(frame) + 1)), ROW_COLUMNS)


def accounts(*people: dict[str, Any]) -> pd.DataFrame:
    """People as accepted accounts: `ACCOUNT_COLUMNS`."""
    return conform(rows(*people), ACCOUNT_COLUMNS)


def recorded(*people: dict[str, Any], seen: datetime = FIRST_READ, **fields: Any) -> pd.DataFrame:
    """People as the ledger remembers them from a read at `seen`: `RECORD_COLUMNS`."""
    if not people:
        return empty(RECORD_COLUMNS)
    defaults: dict[str, Any] = dict.fromkeys(RECORD_COLUMNS, None) | {
        "tenure": 1,
        "basis": "basis",
        "wave": "",
        "cutoff": CAMPAIGN.cutoff_at,
        "standing": "sms_only",
        "standing_since": seen,
        "at_cutoff": "loses_second_step",
        "compliant": False,
        "certain": True,
        "destination": "unknown",
        "reminded": True,
        "outcome": "not_reminded",
        "outcome_reason": "",
        "first_seen_at": seen,
        "change_count": 0,
    }
    known = [defaults | {k: v for k, v in each.items() if k in RECORD_COLUMNS} | fields for each in people]
    return conform(pd.DataFrame(known), RECORD_COLUMNS)


def nothing_mailed(**frames: pd.DataFrame) -> Mailed:
    """A ledger that mailed nothing in the range, but for the frames given."""
    return Mailed(**{"told": empty(TOLD_COLUMNS), "last_told": empty(LAST_TOLD_COLUMNS), "waiting": empty(WAITING_COLUMNS)} | frames)
