"""What a run leaves for Python's collector, which in a run comes late (`migrate.cli` makes it collect seldom)."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from campaigns import Campaign

_MANY = 50
"""No list of ids that a statement is given is so short, where there are `_PEOPLE`."""
_PEOPLE = 200


@contextmanager
def _no_list_of_ids_is_left_over(ids: set[str]) -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [each for each in gc.garbage if isinstance(each, list) and len(each) >= _MANY and ids.issuperset(map(str, each))]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left


def test_no_days_run_keeps_the_ids_of_its_accounts_or_letters_in_a_reference_cycle(tmp_path: Path) -> None:
    """Each list is small. Of five million accounts they took a hundred MiB."""
    campaign = Campaign(tmp_path)
    people = [f"p{number:03}" for number in range(_PEOPLE)]
    for one in people:
        campaign.person(one)
    numbers = {str(number) for number in range(1, 10 * _PEOPLE)}

    def nothing() -> None:
        pass

    def renamed() -> None:
        for one in people:
            campaign.person(one, display_name="Ada")

    def registered() -> None:
        for one in people:
            campaign.person(one, "sms;totp")

    days: list[tuple[str, Callable[[], None], dict[str, Any]]] = [
        ("2023-08-01 14:00", nothing, {}),
        ("2023-08-02 14:00", renamed, {}),
        ("2024-01-02 14:00", nothing, {"send": False}),  # a stage begins
        ("2024-01-18 14:00", nothing, {"send": False}),  # the next one, and the letters of the first are withdrawn
        ("2024-01-19 14:00", registered, {"send": False, "accept_directory": True}),  # a confirmation each
    ]
    for when, happens, options in days:
        happens()
        with _no_list_of_ids_is_left_over({*people, *numbers}):
            campaign.run(when, **options)
    outbox = campaign.status("2024-01-19 15:00").outbox
    assert outbox["withdrawn"] >= _PEOPLE  # the days were what they should be
    assert outbox["queued"] >= _PEOPLE
