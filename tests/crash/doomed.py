"""The command in a process that starts quickly, may live on another day, and may die on the spot: at one of its commits, or in the midst
of something.

A process of its own, forked from one that has read the libraries already; `killer.migrate` is the installed command itself.
"""

from __future__ import annotations

import importlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["migrate.run.job", "migrate.cli.run", "migrate.cli.send", "migrate.cli.ledger", "time_machine"])

Side = Literal["before", "after"]


@dataclass(frozen=True)
class Doom:
    """The commit at which to die, counted from 1, and on which side of it."""

    commit: int
    side: Side


@dataclass(frozen=True)
class Midst:
    """From the begin of one function ("module:name", as its caller knows it) to the end of another. Who gets there dies so many seconds
    later, if that is before the end; without `seconds` nobody dies. How long it took stands in `took`."""

    begins: str
    ends: str
    took: Path
    seconds: float | None = None


@dataclass
class Command:
    """A command that was started. `said` is what it printed, `process` where it runs."""

    process: BaseProcess
    out: Path
    _turn: threading.Lock = field(default_factory=threading.Lock)  # how it ended can be read once

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def said(self) -> str:
        return self.out.read_text()

    def poll(self) -> int | None:
        with self._turn:
            return self.process.exitcode

    def wait(self, seconds: float = 60) -> int:
        """Its exit code, negative for the signal that killed it."""
        until = time.monotonic() + seconds
        while (code := self.poll()) is None:
            assert time.monotonic() < until, f"it did not end: {self.said}"
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def start(folder: Path, *arguments: str, at: datetime | None = None, doom: Doom | Midst | None = None) -> Command:
    """The command, started; with `at` on a day of our choosing, and its clock goes on from there."""
    out = folder / f"said-{next(_COMMANDS)}"
    process = _FORKS.Process(target=_live, args=(folder, arguments, at, doom, out))
    process.start()
    return Command(process, out)


_COMMANDS = itertools.count()


def _live(folder: Path, arguments: tuple[str, ...], at: datetime | None, doom: Doom | Midst | None, out: Path) -> None:
    import time_machine

    from migrate.cli import main

    os.chdir(folder)
    with out.open("w") as sys.stdout:
        sys.stderr = sys.stdout
        if isinstance(doom, Doom):
            _doomed(doom)
        elif doom is not None:
            _dies_in(doom)
        with time_machine.travel(at or datetime.now().astimezone(), tick=True):
            code = main(["--config", str(folder / "config.toml"), *arguments])
    raise SystemExit(code)


def _doomed(doom: Doom) -> None:
    from sqlalchemy.engine.default import DefaultDialect

    commits, commit = itertools.count(1), DefaultDialect.do_commit

    def fatal(self: DefaultDialect, connection: Any) -> None:
        number = next(commits)
        if (number, "before") == (doom.commit, doom.side):
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, connection)
        if (number, "after") == (doom.commit, doom.side):
            os.kill(os.getpid(), signal.SIGKILL)

    DefaultDialect.do_commit = fatal  # type: ignore[method-assign]


def _dies_in(midst: Midst) -> None:
    begun: list[float] = []
    timer = threading.Timer(midst.seconds, os.kill, (os.getpid(), signal.SIGKILL)) if midst.seconds is not None else None

    def begins() -> None:
        begun.append(time.perf_counter())
        if timer is not None:
            timer.start()

    def ends() -> None:
        midst.took.write_text(str(time.perf_counter() - begun[0]))
        if timer is not None:
            timer.cancel()

    _around(midst.begins, before=begins)
    _around(midst.ends, after=ends)


def _around(place: str, before: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None) -> None:
    module, _, name = place.partition(":")
    holder = importlib.import_module(module)
    real = getattr(holder, name)

    def watched(*given: Any, **named: Any) -> Any:
        before()
        try:
            return real(*given, **named)
        finally:
            after()

    setattr(holder, name, watched)
