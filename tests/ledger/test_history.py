from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from ledger.scenes import CUTOFF, NOW, Scene, confirmation, facts, queue_row

from migrate.accounts import RECORD_COLUMNS, methods_of
from migrate.ledger import runs, schema
from migrate.ledger.claims import Settlement
from migrate.ledger.history import accounts_as_of, changes_of_run, letters_as_of, letters_changed
from migrate.ledger.record import accounts, changes

HOUR = timedelta(hours=1)


def _records(**standing: str) -> pd.DataFrame:
    """A record an account: id = standing."""
    made = pd.DataFrame(
        [
            {
                "account_id": account_id, "tenure": 1, "username": account_id, "email": f"{account_id}@example.com",
                "notification_emails": "", "locale": "en", "enabled": True, "federated": False, "account_type": "person",
                "privileged": False, "methods": methods_of(("sms",)), "default_method": "sms", "methods_changed_at": NOW,
                "basis": "b0", "wave": "", "cutoff": CUTOFF, "standing": word, "standing_since": NOW, "at_cutoff": "locked_out",
                "compliant": False, "reminded": True, "outcome": "queued", "outcome_reason": "", "first_seen_at": NOW, "change_count": 0,
            }
            for account_id, word in standing.items()
        ],
        columns=list(RECORD_COLUMNS),
    )  # fmt: skip
    for name, dtype in RECORD_COLUMNS.items():
        made[name] = pd.to_datetime(made[name], utc=True) if dtype.startswith("datetime") else made[name]
    return made.astype(RECORD_COLUMNS)


def _run(scene: Scene, **standing: str) -> int:
    with scene.ledger.begin() as connection:
        seq = runs.begin(connection, scene.campaign_id, facts()).seq
        accounts(connection, scene.campaign_id, seq, _records(**standing))
    return seq


def _standings(scene: Scene, seq: int, **bounds: Any) -> list[dict[str, str]]:
    with scene.ledger.read() as connection:
        return [
            dict(zip(f["account_id"], f["standing"], strict=True)) for f in accounts_as_of(connection, scene.campaign_id, seq, **bounds)
        ]


def test_a_past_run_is_read_as_it_was(scene: Scene) -> None:
    first = _run(scene, a="sms_only", b="sms_only", c="sms_only")
    second = _run(scene, b="migrated")
    third = _run(scene, b="sms_default", d="sms_only")
    assert _standings(scene, scene.run_seq) == []
    assert _standings(scene, first) == [{"a": "sms_only", "b": "sms_only", "c": "sms_only"}]
    assert _standings(scene, second) == [{"a": "sms_only", "b": "migrated", "c": "sms_only"}]
    assert _standings(scene, third) == [{"a": "sms_only", "b": "sms_default", "c": "sms_only", "d": "sms_only"}]


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 100])
def test_the_size_of_the_chunks_changes_nothing_but_the_chunks(scene: Scene, chunk: int) -> None:
    first = _run(scene, **dict.fromkeys("edcba", "sms_only"))
    _run(scene, b="migrated", d="migrated")
    chunks = _standings(scene, first, chunk=chunk)
    assert [account_id for part in chunks for account_id in part] == list("abcde")
    assert max(len(part) for part in chunks) <= chunk
    assert {word for part in chunks for word in part.values()} == {"sms_only"}


def test_bounds_are_from_low_up_to_but_not_high(scene: Scene) -> None:
    seq = _run(scene, **dict.fromkeys("abcd", "sms_only"))
    assert _standings(scene, seq, low="b", high="d") == [{"b": "sms_only", "c": "sms_only"}]


def test_a_record_comes_back_as_it_was_written(scene: Scene) -> None:
    seq = _run(scene, a="sms_only")
    with scene.ledger.read() as connection:
        (found,) = accounts_as_of(connection, scene.campaign_id, seq)
    pd.testing.assert_frame_equal(found, _records(a="sms_only"))


