"""The progress of a job on the terminal: one bar, which starts again with each step."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from migrate.cli.console import Console

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.run.delivering import Watch

_WORDS = {
    "fetch": "Fetching what is known of accounts",
    "read": "Reading the directory",
    "decide": "Deciding",
    "record": "Recording",
    "deliver": "Delivering",
    "report": "Writing reports",
}


@contextmanager
def watching(console: Console, config: Config, as_of: datetime | None) -> Iterator[Watch]:
    """Gives a callback for a job's progress (`migrate.run.delivering.Watch`): the name of a step, and how many more rows or letters are
    done. On a terminal it is shown as a bar. When `done_at` is reported, a line says when all letters will have been sent.

    `as_of` is the instant at which the job's clock was set, None for the real clock.
    """
    from migrate.cli.summary import foretell
    from migrate.run.start import clock_from

    done: Counter[str] = Counter()
    turn = threading.Lock()
    clock = clock_from(as_of)
    with console.progress("Working") as step:

        def watch(name: str, more: int) -> None:
            with turn:
                done[name] += more
            if name == "done_at":
                foretell(console, done["queued"], datetime.fromtimestamp(more, UTC), config, clock())
            elif name != "queued":
                step(done[name], done["queued"] if name == "deliver" else None, _WORDS[name])

        yield watch
