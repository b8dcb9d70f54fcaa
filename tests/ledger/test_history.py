from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from ledger.scenes import CUTOFF, NOW, Scene, facts

from migrate.core.accounts import METHODS, RECORD_COLUMNS, methods_of
from migrate.ledger import runs
from migrate.ledger.account_rows import record_accounts, record_outcomes
from migrate.ledger.history import accounts_as_of
from migrate.ledger.prior import Prior
from migrate.ledger.schema import account_history, campaign

HOUR = timedelta(hours=1)


def _records(**standing: str) -> pd.DataFrame:
    """A record an account: id = standing."""
    made = pd.DataFrame(
        [
            {
                "account_id": account_id, "tenure": 1, "username": account_id, "email": f"{account_id}@example.com",
                "notification_emails": "", "locale": "en", "enabled": True, "federated": False, "account_type": "person",
                "privileged": False, "methods": methods_of(("sms",)), "default_method": "sms", "methods_changed_at": NOW, "groups": "",
                "basis": "b0", "wave": "", "cutoff": CUTOFF, "standing": word, "standing_since": NOW, "at_cutoff": "locked_out",
                "compliant": False, "certain": True, "destination": "unknown", "reminded": True, "outcome": "queued", "outcome_reason": "",
                "first_seen_at": NOW, "change_count": 0,
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
        record_accounts(connection, scene.campaign_id, seq, _records(**standing))
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


def test_what_is_not_known_of_an_account_comes_back_as_not_known_and_what_is_as_it_was(scene: Scene) -> None:
    written = _records(**dict.fromkeys("abc", "sms_only")).assign(
        last_used_method=pd.Series(["sms", None, "totp"], dtype="str"),
        last_used_at=pd.Series([NOW, None, NOW + HOUR], dtype=RECORD_COLUMNS["last_used_at"]),
        may_enrol=pd.Series([",".join(METHODS), "", None], dtype="str"),
        in_policy=pd.Series([True, None, False], dtype="boolean"),
        groups=pd.Series(["All staff\nrole:Global Administrator", "", "x"], dtype="str"),
        certain=[False, True, True],
        destination=pd.Series(["yes", "no", "unknown"], dtype="str"),
    )
    with scene.ledger.begin() as connection:
        seq = runs.begin(connection, scene.campaign_id, facts()).seq
        record_accounts(connection, scene.campaign_id, seq, written)
    with scene.ledger.read() as connection:
        (found,) = accounts_as_of(connection, scene.campaign_id, seq)
    pd.testing.assert_frame_equal(found, written)


def test_an_outcome_that_changed_alone_is_told_of_the_runs_it_held_in_and_makes_no_version(scene: Scene) -> None:
    def told(seq: int) -> list[tuple[str, str, str]]:
        with scene.ledger.read() as connection:
            (found,) = accounts_as_of(connection, scene.campaign_id, seq)
        return list(zip(found["account_id"], found["outcome"], found["outcome_reason"], strict=True))

    def outcome(word: str, reason: str) -> int:
        with scene.ledger.begin() as connection:
            seq = runs.begin(connection, scene.campaign_id, facts()).seq
            record_outcomes(
                connection, scene.campaign_id, seq, pd.DataFrame({"account_id": ["a"], "outcome": [word], "outcome_reason": [reason]})
            )
        return seq

    first = _run(scene, a="sms_only", b="sms_only")
    waits, sent = outcome("nothing_due", "queued"), outcome("nothing_due", "sent")
    later = _run(scene, a="migrated")
    assert told(first) == [("a", "queued", ""), ("b", "queued", "")]
    assert told(waits) == [("a", "nothing_due", "queued"), ("b", "queued", "")]
    assert told(sent) == [("a", "nothing_due", "sent"), ("b", "queued", "")]
    assert told(later) == [("a", "queued", ""), ("b", "queued", "")]  # of its new version
    with scene.ledger.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(account_history)).scalar_one() == 1
        name = connection.execute(sa.select(campaign.c.name).where(campaign.c.id == scene.campaign_id)).scalar_one()
        assert Prior(connection, name).accounts_with(["a"])["outcome"].tolist() == ["queued"]
