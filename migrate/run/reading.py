"""Reads the whole directory; with the cache of the last read, only rows that changed are kept for deciding (design §2)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from migrate.core.accounts import RECORD_COLUMNS
from migrate.core.standing import used_since
from migrate.decide.decided import Rules
from migrate.decide.draft import Draft
from migrate.directory import Directory, Tally
from migrate.directory.arrow import ShortcutRefused
from migrate.directory.bounds import PART, Deadline, counted
from migrate.directory.snapshot import Snapshot
from migrate.directory.text import as_text, masked, trimmed
from migrate.directory.translate import Translator
from migrate.files.spill import Sorted
from migrate.incremental import Cache, Comparison, Ids, LastRead, Reuse, Rows, Whole, as_table, doubted, make, merge, unexpected
from migrate.ledger import exemptions
from migrate.ledger.prior import Prior
from migrate.process import memory
from migrate.process.prefetch import ahead, meanwhile

_GATHERED: Final = 16384
"""Smaller blocks of rows are translated together, up to so many rows."""


@dataclass(frozen=True, slots=True)
class Read:
    """A complete read: a snapshot of the rows that changed, and what was counted.

    `last` is what is known of the last read. The snapshot has every row, unless `last` is a cache with which the rows were compared.
    `unfit` are the positions of rows that were rejected or counted for a fault. `as_of` is the instant at which the source says that its
    data was right, if it does, and `caveats` are reasons to trust its answer less (`Directory`).
    """

    snapshot: Snapshot
    rows: Rows
    tally: Tally
    translator: Translator
    last: LastRead | None
    unfit: np.ndarray
    as_of: datetime | None
    caveats: tuple[str, ...]

    def speaks_of(self, now: datetime) -> datetime:
        """The instant at which the data was right: the source's, but not later than `now`; `now` if the source gives none."""
        return min(self.as_of, now) if self.as_of else now

    def beside(self, prior: Prior, rules: Rules, *, anew: bool) -> Reuse | None:
        """The read compared with the last one, with what the ledger knows of unchanged rows; None if nothing is known of a last read.
        `anew`: everybody is to be decided again."""
        if self.last is None:
            return None
        compared: Comparison = "nothing" if not self.last.comparable else "rows" if isinstance(self.last, Cache) else "accounts"
        today = rules.moment.campaign.today(rules.moment.now)
        excepted = {id_ for kind in exemptions.KINDS for id_ in prior.exceptions(kind, today).index}
        occasions = rules.moment.occasions
        since = sorted(used_since(at, rules.policy) for at in (self.last.as_of, rules.moment.now))
        return Reuse(
            self.last.records,
            self.snapshot,
            self.rows,
            self.translator,
            excepted=Ids({*excepted, *prior.changing(), *prior.awaiting(occasions, others=True)}),
            awaiting=Ids(prior.awaiting(occasions)),
            letters=lambda low, high: prior.counting(low, high, occasions),
            moment=rules.moment,
            staying=frozenset(name for name, stage in rules.moment.stage_of.items() if self.last.stages.get(name) == stage),
            crossed=(since[0], since[1]),
            max_addresses=rules.policy.max_addresses,
            anew=anew or not self.last.comparable,
            compared=compared,
        )

    def whole(self, made: Draft, folder: Path) -> Whole:
        """Every account as it will be recorded, including those that did not change."""
        memory.trimmed()
        return merge(self.last.records if self.last else None, made.records, made.as_held, folder)

    def kept(self, made: Draft, folder: Path, under: tuple[str, str]) -> Kept:
        """The fingerprint of the read, and its cache; `under` are digests of the rules (`migrate.run.keeping.rules`)."""
        whole = self.whole(made, folder)
        moment = made.rules.moment
        unfit = np.union1d(self.unfit, np.array(made.doubled, "int64"))
        return Kept(whole.fingerprint, make(self.rows, unfit, whole.records, under, moment.stage_of, moment.now))


@dataclass(frozen=True, slots=True)
class Kept:
    """What a run keeps for the next one: the fingerprint of its read, and its cache."""

    fingerprint: str
    cache: Cache


def fingerprint(records: Iterable[pd.DataFrame], folder: Path) -> str:
    """The fingerprint of a read, computed from all its records (`RECORD_COLUMNS`)."""
    everybody = Sorted(folder / "everybody.arrow")
    for frame in records:
        everybody.append(frame[list(RECORD_COLUMNS)].assign(plain=False))
    everybody.close()
    return merge(None, everybody, lambda each: each, folder).fingerprint


