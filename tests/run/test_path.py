"""The path that a run and a dry run share."""

from __future__ import annotations

import errno
import shutil
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa
from campaigns import Campaign
from cast import at
from office import Office
from without_cache import SETTING

from migrate import incremental
from migrate.core.letters import Mailed
from migrate.decide import draft as drafting
from migrate.decide.draft import Draft, draft
from migrate.directory import snapshot
from migrate.errors import DirectoryError
from migrate.files import spill
from migrate.incremental import CacheWarning
from migrate.ledger.engine import Ledger
from migrate.ledger.prior import Prior
from migrate.ledger.schema import account
from migrate.run import job, path
from migrate.run.start import Options
from migrate.run.summary import Decision

DAY = "2024-01-03 14:00"


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    """Somebody is due on `DAY`, and somebody else moved since the last read."""
    return begun(Campaign(tmp_path))


def begun(made: Campaign) -> Campaign:
    for name in ("ada", "bob", "cem"):
        made.person(name, "sms")
    made.run("2023-07-01 14:00")
    made.person("bob", "totp")
    made.write()
    return made


def foretold(campaign: Campaign) -> Decision:
    with job.dry_run(campaign.config, Options(at(DAY))) as (_, _, found):
        return found.decision


def done(campaign: Campaign) -> Decision:
    return campaign.run(DAY).summary.decision


def test_a_run_decides_what_the_dry_run_before_it_foretold(campaign: Campaign) -> None:
    before = foretold(campaign)
    after = done(campaign)
    assert before.outcomes == {"queued": 3}
    assert replace(before, directory_as_of=after.directory_as_of) == after


