"""Reading the directory to its end, beside the image of the read before if there is one (design §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from migrate.directory import Directory, Tally
from migrate.directory.arrow import Unlike
from migrate.directory.text import as_text, masked, trimmed
from migrate.directory.translate import Translator
from migrate.draft import Draft, Rules
from migrate.image import FOR_GOOD, SETTLED, Beside, Image, Rows, Whole, as_table, make, merge
from migrate.ledger import schema
from migrate.ledger.prior import Prior
from migrate.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Read:
    """A complete read: the rows that are not as they were before, and what was counted. `image` is of the read before, or None."""

    snapshot: Snapshot
    rows: Rows
    tally: Tally
    translator: Translator
    image: Image | None

    def beside(self, prior: Prior, rules: Rules) -> Beside | None:
        """The read beside the image, and what the ledger knows besides; None without an image."""
        if self.image is None:
            return None
        today = rules.moment.campaign.today(rules.moment.now)
        excepted = [prior.exceptions(table, today).index for table in (schema.exemption, schema.pause)]
        touched = pa.array([*prior.touched(SETTLED, FOR_GOOD), *excepted[0], *excepted[1]], pa.large_string())
        stays = rules.moment.occasion == self.image.stage
        return Beside(self.image.records, self.snapshot, self.rows, self.translator, touched, stays)

    def whole(self, made: Draft, folder: Path) -> Whole:
        """Every account as it is to be recorded, those that carry over included."""
        return merge(self.image.records if self.image else None, made.records, made.as_held, folder)

    def imaged(self, made: Draft, whole: Whole, rules: str) -> Image:
        """The image for the next read."""
        return make(self.rows, whole.records, rules, made.rules.moment.occasion, made.doubled)


def take(directory: Directory, language: str, folder: Path, image: Image | None, watch: Callable[[int], None]) -> Read:
    """The directory, read to the end into a private folder. Raises DirectoryError (exit 3) and leaves nothing behind.

    `language` stands in for a locale that is missing; `watch` hears how many more rows were read.
    """
    # Arrow's own pool keeps what it once had; this one gives memory back.
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        return _take(directory, language, folder, image, watch)
    except Unlike:
        return _take(directory.long_way(), language, folder, image, watch)


def _take(directory: Directory, language: str, folder: Path, image: Image | None, watch: Callable[[int], None]) -> Read:
    tally = Tally()
    translator = Translator(directory, language=language, tally=tally)
    rows = Rows(folder / "rows.arrow", image.rows if image else None, image.doubled if image else ())

    def changed() -> Iterator[pd.DataFrame]:
        for raw in directory.frames():
            if "phone" in raw:  # hidden from here on: the rows are kept
                raw = raw.assign(phone=masked(trimmed(as_text(raw["phone"]))))
            table = as_table(raw)
            same = rows.same(table, len(raw))
            fresh = raw if not same.any() else raw[~same]
            tally.rows += int(same.sum())
            frame = translator.translate(fresh)
            plain = ~translator.odd
            keep = same.copy()
            keep[~same] = plain
            kept = rows.keep(table, keep)
            if len(frame):
                yield frame.assign(plain=plain if kept else np.zeros(len(frame), dtype=bool))
            watch(len(raw))
        rows.close()

    return Read(Snapshot.take(changed(), folder), rows, tally, translator, image)
