from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from ledger.scenes import CUTOFF, MINUTE, NOW, Scene, confirmation, queue_row

from migrate.errors import LedgerError
from migrate.ledger import schema
from migrate.ledger.references import ALPHABET
from migrate.outbox import counts, decide, find, queueing, waiting_since, withdraw
from migrate.outbox.claims import Settlement


def _withdraw(scene: Scene, reason: str = "migrated") -> list[int]:
    queued = [row.id for row in scene.letters().values() if row.state == "queued"]
    with scene.ledger.begin() as connection:
        return withdraw(connection, pd.DataFrame({"letter_id": queued, "reason": reason}), NOW, actor="r00001", run_seq=scene.run_seq)


def _settle(scene: Scene, settlement: Settlement) -> None:
    assert scene.worker().settle(scene.claimed(), settlement, NOW)


def _decide(scene: Scene, after: Any) -> None:
    with scene.ledger.begin() as connection:
        decide(connection, scene.only().reference, after, NOW, actor="jo")


def test_a_letter_is_queued_with_its_notice_and_its_event(scene: Scene) -> None:
    done = scene.queue(queue_row("a1"))
    row = scene.only()
    assert (done.notices, done.letters, done.put_back, done.untouched, done.letter_ids) == (1, 1, 0, 0, (row.id,))
    assert (row.state, row.queued_at, row.ends, row.attempts, row.resent) == ("queued", NOW, CUTOFF, 0, False)
    assert scene.events() == [(row.id, None, "queued")]
    assert set(row.reference) <= set(ALPHABET)
    assert len(row.reference) == 8


def test_the_same_letters_again_change_nothing(scene: Scene) -> None:
    scene.queue(queue_row("a1"), confirmation("a1"))
    before = scene.letters(), scene.events()
    done = scene.queue(queue_row("a1"), confirmation("a1"), now=NOW + MINUTE)
    assert (done.notices, done.letters, done.put_back, done.untouched) == (0, 0, 0, 2)
    assert (scene.letters(), scene.events()) == before


def test_a_letter_named_twice_in_one_call_is_one_letter(scene: Scene) -> None:
    assert scene.queue(queue_row("a1"), queue_row("a1")).letters == 1
    assert len(scene.letters()) == 1


def test_a_confirmation_has_one_letter_for_each_address_under_one_notice(scene: Scene) -> None:
    done = scene.queue(confirmation("a1", address="new@example.com"), confirmation("a1", address="old@example.com", role="previous"))
    assert (done.notices, done.letters) == (1, 2)
    rows = scene.letters()
    assert len({row.notice_id for row in rows.values()}) == 1
    assert len({row.reference for row in rows.values()}) == 2
    assert rows["old@example.com"].role == "previous"


def test_another_tenure_cutoff_or_occasion_is_another_notice(scene: Scene) -> None:
    done = scene.queue(
        queue_row("a1"),
        queue_row("a1", tenure=2),
        queue_row("a1", told_cutoff="2024-03-01T08:00:00Z"),
        queue_row("a1", occasion="T-14"),
        queue_row("A1"),
    )
    assert (done.notices, done.letters) == (5, 5)


def test_a_withdrawn_letter_that_is_due_again_goes_back_with_what_is_true_now(scene: Scene) -> None:
    scene.queue(queue_row("a1", facts='{"days": 30}'))
    _withdraw(scene)
    first = scene.only()
    assert (first.state, first.reason, first.settled_at) == ("withdrawn", "migrated", NOW)
    done = scene.queue(queue_row("a1", facts='{"days": 28}', days_left=28, language="de"), now=NOW + MINUTE)
    row = scene.only()
    assert (done.notices, done.letters, done.put_back, done.letter_ids) == (0, 0, 1, (row.id,))
    assert (row.state, row.reason, row.settled_at, row.queued_at) == ("queued", None, None, NOW + MINUTE)
    assert (row.reference, row.message_id) == (first.reference, first.message_id)
    claimed = scene.claimed(now=NOW + MINUTE)
    assert (claimed.facts, claimed.days_left, claimed.language) == ('{"days": 28}', 28, "de")


def test_a_letter_a_reviewer_took_out_never_comes_back(scene: Scene) -> None:
    scene.queue(queue_row("a1"))
    _withdraw(scene, reason="reviewer")
    done = scene.queue(queue_row("a1"), now=NOW + MINUTE)
    assert (done.put_back, done.untouched) == (0, 1)
    assert scene.only().state == "withdrawn"


