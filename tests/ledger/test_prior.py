"""What a run remembers is of its own campaign and of the range it asks for, whatever else the ledger holds."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
import sqlalchemy as sa
from cast import person, recorded
from ledger.scenes import NOW, Scene, facts, queue_row

from migrate import outbox
from migrate.ledger import account_rows, runs, schema
from migrate.ledger.prior import Prior
from migrate.outbox.claims import Settlement


def another_campaign(scene: Scene) -> Scene:
    with scene.ledger.begin() as connection:
        connection.execute(sa.insert(schema.campaign).values(name="other", secret="6" * 64, created_at=NOW))
        campaign_id = connection.execute(sa.select(schema.campaign.c.id).where(schema.campaign.c.name == "other")).scalar_one()
        run = runs.begin(connection, campaign_id, facts())
    return Scene(scene.ledger, campaign_id, run.seq)


def test_what_another_campaign_mailed_is_not_remembered(scene: Scene) -> None:
    other = another_campaign(scene)
    for campaign in (scene, other):
        campaign.queue(*(queue_row(account, message_id=f"<{account}-{campaign.campaign_id}@x>") for account in ("a1", "a2")))
        worker = campaign.worker()
        (letter,) = worker.exchange([], NOW).begun
        worker.settle(letter, Settlement("sent"), NOW)
    with scene.ledger.read() as connection:
        mailed = Prior(connection, "other").mailed(None, None, ("T-30",))
        nothing = Prior(connection, "third").mailed(None, None, ("T-30",))
    assert [sorted(frame["account_id"]) for frame in (mailed.told, mailed.last_told, mailed.waiting)] == [["a1", "a2"], ["a1"], ["a2"]]
    assert [len(frame) for frame in (nothing.told, nothing.last_told, nothing.waiting)] == [0, 0, 0]


def test_what_was_mailed_outside_a_range_is_not_read(scene: Scene) -> None:
    scene.queue(*(queue_row(account) for account in ("a1", "a2", "a3", "b1", "b2", "b3")))
    worker = scene.worker()
    for letter in worker.exchange([], NOW, 6).begun:
        if letter.account_id != "b3":
            worker.settle(letter, Settlement("temporary" if letter.account_id == "b2" else "sent"), NOW)
    with scene.ledger.read() as connection:
        mailed = Prior(connection, "sms").mailed("a3", "b3", ("T-30",))
    found = [sorted(frame["account_id"]) for frame in (mailed.told, mailed.last_told, mailed.waiting)]
    assert found == [["a3", "b1", "b2"], ["a3", "b1"], ["b2"]]


@pytest.mark.parametrize(("size", "cuts"), [(1, 4), (2, 2), (4, 1), (5, 0)])
def test_ranges_of_ids_have_every_account_once_with_its_newest_outcome(scene: Scene, size: int, cuts: int) -> None:
    ids = ["A1", "a0", "a2", "b", "é"]  # in order of their bytes
    other = another_campaign(scene)
    with scene.ledger.begin() as connection:
        for each, names in ((scene, ids), (other, ["a1"])):
            account_rows.record_accounts(
                connection, each.campaign_id, each.run_seq, recorded(*map(person, names), outcome="queued"), all_new=True
            )
        for outcome in ("paused", "held"):
            later = runs.begin(connection, scene.campaign_id, facts())
            moved = pd.DataFrame({"account_id": ["a2", "é"], "outcome": outcome, "outcome_reason": None})
            account_rows.record_outcomes(connection, scene.campaign_id, later.seq, moved)
    with scene.ledger.read_through() as connection:
        prior = Prior(connection, "sms")
        found = prior.cuts(size)
        ranges = [prior.records(low, high) for low, high in zip([None, *found], [*found, None], strict=True)]
    assert len(found) == cuts
    assert [sorted(each["account_id"].to_pylist(), key=str.encode) for each in ranges] == [ids[i : i + size] for i in range(0, 5, size)]
    outcomes = {row["account_id"]: row["outcome"] for each in ranges for row in each.to_pylist()}
    assert outcomes == dict.fromkeys(ids, "queued") | {"a2": "held", "é": "held"}


def test_the_cutoff_that_was_told_last_and_how_often_it_moved_are_remembered_whoever_settles_an_old_letter_later(scene: Scene) -> None:
    february, july = "2024-02-01T08:00:00Z", "2024-07-01T07:00:00Z"
    scene.queue(queue_row("a1", told_cutoff=february))
    worker = scene.worker()
    (old,) = worker.exchange([], NOW).begun
    worker.settle(old, Settlement("uncertain"), NOW)
    later = NOW + timedelta(days=1)
    moved = {"kind": "cutoff_moved", "occasion": "moved-1", "told_cutoff": july, "message_id": "<moved@x>"}
    scene.queue(queue_row("a1", **moved))
    (correction,) = worker.exchange([], later).begun
    worker.settle(correction, Settlement("sent"), later)
    with scene.ledger.begin() as connection:
        outbox.decide(connection, old.reference, "sent", later + timedelta(days=1), actor="jo", reason="it arrived")
    with scene.ledger.read() as connection:
        mailed = Prior(connection, "sms").mailed(None, None, ("T-14",))
    assert mailed.last_told[["account_id", "told_cutoff", "moves"]].to_numpy().tolist() == [["a1", july, 1]]
    assert mailed.told[["kind", "occasion", "told_cutoff", "state"]].to_numpy().tolist() == [["cutoff_moved", "moved-1", july, "sent"]]
