"""The suite with the cache of the last read switched off, by `make test-without-cache`: `MIGRATE_WITHOUT_CACHE`, which only tests read.

Every run of every test then decides about every row, and the same assertions hold. Tests of the cache itself have the marker `cache` and
are skipped.
"""

from __future__ import annotations

import os

import pytest

from migrate.ledger.settings import LedgerSettings

WITHOUT_CACHE = bool(os.environ.get("MIGRATE_WITHOUT_CACHE"))
SETTING = "image = false\n" if WITHOUT_CACHE else ""
"""What a test's configuration has in `[ledger]`, so that commands in processes of their own have no cache either."""


@pytest.fixture(autouse=WITHOUT_CACHE)
def without_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration has a cache, whatever it sets: as with `[ledger] image = false`."""
    monkeypatch.setattr(LedgerSettings, "cache_folder", property(lambda _: None))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what is about the cache, where there is none."""
    for item in items:
        if WITHOUT_CACHE and item.get_closest_marker("cache"):
            item.add_marker(pytest.mark.skip(reason="it is about the cache, and MIGRATE_WITHOUT_CACHE switches that off"))
