"""What accounts were told is the same, carried from evidence to evidence or made anew from all letters."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from report.conftest import SUMMARY, TERMS, frame
from report.test_recall import DAY_ONE, SECOND, first_run, later_life, ledger

from migrate.ledger import history, runs
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.ledger.schema import letter_event
from migrate.report import evidence, told
from migrate.report.recall import LAST_EVENT, Recall, of_run
from migrate.report.settings import ReportsSettings
from migrate.report.tables import TOLD_COLUMNS
from migrate.report.told import NOBODY, Told, updated

__all__ = ["ledger"]
STATES = ("queued", "sending", "sent", "uncertain", "failed", "withdrawn")
NIGHT = pd.Timestamp(DAY_ONE)


@st.composite
def histories(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """The letters of a few accounts at several moments: new ones come, any of them moves, and an id may get another holder."""
    tenure, letters, moments = Counter(dict.fromkeys("abc", 1)), [], []
    for day in range(draw(st.integers(1, 4))):
        then = {each["reference"]: each["state"] for each in letters}
        for step in range(draw(st.integers(0, 6))):
            now = NIGHT + pd.Timedelta(days=day, seconds=draw(st.integers(step, step + 1)))
            if not letters or draw(st.booleans()):
                account = draw(st.sampled_from("abc"))
                tenure[account] += draw(st.booleans())
                new = {"account_id": account, "tenure": tenure[account], "kind": "reminder", "queued_at": now, "changed_at": now}
                role = draw(st.sampled_from(["primary", "notification"]))
                letters.append({**new, "occasion": f"T-{day}", "role": role, "reference": f"R{len(letters)}", "state": "queued"})
            else:
                at = draw(st.integers(0, len(letters) - 1))
                letters[at] = letters[at] | {"state": draw(st.sampled_from(STATES)), "changed_at": now}
        moments.append([each | {"was": then.get(each["reference"])} for each in letters])
    return moments


def rows(table: Any) -> list[dict[str, Any]]:
    return list(table.to_pylist())


@settings(deadline=None, max_examples=30)
@given(histories(), st.booleans())
def test_letter_by_letter_accounts_were_told_what_all_letters_together_say(
    tmp_path_factory: pytest.TempPathFactory, moments: list[list[dict[str, Any]]], unmoved_too: bool
) -> None:
    known = NOBODY
    folder = tmp_path_factory.mktemp("told")
    carried = None
    for day, letters in enumerate(moments):
        since = NIGHT + pd.Timedelta(days=day)
        whole = frame([each | {"was": None} for each in letters], TOLD_COLUMNS)
        moved = frame([each for each in letters if unmoved_too or each["changed_at"] >= since], TOLD_COLUMNS)
        known = updated(known, moved)
        assert rows(known) == rows(updated(NOBODY, whole))
        (folder / str(day)).mkdir()
        this = Told(carried, lambda first, last, whole=whole: whole[whole["account_id"].between(first, last)], folder / str(day))
        this.add(moved)
        this.added()
        assert rows(this.of("a", "a")) + rows(this.of("b", "c")) == rows(known)
        carried = this.end(None)
        assert +this.letters == Counter((each["kind"], each["occasion"], each["state"]) for each in letters)


def reported(ledger: Ledger, run: runs.Run, reports: ReportsSettings, at: Any, kept_in: Path) -> evidence.Evidence:
    with ledger.read() as connection:
        last_event = history.last_event(connection)
        chronicle = Recall(connection, runs.find(connection, run.seq), TERMS, at, last_event, None, kept_in)
        found = evidence.write(chronicle, reports, SUMMARY, kept_in)
    assert found is not None
    with ledger.begin() as connection:
        runs.record_counts(connection, run.seq, {**run.counts, LAST_EVENT: last_event, told.DIGEST: found.told})
        done = {"evidence": str(found.folder), "evidence_at": at, "manifest_digest": found.manifest_digest}
        runs.complete(connection, run.seq, finished_at=at, **done)
    return found


def two_days(ledger: Ledger, tmp_path: Path, between: Any = lambda: None) -> tuple[evidence.Evidence, evidence.Evidence]:
    """The evidence of two days, and the second one made again from the ledger alone."""
    reports = ReportsSettings(dir=tmp_path / "reports", formats=("csv", "html"))
    run = first_run(ledger)
    assert reported(ledger, run, reports, DAY_ONE + 5 * SECOND, tmp_path / "kept").told
    between()
    after = later_life(ledger, run)
    second = reported(ledger, after, reports, DAY_ONE + timedelta(days=1, seconds=5), tmp_path / "kept")
    with ledger.read() as connection:
        again = evidence.rebuild(of_run(connection, runs.find(connection, after.seq)), reports, SUMMARY)
    assert again is not None
    return second, again


def same(one: evidence.Evidence, other: evidence.Evidence) -> bool:
    return all((one.folder / name).read_bytes() == (other.folder / name).read_bytes() for name in ("accounts.csv", "report.html"))


def test_the_second_evidence_asks_only_for_letters_that_moved(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    letters_of = Recall.letters_of
    monkeypatch.setattr(Recall, "letters_of", lambda self, first, last: (asked.append(first), letters_of(self, first, last))[1])
    second, again = two_days(ledger, tmp_path, asked.clear)
    assert asked == ["Zoe"]  # by the evidence that was made again
    assert same(second, again)


@pytest.mark.parametrize("name", ["told.json", "told.arrow"])
@pytest.mark.parametrize("harm", ["missing", "changed", "cut", "of another day"])
def test_what_was_carried_is_not_believed_if_it_is_damaged(tmp_path: Path, name: str, harm: str) -> None:
    def damage() -> None:
        path = tmp_path / "kept" / name
        whole = path.read_bytes()
        if harm == "missing":
            path.unlink()
        else:
            changed = whole[:60] + bytes([whole[60] ^ 1]) + whole[61:]
            path.write_bytes({"changed": changed, "cut": whole[:40], "of another day": whole.replace(b"r", b"s")}[harm])

    with Ledger.open(LedgerSettings(url=f"sqlite:///{tmp_path / 'migrate.db'}"), create=True) as ledger:
        assert same(*two_days(ledger, tmp_path, damage))


def test_an_event_that_is_committed_after_a_later_one_is_not_missed(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server gives numbers before it commits. SQLite has one writer at a time."""
    with ledger.read() as connection:
        one_writer = connection.dialect.name == "sqlite"
    late: dict[str, Any] = {}

    def commit_late() -> None:
        with ledger.begin() as connection:
            first = connection.execute(sa.select(letter_event).order_by(letter_event.c.id)).mappings().first()
            assert first is not None
            late.update(first, id=-1)
            connection.execute(sa.insert(letter_event).values(late))

    carried: list[bool] = []
    known = Recall.carried
    monkeypatch.setattr(Recall, "carried", lambda self: (carried.append((found := known(self)) is not None), found)[1])
    two_days(ledger, tmp_path, commit_late)
    assert carried == [False, one_writer, False]
