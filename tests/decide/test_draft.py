"""What the parts of a read add up to, and what becomes of a draft whose reminders are held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import FrozenInstanceError

import pandas as pd
import pytest
from campaigns import Campaign
from cast import at

from migrate.decide.decided import Tally, added
from migrate.decide.draft import Draft
from migrate.run import job
from migrate.run.start import Options


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Draft]:
    """Two people are due, one moved since the last read, and one row is no account."""
    campaign = Campaign(tmp_path_factory.mktemp("draft"))
    for name in ("ada", "bob", "cem"):
        campaign.person(name, "sms")
    campaign.run("2023-07-01 14:00")
    campaign.person("cem", "totp")
    campaign.person("dan", "sms", enabled="perhaps")
    campaign.write()
    with job.dry_run(campaign.config, Options(at("2024-01-03 14:00"))) as (draft, _, _):
        yield draft


def kinds(made: Draft) -> Counter[str]:
    return Counter(kind for frame in made.queued() for kind in frame["kind"])


def recorded(made: Draft) -> dict[str, str]:
    return dict(zip(written(made)["account_id"], written(made)["outcome"], strict=True))


def written(made: Draft) -> pd.DataFrame:
    """The accounts that are written down, as new versions or with another outcome alone."""
    return pd.concat([frame for both in made.recorded() for frame in both])


def test_tallies_add_up_and_words_stay_where_they_were_first_counted() -> None:
    first = Tally(read=2, accepted=1, outcomes=Counter(held=1, rejected=0))
    both = added(first, Tally(read=3, missing=4, outcomes=Counter(queued=2, rejected=1)))
    assert both == Tally(read=5, accepted=1, missing=4, outcomes=Counter(held=1, rejected=1, queued=2))
    assert list(both.outcomes) == ["held", "rejected", "queued"]
    assert first.outcomes == Counter(held=1, rejected=0)


def test_the_outcomes_of_a_draft_add_up_to_the_rows_read_and_queued_to_who_is_written_to(made: Draft) -> None:
    assert made.outcomes == {"queued": 3, "rejected": 1}
    assert (made.read, made.accepted, made.written_to, made.reminders) == (4, 3, 3, 2)
    assert (made.standings, made.changes_seen) == ({"sms_only": 2, "migrated": 1}, {"authenticator_enabled": 1})
    assert recorded(made) == {"ada": "queued", "bob": "queued", "cem": "queued"}
    assert set(made.samples) == {("reminder", "en"), ("change_confirmation", "en")}


def test_a_draft_whose_reminders_are_held_is_another_one_that_still_confirms(made: Draft) -> None:
    held = made.hold()
    assert (held.outcomes, held.reminders, held.held) == ({"held": 2, "queued": 1, "rejected": 1}, 0, True)
    assert kinds(held) == {"change_confirmation": 1}
    assert recorded(held) == {"ada": "held", "bob": "held", "cem": "queued"}
    assert (made.outcomes, made.reminders, made.held) == ({"queued": 3, "rejected": 1}, 2, False)
    assert kinds(made) == {"reminder": 2, "change_confirmation": 1}


def test_what_was_decided_cannot_be_filled_in_later(made: Draft) -> None:
    with pytest.raises(FrozenInstanceError):
        made.reminders = 0  # type: ignore[misc]
