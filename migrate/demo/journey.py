"""Goes through every day of the demo: the directory changes, cron starts the job or does not, and the job runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from migrate import files
from migrate.demo.calendar import firings
from migrate.demo.config import DAYS, demo_config
from migrate.demo.mishaps import GRANTED, TORN, Grant
from migrate.demo.tour import Console, DayLived, RunSummary, Tour, line_of
from migrate.demo.world import World
from migrate.errors import ConfigError, GuardError


def build(folder: Path) -> Path:
    """Makes the demo's folder with its configuration in it, and returns the configuration's path.

    A folder that holds anything is refused with a ConfigError: the demo neither overwrites a ledger nor mixes with one.
    """
    try:
        if why := files.obstacle(folder):
            raise ConfigError(f"{folder} {why}.", hint="Name a folder that is empty or not there yet, or remove this one first.")
        files.make_folder(folder)
        config = folder / "config.toml"
        with files.create(config) as file:
            file.write(demo_config(folder).encode())
    except OSError as error:
        raise ConfigError(f"{folder} cannot be used: {error.strerror}.", hint="Name a folder in which you may create files.") from error
    return config


Run = Callable[[datetime], RunSummary]
Decide = Callable[[datetime, Sequence[tuple[Grant, str]]], None]


def live_through(folder: Path, run: Run, console: Console, decide: Decide = lambda _now, _granted: None) -> Tour:
    """Goes through the whole campaign in a folder made by `build`, and prints its story.

    `run` is the job with the demo's configuration. It is called with each instant at which cron starts it, in order. An error that it
    raises ends the demo, except on the morning of the broken export, when a guard should stop it. `decide` grants exceptions to accounts.
    """
    world = World(folder / "directory.db")
    lived = []
    with console.progress("Living through the campaign") as step:
        for done, day in enumerate(DAYS, start=1):
            lived.append(_live(day, world, run, decide))
            if line := line_of(lived[-1]):
                console.say(line)
            step(done, len(DAYS))
    tour = Tour(folder, lived)
    tour.tell(console)
    return tour


def _live(day: date, world: World, run: Run, decide: Decide) -> DayLived:
    happened = world.live(day)
    stopped = ""
    if day == TORN:
        with world.torn():
            try:
                run(firings(day)[0] - timedelta(hours=1))
            except GuardError as guard:
                stopped = guard.what
    runs = tuple(run(at) for at in firings(day))
    if granted := GRANTED.get(day):
        people = world.depending()
        decide(firings(day)[-1] + timedelta(hours=2), [(each, people[each.which]) for each in granted])
    return DayLived(day, happened, runs, stopped)
