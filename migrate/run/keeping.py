"""What is known of the last read (`migrate.incremental`): a run keeps a cache, so that the next run decides changed rows only; a run that
finds none reads the same records out of the ledger (`restoring`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa

from migrate import files, incremental
from migrate.config import Config
from migrate.core.moment import Moment
from migrate.errors import LedgerError
from migrate.incremental import BATCH, Cache, LastRead, Records
from migrate.ledger import campaigns, runs
from migrate.ledger.engine import Ledger
from migrate.ledger.prior import Prior
from migrate.ledger.runs import Run
from migrate.process.prefetch import begun, meanwhile
from migrate.run import provenance
from migrate.run.reading import Kept

_READING: Final = ("[directory", "[waves")
"""The beginnings of the configuration's tables that affect which account a row is, or which columns of a row are needed."""
_DECIDING: Final = (*_READING, "[campaign", "[policy", "[schedule", "[safety")
"""The beginnings of those that affect decisions about accounts."""


def cache_of_last(config: Config, ledger: Ledger, now: datetime) -> Cache | None:
    """The cache of the last run, if the ledger names it and its rows are whole; its records are checked while the directory is read."""
    with ledger.read() as connection:
        last = runs.last(connection, campaigns.find(connection, config.campaign.name))
    found = incremental.find(config.ledger.cache_of(config.campaign.name), last.counts.get("image") if last else None)
    return found and replace(found, comparable=_comparable(found.reading, config, now))


@contextmanager
def restoring(config: Config, ledger: Ledger, now: datetime, folder: Path) -> Iterator[Callable[[], LastRead | None]]:
    """Reads out of the ledger what a cache would tell of the last read, in a thread, until the end of the context. Yields a function that
    waits for it and returns it: None if no run is recorded, or the ledger could not be read."""
    with ledger.read() as connection:
        last = runs.last(connection, campaigns.find(connection, config.campaign.name))
    if last is None:
        yield lambda: None
        return
    with begun(_recorded(config, ledger)) as recorded:
        records = meanwhile(lambda: incremental.restored(recorded, last.read, files.inner(folder)))

        def found() -> LastRead | None:
            try:
                return _last_read(config, last, records.result(), now)
            except Exception as error:  # noqa: BLE001 - without it the run only takes longer; what is broken stops it where it is needed
                if incremental.unexpected(error):
                    incremental.doubted(error)
                return None

        yield found


def _recorded(config: Config, ledger: Ledger) -> Generator[pa.Table, None, None]:
    """`RECORD_COLUMNS` of all accounts that the ledger knows, a range of ids at a time, the lowest first."""
    with ledger.read_through() as connection:
        prior = Prior(connection, config.campaign.name)
        cuts = prior.cuts(BATCH)
        for low, high in zip([None, *cuts], [*cuts, None], strict=True):
            yield prior.records(low, high)


def _last_read(config: Config, last: Run, records: Records, now: datetime) -> LastRead:
    reading, deciding = last.counts.get("rules", ("", ""))
    stages = Moment.of(config.waves, config.schedule, last.as_of).stage_of
    return LastRead(
        records=records, reading=reading, rules=deciding, stages=stages, as_of=last.as_of, comparable=_comparable(reading, config, now)
    )


def _comparable(reading: str, config: Config, now: datetime) -> bool:
    """Whether what is read may be compared with what was read under the rules `reading`: not if these have changed, or if an account's wave
    may change with the day alone."""
    return reading == rules(config, now)[0] and not config.waves.moves_by_date


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
        ledger.write(lambda connection: runs.record_fingerprint(connection, recorded.seq, found.fingerprint, found.cache.digest))
        with ledger.read() as connection:
            return runs.find(connection, recorded.seq), found.cache.records
    except (OSError, LedgerError):
        return recorded, None
    except Exception as error:  # noqa: BLE001 - everything is recorded; without a cache the next run only takes longer
        incremental.doubted(error)
        return recorded, None