@pytest.mark.parametrize("image", ["'image'", "false"])
def test_a_dry_run_foretells_no_change_that_a_run_recorded_while_it_read(
    tmp_path: Path, postgres_url: str, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run holds no lock, and on a database server it sees what others commit: what it knew of the last read is out of date then."""
    campaign = Campaign(tmp_path)
    campaign.edit(f'url = "sqlite:///migrate.db"\n{SETTING}', f'url = "{postgres_url}"\nimage = {image}\n')
    begun(campaign)
    reading, runs = path.take, ["2024-01-03 13:00"]

    def slowly(*arguments: Any) -> Any:
        read = reading(*arguments)
        while runs:
            campaign.run(runs.pop())
        return read

    monkeypatch.setattr(path, "take", slowly)
    beside = foretold(campaign)
    assert (beside.changes, beside.outcomes) == ({}, {"not_reminded": 1, "nothing_due": 2})
    afterwards = foretold(campaign)
    assert replace(beside, directory_as_of=afterwards.directory_as_of) == afterwards


@pytest.mark.cache
@pytest.mark.parametrize("of", [foretold, done])
def test_what_fails_beside_the_last_runs_cache_is_decided_once_more_without_it(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch, of: Any
) -> None:
    tried: list[bool] = []

    def broken(snapshot: Any, prior: Any, rules: Any, folder: Path, beside: Any) -> Draft:
        tried.append(beside is not None)
        if beside is not None:
            raise RuntimeError("nobody foresaw this")
        return draft(snapshot, prior, rules, folder, None)

    monkeypatch.setattr(path, "draft", broken)
    with pytest.warns(CacheWarning):
        decision = of(campaign)
    assert tried == [True, False]
    assert (decision.read, decision.outcomes, decision.changes) == (3, {"queued": 3}, {"authenticator_enabled": 1})


@pytest.mark.cache
@pytest.mark.parametrize("of", [foretold, done])
@pytest.mark.parametrize(("broken", "warned"), [(OSError(errno.ENOSPC, "no space"), False), (RuntimeError("nobody foresaw this"), True)])
def test_what_cannot_be_read_out_of_the_ledger_beforehand_is_read_while_deciding(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch, of: Any, broken: Exception, *, warned: bool
) -> None:
    def fails(*_: Any) -> NoReturn:
        raise broken

    forget(campaign)
    monkeypatch.setattr(incremental, "restored", fails)
    with pytest.warns(CacheWarning) if warned else nullcontext():
        decision = of(campaign)
    assert (decision.read, decision.outcomes, decision.changes) == (3, {"queued": 3}, {"authenticator_enabled": 1})


@pytest.mark.cache
def test_a_directory_that_cannot_be_read_ends_the_reading_of_the_ledger_too(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    records = Prior.records

    def slow(prior: Prior, low: str | None, high: str | None) -> Any:
        time.sleep(0.2)
        ended.append("range")
        return records(prior, low, high)

    forget(campaign)
    campaign.write()
    (campaign.folder / "users.csv").write_text("account_id\nada\n\0", encoding="utf-8")
    with monkeypatch.context() as patched:
        patched.setattr(Prior, "records", slow)
        patched.setattr(Prior, "cuts", lambda *_: [f"{n:03}" for n in range(100)])
        with pytest.raises(DirectoryError):
            job.run(campaign.config, Options(at(DAY)))
        before = len(ended)
        time.sleep(0.5)
        assert len(ended) <= before + 1 < 100
    assert done(campaign).outcomes == {"queued": 3}


def forget(campaign: Campaign) -> None:
    shutil.rmtree(campaign.folder / "migrate.db.image")


def test_a_transaction_that_is_broken_off_decides_again_in_a_folder_of_its_own(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Path] = []
    write = Ledger.write

    def watched(snapshot: Any, prior: Any, rules: Any, folder: Path, beside: Any) -> Draft:
        folders.append(folder)
        return draft(snapshot, prior, rules, folder, beside)

    def twice(ledger: Ledger, work: Any) -> Any:
        def broken_off(connection: sa.Connection) -> Any:
            if len(folders) == 0:
                with connection.begin_nested() as attempt:
                    work(connection)
                    attempt.rollback()
            return work(connection)

        return write(ledger, broken_off)

    monkeypatch.setattr(path, "draft", watched)
    monkeypatch.setattr(Ledger, "write", twice)
    assert done(campaign).outcomes == {"queued": 3}
    assert len(set(folders)) == len(folders) == 2


def test_a_run_that_a_guard_stops_records_nothing_and_says_what_it_would_have_been(campaign: Campaign) -> None:
    campaign.edit("[reports]", "[safety]\nguard_floor = 0\nmax_shrink = 0.5\n[reports]")
    campaign.leaves("ada")
    campaign.leaves("cem")
    with pytest.raises(job.Stopped) as stopped:
        campaign.run(DAY)
    told = stopped.value.foretold
    assert (told.decision.read, told.decision.changes) == (1, {"gone": 2, "authenticator_enabled": 1})
    assert told.stopped == [str(error) for error in (stopped.value, *stopped.value.more)]
    assert told.out is not None and (told.out / "plan.csv").exists()
    with Ledger.open_readonly(campaign.config.ledger) as ledger, ledger.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).where(account.c.gone_at.is_not(None))).scalar_one() == 0


def test_if_there_is_no_room_for_what_was_decided_nothing_reads_the_ledger_any_more_when_the_transaction_is_rolled_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(tmp_path)
    for n in range(40):
        office.hire(f"u{n:02}")
    monkeypatch.setattr(spill, "BATCH", 4)
    monkeypatch.setattr(snapshot, "RANGE", 4)
    reading, rolled_back, mailed = list[str](), list[list[str]](), Prior.mailed

    def slowly(self: Prior, low: str | None, *rest: Any) -> Mailed:
        reading.append(str(low))
        time.sleep(0.3)
        try:
            return mailed(self, low, *rest)
        finally:
            reading.pop()

    class Full(spill.Sorted):
        def append(self, frame: object) -> NoReturn:
            time.sleep(0.1)  # the next range is being read by now
            raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(Prior, "mailed", slowly)
    monkeypatch.setattr(drafting, "Sorted", Full)
    sa.event.listen(sa.engine.Engine, "rollback", undone := lambda _: rolled_back.append([*reading]))
    try:
        office.write()
        assert office.migrate("run", "--as-of", "2024-01-02T10:00").code == 3
    finally:
        sa.event.remove(sa.engine.Engine, "rollback", undone)
    assert rolled_back
    assert not any(rolled_back)