def test_the_changes_of_a_run_are_found_with_what_became_of_them(scene: Scene) -> None:
    seen = pd.DataFrame(
        {
            "account_id": ["b", "a"], "seq": [1, 2], "tenure": 1, "change": ["sms_removed", "reclassified"], "mailed": [True, False],
            "seen_at": pd.Timestamp(NOW).as_unit("us"), "had": methods_of(("sms", "totp")), "has": methods_of(("totp",)),
        }
    )  # fmt: skip
    with scene.ledger.begin() as connection:
        changes(connection, scene.campaign_id, scene.run_seq, seen)
        found = changes_of_run(connection, scene.run_seq)
        assert changes_of_run(connection, scene.run_seq + 1).empty
    assert list(zip(found["account_id"], found["change"], found["state"], strict=True)) == [
        ("a", "reclassified", "recorded"),
        ("b", "sms_removed", "open"),
    ]
    assert set(found["had"]) == {methods_of(("sms", "totp"))}


def _lived(scene: Scene) -> None:
    """a1: queued 0 h, tried in vain 1 h, sent 2 h. a2: queued 0 h. a3: queued and sent 3 h."""
    worker = scene.worker()
    scene.queue(confirmation("a1"), queue_row("a2"))
    worker.settle(scene.claimed(now=NOW + HOUR), Settlement("temporary", reply="451 later", not_before=NOW), NOW + HOUR)
    worker.settle(scene.claimed(now=NOW + 2 * HOUR), Settlement("sent", reply="250 ok", subject="Hello", mail_digest="m"), NOW + 2 * HOUR)
    scene.queue(confirmation("a3"), now=NOW + 3 * HOUR)
    worker.settle(scene.claimed(now=NOW + 3 * HOUR), Settlement("sent", reply="250 ok"), NOW + 3 * HOUR)


def _letters(frame: pd.DataFrame) -> dict[str, tuple[Any, ...]]:
    return {row.account_id: (row.state, row.attempts, row.state_since.to_pydatetime()) for row in frame.itertuples()}


def test_letters_are_shown_as_they_stood_at_an_instant(scene: Scene) -> None:
    _lived(scene)
    with scene.ledger.read() as connection:
        at = [letters_as_of(connection, scene.campaign_id, NOW + hours * HOUR) for hours in (-1, 0, 1, 2, 3)]
    assert at[0].empty
    waiting = ("queued", 0, NOW)
    assert _letters(at[1]) == {"a1": waiting, "a2": waiting}
    assert _letters(at[2]) == {"a1": ("queued", 1, NOW + HOUR), "a2": waiting}
    assert at[2]["reply"].tolist()[0] == "451 later"
    assert _letters(at[3]) == {"a1": ("sent", 2, NOW + 2 * HOUR), "a2": waiting}
    assert _letters(at[4])["a3"] == ("sent", 1, NOW + 3 * HOUR)
    assert (at[4]["queued_at"] == [NOW, NOW, NOW + 3 * HOUR]).all()


def test_between_two_instants_stand_what_changed_and_what_waits(scene: Scene) -> None:
    _lived(scene)
    with scene.ledger.read() as connection:
        found = letters_changed(connection, scene.campaign_id, NOW + 2 * HOUR, NOW + 3 * HOUR)
        everything = letters_changed(connection, scene.campaign_id, None, NOW + 3 * HOUR)
    assert list(_letters(found)) == ["a2", "a3"]
    assert list(_letters(everything)) == ["a1", "a2", "a3"]


def test_letters_of_another_campaign_are_not_shown(scene: Scene) -> None:
    _lived(scene)
    with scene.ledger.begin() as connection:
        connection.execute(sa.insert(schema.campaign).values(name="other", secret="s", created_at=NOW))
        assert letters_as_of(connection, scene.campaign_id + 1, NOW + 9 * HOUR).empty
