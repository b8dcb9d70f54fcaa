"""A run as frames: the cast of accounts that the report tests tell of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from migrate.core.accounts import INSTANT, RECORD_COLUMNS, conform, empty, methods_of
from migrate.core.campaign import CampaignSettings
from migrate.core.schedule import ScheduleSettings
from migrate.core.standing import OUT_OF_SCOPE, PolicySettings
from migrate.core.waves import Waves
from migrate.directory.snapshot import REJECTED_COLUMNS
from migrate.ledger.runs import Run
from migrate.ledger.states import UNSENT
from migrate.report.chronicle import Day
from migrate.report.helpdesk import SENT_COLUMNS
from migrate.report.moves import SUPERSEDED_COLUMNS, WALKED
from migrate.report.settings import ReportsSettings
from migrate.report.tables import CHANGE_COLUMNS, EXEMPTION_COLUMNS, LETTER_COLUMNS
from migrate.report.terms import Terms

AS_OF = datetime(2024, 1, 2, 14, 0, tzinfo=UTC)
EVIDENCE_AT = datetime(2024, 1, 2, 14, 0, 9, 250000, tzinfo=UTC)
CAMPAIGN = CampaignSettings(
    name="sms-retirement",
    organization="Example Corp",
    product="Example account",
    opens=date(2023, 8, 1),
    cutoff=datetime(2024, 2, 1),
    timezone="America/Los_Angeles",
    support_email="help@example.com",
)
TERMS = Terms.of(Waves(CAMPAIGN), ScheduleSettings(days_before=(60, 30, 14, 7, 3, 1), days_after=(0, 14)), PolicySettings())


def instant(text: str | None) -> pd.Timestamp:
    return pd.Timestamp(text or "NaT") if text is None else pd.Timestamp(text).tz_convert("UTC")


def record(account_id: str, standing: str = "sms_only", **other: Any) -> dict[str, Any]:
    """One account of the cast; whatever is not said is ordinary."""
    words = {"migrated": ("totp",), "sms_fallback": ("sms", "totp"), "sms_default": ("sms", "totp"), "no_second_step": ()}
    plain = {
        "account_id": account_id,
        "tenure": 1,
        "username": account_id,
        "email": f"{account_id}@example.com",
        "notification_emails": "",
        "display_name": account_id.title(),
        "given_name": account_id.title(),
        "locale": "en",
        "department": "Sales",
        "manager_email": "boss@example.com",
        "enabled": standing != "inactive",
        "federated": standing == "exempt_sso",
        "account_type": "person",
        "privileged": False,
        "methods": methods_of(words.get(standing, ("sms",))),
        "default_method": None if standing == "no_second_step" else "totp" if standing == "migrated" else "sms",
        "last_used_method": None,
        "last_used_at": instant(None),
        "methods_changed_at": instant(None),
        "may_enrol": None,
        "in_policy": None,
        "groups": "",
        "phone": "••••12",
        "basis": "b",
        "wave": "",
        "fixed_wave": None,
        "wave_basis": None,
        "cutoff": instant("2024-02-01T08:00:00Z"),
        "standing": standing,
        "standing_since": instant("2023-08-01T14:00:00Z"),
        "migrated_at": instant("2023-12-01T14:00:00.000001Z" if standing == "migrated" else None),
        "at_cutoff": "loses_second_step" if standing == "sms_only" else "unaffected",
        "compliant": standing in TERMS.compliant,
        "certain": standing != "unknown",
        "destination": "yes" if standing in TERMS.compliant or standing == "sms_default" else "unknown",
        "reminded": standing in TERMS.remind,
        "exempt_until": "2024-03-01" if standing == "exempt" else None,
        "outcome": standing if standing in OUT_OF_SCOPE else "nothing_due" if standing in TERMS.remind else "not_reminded",
        "outcome_reason": None,
        "first_seen_at": instant("2023-08-01T14:00:00Z"),
        "gone_at": instant(None),
        "change_count": 0,
    }
    return {**plain, **other}


def letter(account_id: str, kind: str = "reminder", occasion: str = "T-30", state: str = "sent", **other: Any) -> dict[str, Any]:
    """One letter of the cast."""
    plain = {
        "letter_id": 1,
        "account_id": account_id,
        "tenure": 1,
        "kind": kind,
        "occasion": occasion,
        "address": f"{account_id}@example.com",
        "role": "primary",
        "reference": f"R{account_id[:3].upper()}{occasion}"[:8],
        "state": state,
        "reason": None,
        "attempts": 0 if state == "queued" else 1,
        "reply": None if state == "queued" else "250 2.0.0 Ok",
        "queued_at": instant("2024-01-02T14:00:01Z"),
        "settled_at": instant(None if state == "queued" else "2024-01-02T14:00:02.5Z"),
        "changed_at": instant("2024-01-02T14:00:01Z" if state == "queued" else "2024-01-02T14:00:02.5Z"),
        "subject": "Text-message codes end on 31 January",
        "was": None,
    }
    return {**plain, **other}


def frame(rows: list[dict[str, Any]], columns: dict[str, str]) -> pd.DataFrame:
    """Rows as a frame of declared columns."""
    if not rows:
        return empty(columns)
    made = pd.DataFrame(rows)
    instants = {name: pd.to_datetime(made[name], utc=True).astype(INSTANT) for name, dtype in columns.items() if dtype == INSTANT}
    return conform(made.assign(**instants), columns)


def recorded(rows: list[dict[str, Any]]) -> pa.Table:
    """Accounts as a chronicle hands them out."""
    return pa.Table.from_pandas(frame(rows, RECORD_COLUMNS)[list(WALKED)], preserve_index=False)


CAST = [
    record("ann", department="Sales", destination="no", may_enrol="sms,voice", in_policy=True, groups="All staff\nrole:Reader"),
    record("bob", "sms_default", privileged=True, at_cutoff="unaffected_but_surprised"),
    record("cat", "migrated", department="Research & Development"),
    record("dan", "sms_fallback", department=None, certain=False, methods=methods_of(("sms", "totp", "other"))),
    record("eve", display_name='=HYPERLINK("http://evil.example";"x")', department="+cmd|' /C calc'!A0", username="@SUM(1+9)*cmd"),
    record("fay", "inactive"),
    record("gil", "exempt"),
    record("hal", "exempt_sso"),
    record("ida", gone_at=instant("2023-12-24T14:00:00Z")),
    record("jon", "no_second_step", email=None, outcome="not_reminded"),
    record("kim", "unknown", at_cutoff="unknown", display_name='Kim "K", of\nOslo', outcome_reason="the directory says: 2FA on"),
    record(
        "leo",
        in_policy=False,
        groups="=1+1",
        last_used_method="sms",
        last_used_at=instant("2023-12-30T09:00:00Z"),
        cutoff=instant("2024-01-15T08:00:00Z"),
        department="Ärzte",
        display_name="Léo Ÿ \u202egnp",
    ),
]
EARLIER = [
    record("bob"),
    record("cat"),
    record("dan", "migrated"),
    record("gil"),
    record("ida"),
    record("jon", gone_at=instant("2023-11-24T14:00:00Z")),
]
"""Those of the cast that have another version now, as they were in the evidence before; `kim` and `leo` are new."""
ARRIVED = ("kim", "leo")
LETTERS = [
    letter("ann", queued_at=instant("2023-12-03T14:00:00Z"), settled_at=instant("2023-12-03T14:00:01Z"),
           changed_at=instant("2023-12-03T14:00:01Z"), occasion="T-60", reference="RANNT600"),
    letter("ann"),
    letter("bob", state="uncertain", reply="", reason="lease_expired"),
    letter("cat", "change_confirmation", "change-1"),
    letter("cat", "change_confirmation", "change-1", address="cat@home.example", role="notification", reference="RCATHOME", state="failed",
           reply="550 5.1.1 =No such user\r\n here"),
    letter("eve", state="queued"),
    letter("leo", queued_at=instant("2023-12-01T14:00:00Z"), settled_at=instant("2023-12-01T14:00:00Z"),
           changed_at=instant("2023-12-01T14:00:00Z"), state="withdrawn", reason="no_longer_reminded"),
]  # fmt: skip
CHANGE_ROWS = [
    {
        "account_id": account_id,
        "seq": seq,
        "tenure": seq,
        "change": change,
        "mailed": True,
        "state": "confirmed",
        "seen_at": instant("2024-01-02T14:00:00Z"),
        "had": methods_of(had),
        "has": methods_of(has),
        "closed_at": instant(closed_at),
    }
    for account_id, seq, change, had, has, closed_at in (
        ("cat", 1, "authenticator_enabled", ("sms",), ("totp",), "2024-01-02T14:00:01Z"),
        ("dan", 3, "authenticator_changed", ("sms", "totp"), ("sms", "push"), "2024-01-03T14:00:01Z"),
    )
]
EXEMPTION_ROWS = [
    {"account_id": "gil", "until": "2024-03-01", "owner": "ciso", "reason": "at sea", "created_at": instant("2023-12-01T10:00:00Z"),
     "created_by": "root", "removed_at": None, "removed_by": None, "removed_reason": None},
    {"account_id": "ann", "until": "2024-01-01", "owner": "ciso", "reason": "-leave", "created_at": instant("2023-11-01T10:00:00Z"),
     "created_by": "root", "removed_at": None, "removed_by": None, "removed_reason": None},
]  # fmt: skip
PAUSE_ROWS = [
    {"account_id": "eve", "until": "2024-01-09", "owner": "hr", "reason": "on leave", "created_at": instant("2023-12-20T10:00:00Z"),
     "created_by": "root", "removed_at": None, "removed_by": None, "removed_reason": None},
]  # fmt: skip
REJECTED_ROWS = [
    {"position": 7, "account_id": None, "rejection": "no account_id"},
    {"position": 9, "account_id": "=1", "rejection": "enabled: 'maybe' is neither yes nor no"},
]
SUMMARY = {"run_id": "r00003", "as_of": "2024-01-02T14:00:00Z", "campaign": "sms-retirement", "read": 13, "rejected": 2}


RUN = Run(
    seq=3,
    run_id="r00003",
    campaign_id=1,
    state="recorded",
    as_of=AS_OF,
    started_at=datetime(2024, 1, 2, 14, 0, 0, 125000, tzinfo=UTC),
    baseline=False,
    read=13,
    rejected=2,
    basis="b",
    directory="sqlite:///directory.db, table users",
    directory_fingerprint="f" * 64,
    directory_read_at=AS_OF,
    opens="2023-08-01",
    cutoff=TERMS.cutoff,
    timezone=TERMS.timezone,
    config_digest="c" * 64,
    mail_digest="d" * 64,
    tool_version="0.1.0",
)
PREVIOUS = replace(
    RUN,
    seq=2,
    run_id="r00002",
    state="completed",
    as_of=datetime(2023, 12, 15, 14, tzinfo=UTC),
    evidence="/somewhere/reports/2023-12-15-r00002",
    evidence_at=datetime(2023, 12, 15, 14, 0, 9, tzinfo=UTC),
    manifest_digest="0" * 64,
)


@dataclass(frozen=True)
class FrameChronicle:
    """A chronicle that stands in frames, handed out in chunks of any size."""

    run: Run = RUN
    previous: Run | None = PREVIOUS
    evidence_at: datetime = EVIDENCE_AT
    terms: Terms = TERMS
    records: tuple[dict[str, Any], ...] = tuple(CAST)
    mail: tuple[dict[str, Any], ...] = tuple(LETTERS)
    earlier: tuple[dict[str, Any], ...] = tuple(EARLIER)
    new: tuple[str, ...] = ARRIVED
    chunk: int = 1000

    def accounts(self) -> Iterator[pa.Table]:
        for start in range(0, len(self.records), self.chunk):
            yield recorded(list(self.records[start : start + self.chunk]))

    def carried(self) -> None:
        return None

    def events(self) -> None:
        return None

    def letters_of(self, first: str, last: str) -> pd.DataFrame:
        return frame([each for each in self.mail if first <= each["account_id"] <= last], LETTER_COLUMNS)

    def superseded(self, low: str | None, high: str | None) -> pd.DataFrame:
        found = [
            each for each in self.earlier if (low is None or each["account_id"] > low) and (high is None or each["account_id"] <= high)
        ]
        return frame(found, SUPERSEDED_COLUMNS)

    def arrived(self, records: pa.Table) -> list[str]:
        return [each for each in records["account_id"].to_pylist() if each in self.new]

    def letters(self) -> Iterator[pd.DataFrame]:
        since = self.previous.evidence_at if self.previous else None
        moved = [each for each in self.mail if since is None or each["changed_at"] > since or each["state"] in UNSENT]
        for start in range(0, len(moved), self.chunk):
            yield frame(moved[start : start + self.chunk], LETTER_COLUMNS)

    def sent(self) -> Iterator[pd.DataFrame]:
        yield frame([each for each in self.mail if each["state"] in ("sent", "uncertain")], SENT_COLUMNS)

    def changes(self) -> Iterator[pd.DataFrame]:
        yield frame(CHANGE_ROWS, CHANGE_COLUMNS)

    def exemptions(self) -> pd.DataFrame:
        return frame(EXEMPTION_ROWS, EXEMPTION_COLUMNS)

    def pauses(self) -> pd.DataFrame:
        return frame(PAUSE_ROWS, EXEMPTION_COLUMNS)

    def dead(self) -> frozenset[str]:
        return frozenset({"leo@example.com"})

    def week(self) -> None:
        return None

    def rejected(self) -> Iterator[pd.DataFrame]:
        yield frame(REJECTED_ROWS, REJECTED_COLUMNS)

    def days(self) -> list[Day]:
        return [
            Day(date(2023, 12, 1), {"sms_only": 8, "sms_default": 1, "migrated": 1}),
            Day(date(2023, 12, 15), {"sms_only": 6, "sms_default": 1, "migrated": 3}),
            Day(date(2024, 1, 2), {"sms_only": 3, "sms_default": 1, "unknown": 1, "no_second_step": 1, "migrated": 1, "sms_fallback": 1}),
        ]


@pytest.fixture
def chronicle() -> FrameChronicle:
    return FrameChronicle()


@pytest.fixture
def told() -> Callable[..., FrameChronicle]:
    """A chronicle of which something is different."""

    def make(**other: Any) -> FrameChronicle:
        return replace(FrameChronicle(), **other)

    return make


@pytest.fixture
def csv_only(tmp_path: Path) -> ReportsSettings:
    return ReportsSettings(dir=tmp_path / "reports", formats=("csv",))
