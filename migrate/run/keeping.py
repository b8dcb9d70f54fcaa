"""The cache of the last read: a run keeps it, so that the next run decides changed rows only (`migrate.incremental`)."""

from __future__ import annotations

import json
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from typing import Final

from migrate import incremental
from migrate.config import Config
from migrate.errors import LedgerError
from migrate.incremental import Cache, Records
from migrate.ledger import runs
from migrate.ledger.engine import Ledger
from migrate.ledger.prior import Prior
from migrate.ledger.runs import Run
from migrate.run import provenance
from migrate.run.reading import Kept

_READING: Final = ("[directory", "[waves")
"""The beginnings of the configuration's tables that affect which account a row is, or which columns of a row are needed."""
_DECIDING: Final = (*_READING, "[campaign", "[policy", "[schedule", "[safety")
"""The beginnings of those that affect decisions about accounts."""


def cache_of_last(config: Config, ledger: Ledger, now: datetime) -> Cache | None:
    """The cache of the last run. Its rows are comparable if they were read under the same rules, unless an account's wave may change with
    the day alone."""
    with ledger.read() as connection:
        last = runs.last(connection, Prior(connection, config.campaign.name).campaign_id)
    found = incremental.find(config.ledger.cache_of(config.campaign.name), last.counts.get("image") if last else None)
    return found and replace(found, comparable=found.reading == rules(config, now)[0] and not config.waves.forgetful)


def rules(config: Config, now: datetime) -> tuple[str, str]:
    """Digests of the rules at an instant: of those of reading, and of all."""
    reading, deciding = (
        json.dumps({key: value for key, value in config.settings.items() if key.startswith(tables)}, sort_keys=True)
        for tables in (_READING, _DECIDING)
    )
    passed = [name for name, campaign in config.waves.campaigns.items() if now >= campaign.cutoff_at]
    language = config.campaign.language  # stands in for a missing locale
    return incremental.rules_digest(f"{reading} {language}"), incremental.rules_digest(deciding, passed)


def keep(config: Config, ledger: Ledger, recorded: Run, kept: Future[Kept]) -> tuple[Run, Records | None]:
    """Puts the cache in place for the next run, and records it and the read's fingerprint in the ledger; the run, and all its records.

    If that fails, the run stays recorded: the next one decides every row, and the reports compute the fingerprint.
    """
    try:
        found = kept.result()
        incremental.keep(found.cache, config.ledger.cache_of(config.campaign.name), provenance.origin_of(config, recorded))
        ledger.write(lambda connection: runs.identify(connection, recorded.seq, found.fingerprint, found.cache.digest))
        with ledger.read() as connection:
            return runs.find(connection, recorded.seq), found.cache.records
    except (OSError, LedgerError):
        return recorded, None
    except Exception as error:  # noqa: BLE001 - everything is recorded; without a cache the next run only takes longer
        incremental.doubted(error)
        return recorded, None
