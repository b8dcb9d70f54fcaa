"""The suite with the cache of the last read switched off, by `make test-without-cache`: `MIGRATE_WITHOUT_CACHE`, which only tests read.

Every run of a test then decides about every row (but for commands in processes of their own, which read the records out of the ledger), and
the same assertions hold. Tests of the cache itself have the marker `cache` and are skipped.
"""

from __future__ import annotations

import os
from contextlib import nullcontext

import pytest

from migrate.ledger.settings import LedgerSettings
from migrate.run import keeping

WITHOUT_CACHE = bool(os.environ.get("MIGRATE_WITHOUT_CACHE"))
SETTING = "image = false\n" if WITHOUT_CACHE else ""
"""What a test's configuration has in `[ledger]`, so that commands in processes of their own have no cache either."""


@pytest.fixture(autouse=WITHOUT_CACHE)
def without_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration has a cache, whatever it sets, and every account is decided."""
    know_nothing(monkeypatch)


def know_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no run has a cache, as with `[ledger] image = false`, and none reads the records out of the ledger beforehand."""
    monkeypatch.setattr(LedgerSettings, "cache_folder", property(lambda _: None))
    monkeypatch.setattr(keeping, "restoring", lambda *_: nullcontext(lambda: None))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what is about the cache, where there is none."""
    for item in items:
        if WITHOUT_CACHE and item.get_closest_marker("cache"):
            item.add_marker(pytest.mark.skip(reason="it is about the cache, and MIGRATE_WITHOUT_CACHE switches that off"))
