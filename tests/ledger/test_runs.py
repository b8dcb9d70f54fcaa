from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from ledger.scenes import NOW, Scene, facts

from migrate.ledger import runs, schema

DAY = timedelta(days=1)


def test_runs_are_numbered_in_order_and_remember_their_facts(scene: Scene) -> None:
    with scene.ledger.begin() as connection:
        run = runs.begin(connection, scene.campaign_id, facts(read=7, as_of=NOW + DAY))
        runs.record_counts(connection, run.seq, {"outcomes": {"queued": 7}})
    with scene.ledger.read() as connection:
        found = runs.last(connection, scene.campaign_id)
    assert found is not None
    assert (found.run_id, found.seq, found.state, found.read, found.as_of) == ("r00002", 2, "recorded", 7, NOW + DAY)
    assert found.counts == {"outcomes": {"queued": 7}}


def test_what_a_run_read_is_identified_once_it_is_known(scene: Scene) -> None:
    with scene.ledger.begin() as connection:
        run = runs.begin(connection, scene.campaign_id, facts())
        runs.record_counts(connection, run.seq, {"outcomes": {"queued": 7}})
        assert run.directory_fingerprint == ""
        runs.record_fingerprint(connection, run.seq, "f1", "i1")
        found = runs.find(connection, run.seq)
        assert (found.directory_fingerprint, found.counts) == ("f1", {"outcomes": {"queued": 7}, "image": "i1"})
        runs.record_fingerprint(connection, run.seq, "f2")
        found = runs.find(connection, run.seq)
        assert (found.directory_fingerprint, found.counts["image"]) == ("f2", "i1")


def test_a_run_that_fails_leaves_no_row(scene: Scene) -> None:
    with pytest.raises(RuntimeError), scene.ledger.begin() as connection:
        runs.begin(connection, scene.campaign_id, facts())
        raise RuntimeError
    with scene.ledger.read() as connection:
        found = runs.last(connection, scene.campaign_id)
    assert found is not None
    assert found.seq == scene.run_seq


def test_a_run_is_completed_with_its_evidence(scene: Scene) -> None:
    with scene.ledger.begin() as connection:
        assert runs.last(connection, scene.campaign_id, completed=True) is None
        runs.complete(connection, scene.run_seq, finished_at=NOW, evidence="reports/x", evidence_at=NOW, manifest_digest="d")
    with scene.ledger.read() as connection:
        found = runs.last(connection, scene.campaign_id, completed=True)
    assert found is not None
    assert (found.state, found.finished_at, found.evidence, found.evidence_at, found.manifest_digest) == (
        "completed",
        NOW,
        "reports/x",
        NOW,
        "d",
    )


def test_the_last_completed_run_of_a_day_is_found(scene: Scene) -> None:
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    with scene.ledger.begin() as connection:
        made = [
            runs.begin(connection, scene.campaign_id, facts(as_of=midnight + hours * timedelta(hours=1))).seq for hours in (30, 40, 45, 48)
        ]
        for seq in (scene.run_seq, made[0], made[1], made[3]):
            runs.complete(connection, seq, finished_at=NOW)
        found = [
            runs.last_completed_between(connection, scene.campaign_id, midnight + n * DAY, midnight + (n + 1) * DAY) for n in (-1, 0, 1, 2)
        ]
    assert [run and run.seq for run in found] == [None, scene.run_seq, made[1], made[3]]


def test_a_campaign_before_its_first_run_has_none(scene: Scene) -> None:
    with scene.ledger.read() as connection:
        assert runs.last(connection, None) is None
        assert runs.last(connection, scene.campaign_id + 1) is None


def test_two_runs_at_once_take_two_numbers_after_those_of_accepted_evidence(scene: Scene) -> None:
    """Two campaigns of one ledger: the second run waits until the first is recorded."""
    with scene.ledger.begin() as connection:
        connection.execute(sa.delete(schema.identity))
        connection.execute(sa.insert(schema.identity).values(ledger_id="5" * 32, since=NOW, runs_after=70))
        connection.execute(sa.insert(schema.campaign).values(name="other", secret="6" * 64, created_at=NOW))
        other = connection.execute(sa.select(schema.campaign.c.id).where(schema.campaign.c.name == "other")).scalar_one()

    def second() -> int:
        return scene.ledger.write(lambda connection: runs.begin(connection, other, facts()).seq)

    with ThreadPoolExecutor(1) as pool:
        with scene.ledger.begin() as connection:
            first = runs.begin(connection, scene.campaign_id, facts()).seq
            waiting = pool.submit(second)
            time.sleep(0.3)
        assert (first, waiting.result(timeout=30)) == (71, 72)
