"""Progress of a job on the terminal: one bar, which starts anew with each step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from migrate.cli.console import Console

_WORDS = {
    "read": "Reading the directory",
    "decide": "Deciding",
    "record": "Recording",
    "deliver": "Delivering",
    "report": "Writing reports",
}


@contextmanager
def watching(console: Console) -> Iterator[Callable[[str, int], None]]:
    """Hears of a job's progress, step by step, and shows it to whoever sits at a terminal."""
    done: Counter[str] = Counter()
    with console.progress("Working") as step:

        def watch(name: str, more: int) -> None:
            done[name] += more
            step(done[name], None, _WORDS[name])

        yield watch
