"""Why the number moved: the moves between two runs add up, whatever happened."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report.conftest import SUMMARY, FrameChronicle, frame, instant, record
from report.test_recall import DAY_ONE, SECOND, reported, run_of

from migrate.core.accounts import RECORD_COLUMNS, methods_of
from migrate.ledger import account_rows, runs
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.report import evidence, recall
from migrate.report.moves import WHYS, Moves, why
from migrate.report.recall import of_run
from migrate.report.settings import ReportsSettings

SMS, TOTP, BOTH, NONE = (methods_of(words) for words in (("sms",), ("totp",), ("sms", "totp"), ()))
UNNAMED = methods_of(("sms", "other"))


@pytest.mark.parametrize(
    ("was", "now", "methods", "word"),
    [
        ("sms_only", "migrated", (SMS, TOTP), "switched"),
        ("sms_only", "sms_fallback", (SMS, BOTH), "switched"),
        ("sms_only", "sms_default", (SMS, BOTH), "switched"),
        ("no_second_step", "migrated", (NONE, TOTP), "switched"),
        ("sms_default", "migrated", (BOTH, TOTP), "switched"),
        ("migrated", "sms_fallback", (TOTP, BOTH), "went back"),
        ("migrated", "sms_only", (TOTP, SMS), "went back"),
        ("sms_only", "no_second_step", (SMS, NONE), "went back"),
        ("no_second_step", "sms_only", (NONE, SMS), "went back"),
        ("sms_fallback", "sms_default", (BOTH, BOTH), "default changed"),
        ("sms_default", "sms_fallback", (BOTH, BOTH | methods_of(("passkey",))), "default changed"),
        ("unknown", "sms_only", (UNNAMED, SMS), "reclassified"),
        ("sms_only", "migrated", (TOTP, TOTP), "reclassified"),
        ("sms_only", "inactive", (SMS, SMS), "disabled"),
        ("exempt_sso", "inactive", (SMS, SMS), "disabled"),
        ("inactive", "migrated", (SMS, TOTP), "enabled"),
        ("sms_only", "exempt", (SMS, SMS), "exempted"),
        ("exempt", "sms_only", (SMS, SMS), "exemption ended"),
        ("exempt", "migrated", (SMS, TOTP), "exemption ended"),
    ],
)
def test_every_move_has_one_reason(was: str, now: str, methods: tuple[int, int], word: str) -> None:
    assert why(was, now, federated=(False, False), methods=methods, rebased=False) == word


def test_a_move_by_another_policy_is_nobody_s_doing() -> None:
    assert why("sms_only", "migrated", federated=(False, False), methods=(SMS, TOTP), rebased=True) == "reclassified"
    assert why("sms_only", "exempt_sso", federated=(True, True), methods=(SMS, SMS), rebased=True) == "reclassified"


def test_single_sign_on_comes_and_goes() -> None:
    assert why("sms_only", "exempt_sso", federated=(False, True), methods=(SMS, SMS), rebased=False) == "to SSO"
    assert why("exempt_sso", "sms_only", federated=(True, False), methods=(SMS, SMS), rebased=False) == "from SSO"


def test_the_moves_of_the_cast(chronicle: FrameChronicle) -> None:
    moves = Moves(chronicle)
    for records in chronicle.accounts():
        moves.add(records)
    moves.end()
    assert moves.counts == {
        ("", "sms_only", "joined"): 1,
        ("", "unknown", "joined"): 1,
        ("", "no_second_step", "returned"): 1,
        ("sms_only", "", "left"): 1,
        ("sms_only", "sms_default", "switched"): 1,
        ("sms_only", "migrated", "switched"): 1,
        ("sms_only", "exempt", "exempted"): 1,
        ("migrated", "sms_fallback", "went back"): 1,
    }


IDS = [f"p{n}" for n in range(9)]
EVENTS = st.sampled_from(
    ["sms_only", "migrated", "sms_fallback", "sms_default", "inactive", "exempt", "exempt_sso", "gone", "another", "nothing"]
)
DAY = st.fixed_dictionaries(dict.fromkeys(IDS, EVENTS))


@dataclass
class Life:
    """A ledger whose accounts are as a test says, day after day."""

    ledger: Ledger
    reports: ReportsSettings
    people: dict[str, dict[str, Any]] = field(default_factory=dict)

    def live(self, day: dict[str, str], as_of: datetime, *, report: bool = True) -> tuple[runs.Run, evidence.Evidence | None]:
        changed = []
        for account_id, event in day.items():
            before = self.people.get(account_id)
            now = self._became(account_id, event, before, as_of)
            if now is not None and now != before:
                self.people[account_id] = now
                changed.append(now)
        with self.ledger.begin() as connection:
            run = run_of(connection, as_of, [], {})
            account_rows.record_accounts(
                connection, run.campaign_id, run.seq, frame(sorted(changed, key=lambda row: row["account_id"]), RECORD_COLUMNS)
            )
        return run, reported(self.ledger, run, self.reports, as_of + SECOND) if report else None

    @staticmethod
    def _became(account_id: str, event: str, before: dict[str, Any] | None, as_of: datetime) -> dict[str, Any] | None:
        at = instant(as_of.isoformat())
        gone = before is not None and not isinstance(before["gone_at"], type(instant(None)))
        if event == "nothing":
            return before
        if event == "gone":
            return None if before is None else before if gone else {**before, "gone_at": at}
        if event == "another":
            return {**before, "gone_at": instant(None), "tenure": before["tenure"] + 1, "first_seen_at": at} if before and gone else before
        fresh = record(account_id, event, first_seen_at=at if before is None else before["first_seen_at"])
        return {**fresh, "tenure": before["tenure"] if before else 1}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def standings(folder: Path) -> Counter[str]:
    return Counter(row["standing"] for row in rows(folder / "accounts.csv"))


def added(before: Counter[str], folder: Path) -> Counter[str]:
    """What the moves make of the standings of the evidence before; an AssertionError where fewer left than stood there."""
    found = Counter(before)
    for row in rows(folder / "moves.csv"):
        assert row["why"] in WHYS
        assert row["from"] != row["to"]
        assert int(row["count"]) > 0
        found[row["from"]] -= int(row["count"])
        found[row["to"]] += int(row["count"])
    del found[""]
    assert min(found.values(), default=0) >= 0
    return +found


@settings(deadline=None, max_examples=8)  # a ledger is made for each
@given(
    days=st.lists(st.tuples(DAY, st.booleans()), min_size=1, max_size=6),
    again=st.sampled_from([timedelta(0), timedelta(days=1)]),
    chunk=st.sampled_from([1, 4, 1000]),
)
def test_the_moves_of_any_history_add_up_from_evidence_to_evidence_and_are_the_same_when_rebuilt(
    tmp_path_factory: pytest.TempPathFactory, days: list[tuple[dict[str, str], bool]], again: timedelta, chunk: int
) -> None:
    """Runs that left no evidence, days played through at one instant, and any size of the parts in which accounts go by."""
    folder = tmp_path_factory.mktemp("life")
    reports = ReportsSettings(dir=folder / "reports", formats=("csv",))
    with pytest.MonkeyPatch.context() as patch, Ledger.open(LedgerSettings(url=f"sqlite:///{folder / 'm.db'}"), create=True) as ledger:
        patch.setattr(recall, "_TOGETHER", chunk)
        life, before, written = Life(ledger, reports), Counter[str](), []
        for number, (day, report) in enumerate(days):
            run, found = life.live(day, DAY_ONE + number * again, report=report)
            if found is None:
                continue
            assert added(before, found.folder) == standings(found.folder)
            before = standings(found.folder)
            written.append((run, found))
        with ledger.read() as connection:
            for run, found in written:
                rebuilt = evidence.rebuild(of_run(connection, runs.find(connection, run.seq)), reports, SUMMARY)
                assert rebuilt is not None
                assert (rebuilt.folder / "moves.csv").read_bytes() == (found.folder / "moves.csv").read_bytes()


def test_in_the_first_evidence_everybody_joined(tmp_path: Path) -> None:
    with Ledger.open(LedgerSettings(url=f"sqlite:///{tmp_path / 'm.db'}"), create=True) as ledger:
        life = Life(ledger, ReportsSettings(dir=tmp_path / "reports", formats=("csv",)))
        _, found = life.live(dict.fromkeys(IDS[:3], "sms_only") | {"p5": "migrated"}, DAY_ONE)
        assert found is not None
        assert rows(found.folder / "moves.csv") == [
            {"from": "", "to": "migrated", "why": "joined", "count": "1"},
            {"from": "", "to": "sms_only", "why": "joined", "count": "3"},
        ]


def test_who_is_new_is_told_from_who_was_seen_at_the_same_instant_before(tmp_path: Path) -> None:
    """Somebody may type one `--as-of` twice."""
    with Ledger.open(LedgerSettings(url=f"sqlite:///{tmp_path / 'm.db'}"), create=True) as ledger:
        life = Life(ledger, ReportsSettings(dir=tmp_path / "reports", formats=("csv",)))
        life.live({"p0": "sms_only"}, DAY_ONE)
        _, found = life.live({"p1": "sms_only"}, DAY_ONE)
        assert found is not None
        assert rows(found.folder / "moves.csv") == [{"from": "", "to": "sms_only", "why": "joined", "count": "1"}]


def test_an_id_with_another_holder_is_one_who_left_and_one_who_joined(tmp_path: Path) -> None:
    with Ledger.open(LedgerSettings(url=f"sqlite:///{tmp_path / 'm.db'}"), create=True) as ledger:
        life = Life(ledger, ReportsSettings(dir=tmp_path / "reports", formats=("csv",)))
        life.live({"p0": "sms_only"}, DAY_ONE)
        life.live({"p0": "gone"}, DAY_ONE + timedelta(days=1), report=False)
        _, found = life.live({"p0": "another"}, DAY_ONE + timedelta(days=2))
        assert found is not None
        assert rows(found.folder / "moves.csv") == [
            {"from": "sms_only", "to": "", "why": "left", "count": "1"},
            {"from": "", "to": "sms_only", "why": "joined", "count": "1"},
        ]