def take(directory: Directory, language: str, folder: Path, cache: Cache | None, watch: Callable[[int], None]) -> Read:
    """Reads the whole directory into a private folder. Raises DirectoryError (exit 3).

    `language` stands in for a missing locale. `watch` is called with how many more rows were read. A cache that turns out to be unusable
    is ignored.
    """
    memory.frugal()
    deadline = Deadline(directory.settings.timeout)
    whole = meanwhile(cache.records.whole) if cache else None
    try:
        read = _reading(directory, language, folder, cache, watch, deadline)
    except Exception as error:
        if cache is None or not unexpected(error):
            raise
        doubted(error)
        return take(directory, language, folder, None, watch)
    if whole and not whole.result():
        read = _reading(directory, language, folder, None, watch, deadline)
    memory.trimmed()
    return read


def _reading(
    directory: Directory, language: str, folder: Path, cache: Cache | None, watch: Callable[[int], None], deadline: Deadline
) -> Read:
    """Reads the directory the fast way, as Arrow columns; if it refuses (`ShortcutRefused`), without the shortcut."""
    try:
        return _take(directory, language, folder, cache, watch, deadline)
    except ShortcutRefused:
        return _take(directory.without_shortcut(), language, folder, cache, watch, deadline)


def _take(directory: Directory, language: str, folder: Path, cache: Cache | None, watch: Callable[[int], None], deadline: Deadline) -> Read:
    tally = Tally()
    translator = Translator(directory, language=language, tally=tally)
    before = (cache.rows, np.load(cache.unfit)) if cache and cache.comparable else ()
    rows = Rows(folder / "rows.arrow", *before)
    unfit: list[np.ndarray] = []

    def changed() -> Iterator[pd.DataFrame]:
        for block in _gathered(ahead(_sifted(directory, rows, deadline), look=deadline.check), watch):
            tally.rows += block.rows - len(block.fresh)
            frame = translator.translate(block.fresh)
            unfit.append(frame.loc[translator.odd, "position"].to_numpy())
            if len(frame):
                yield frame.assign(plain=~translator.odd & block.kept)
                memory.trimmed()  # gives back memory that translating used

    snapshot = Snapshot.take(changed(), folder)
    odd = np.concatenate([np.zeros(0, "int64"), *unfit])
    return Read(snapshot, rows, tally, translator, cache, odd, directory.as_of(), (*directory.caveats(), *tally.caveats()))


@dataclass(frozen=True, slots=True)
class _Block:
    """A part of a read: how many `rows` it has, the changed ones among them (`fresh`), their `size` in bytes, about, and whether the rows
    were `kept` for the next read."""

    rows: int
    fresh: pd.DataFrame
    size: int
    kept: bool


def _sifted(directory: Directory, rows: Rows, deadline: Deadline) -> Generator[_Block, None, None]:
    """Reads the whole directory and picks out the rows that differ from those of the last read."""
    for raw in counted(directory, deadline):
        if "phone" in raw:  # masked before the rows are kept
            raw = raw.assign(phone=masked(trimmed(as_text(raw["phone"]))))
        table = as_table(raw)
        same = rows.same(table, len(raw))
        fresh = raw[~same] if same.any() else raw
        size = table.nbytes * len(fresh) // len(raw) if table is not None and len(raw) else PART
        yield _Block(len(raw), fresh, size, rows.keep(table))
    rows.close()


def _gathered(blocks: Iterator[_Block], watch: Callable[[int], None]) -> Iterator[_Block]:
    """Joins small blocks: translating a block costs as much as thousands of rows, even if the block has few."""
    held: list[_Block] = []
    for block in blocks:
        many = sum(len(each.fresh) for each in held) + len(block.fresh) > _GATHERED
        large = sum(each.size for each in held) + block.size > PART
        if held and (many or large or not _alike(held[-1], block)):
            yield _together(held)
            held = []
        held.append(block)
        watch(block.rows)
    if held:
        yield _together(held)


def _alike(one: _Block, other: _Block) -> bool:
    """Whether two blocks can be joined: columns of different types would change their values."""
    return one.kept == other.kept and one.fresh.dtypes.equals(other.fresh.dtypes)


def _together(blocks: list[_Block]) -> _Block:
    fresh = pd.concat([block.fresh for block in blocks])
    return _Block(sum(block.rows for block in blocks), fresh, sum(block.size for block in blocks), blocks[0].kept)