def test_a_letter_that_failed_stays_failed_and_another_address_gets_its_own_under_the_same_notice(scene: Scene) -> None:
    scene.queue(queue_row("a1", facts='{"to": 1}'))
    _settle(scene, Settlement("failed", reply="550 5.1.1 no such user"))
    done = scene.queue(queue_row("a1"), queue_row("a1", address="other@example.com", facts='{"to": 2}'))
    assert (done.notices, done.letters, done.untouched) == (0, 1, 1)
    failed, other = scene.letters().values()
    assert (failed.state, other.state) == ("failed", "queued")
    assert failed.notice_id == other.notice_id
    assert scene.claimed().facts == '{"to": 2}'


def test_only_queued_letters_are_withdrawn(scene: Scene) -> None:
    scene.queue(queue_row("a1"), queue_row("a2"))
    claimed = scene.claimed()
    waiting = next(row.id for row in scene.letters().values() if row.state == "queued")
    reasons = pd.DataFrame({"letter_id": [claimed.letter_id, waiting], "reason": ["gone", "migrated"]})
    with scene.ledger.begin() as connection:
        assert withdraw(connection, reasons, NOW, actor="r00001") == [waiting]
    assert sorted(row.state for row in scene.letters().values()) == ["sending", "withdrawn"]


def test_taken_references_are_left_to_their_letters(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def crowded(secret: str, key: tuple[object, ...], address: str, salt: int = 0) -> str:
        return f"BBBB{salt:04d}"

    monkeypatch.setattr(queueing, "reference", crowded)
    scene.queue(queue_row("a1"))
    scene.queue(queue_row("a2"), queue_row("a3"))
    assert sorted(row.reference for row in scene.letters().values()) == ["BBBB0000", "BBBB0001", "BBBB0002"]


def test_a_reference_is_found_as_people_type_it(scene: Scene) -> None:
    scene.queue(queue_row("a1"))
    ref = scene.only().reference
    with scene.ledger.read() as connection:
        found = find(connection, f" {ref[:4].lower()}-{ref[4:].lower()} ")
        assert found is not None
        assert (found["account_id"], found["campaign"], found["told_cutoff"]) == ("a1", "sms", "2024-02-01T08:00:00Z")
        assert find(connection, "ZZZZZZZZ") is None


def test_a_letter_waits_since_it_was_queued_or_could_be_tried_again(scene: Scene) -> None:
    scene.queue(queue_row("a1"), queue_row("a2"))
    scene.worker().settle(scene.claimed(), Settlement("temporary", not_before=NOW + MINUTE), NOW)
    with scene.ledger.read() as connection:
        found = [waiting_since(connection, scene.campaign_id, NOW + n * MINUTE) for n in (-1, 0, 1)]
    assert found == [0, 1, 2]


def test_counts_name_every_state(scene: Scene) -> None:
    scene.queue(queue_row("a1"), queue_row("a2"))
    _settle(scene, Settlement("sent"))
    with scene.ledger.read() as connection:
        assert counts(connection, scene.campaign_id) == {
            "queued": 1, "claimed": 0, "sending": 0, "sent": 1, "failed": 0, "uncertain": 0, "withdrawn": 0,
        }  # fmt: skip


@pytest.mark.parametrize(("verdict", "after"), [("failed", "queued"), ("uncertain", "queued"), ("uncertain", "sent")])
def test_a_person_decides_on_what_failed_or_is_uncertain(scene: Scene, verdict: Any, after: Any) -> None:
    scene.queue(queue_row("a1"))
    _settle(scene, Settlement(verdict, reason="x"))
    _decide(scene, after)
    row = scene.only()
    assert row.state == after
    assert scene.events()[-1] == (row.id, verdict, after)


@pytest.mark.parametrize("prepare", [lambda s: None, lambda s: s.claimed(), lambda s: _settle(s, Settlement("sent")), _withdraw])
@pytest.mark.parametrize("after", ["queued", "sent"])
def test_a_person_decides_on_nothing_else(scene: Scene, prepare: Callable[[Scene], object], after: Any) -> None:
    scene.queue(queue_row("a1"))
    prepare(scene)
    before = scene.only()
    with pytest.raises(LedgerError, match="nothing was changed"):
        _decide(scene, after)
    assert scene.only() == before


def test_a_decision_on_no_letter_says_so(scene: Scene) -> None:
    with scene.ledger.begin() as connection, pytest.raises(LedgerError, match="no letter ZZZZ2222"):
        decide(connection, "zzzz-2222", "sent", NOW, actor="jo")


def test_many_letters_are_queued_in_batches_and_none_is_lost(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "BATCH", 7)
    done = scene.queue(*(queue_row(f"a{i:03d}") for i in range(50)))
    assert (done.notices, done.letters, len(set(done.letter_ids))) == (50, 50, 50)
    with scene.ledger.read() as connection:
        joined = schema.letter.join(schema.notice, schema.letter.c.notice_id == schema.notice.c.id)
        astray = sa.select(sa.func.count()).select_from(joined).where(schema.letter.c.account_id != schema.notice.c.account_id)
        assert connection.execute(astray).scalar_one() == 0
