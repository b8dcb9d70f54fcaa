"""Prints waves: who is in them, until when, and the letters and calls of the days to come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from migrate.cli.console import Console

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.explain.waves import Dispatch, WaveOutlook

_DAYS: Final = 6
"""At most so many coming stages are printed; --json has all."""
_REST: Final = "(everybody else)"


def tell_waves(console: Console, waves: Sequence[WaveOutlook], config: Config) -> None:
    """Prints the waves and their next stages; for a campaign without waves the stages alone."""
    zone = config.campaign.zone
    if len(waves) > 1:
        console.say()
        console.table(
            ["Wave", "Accounts", "Reminded", "Opens", "Cutoff", "Days left", "Stage now", "Next stage"],
            [
                (
                    each.name or _REST,
                    each.accounts,
                    each.reminded,
                    each.opens,
                    f"{each.cutoff.astimezone(zone):%Y-%m-%d %H:%M %Z}",
                    each.days_left,
                    each.stage or "none",
                    f"{each.next_stage} on {each.next_stage_on}" if each.next_stage else "none",
                )
                for each in waves
            ],
        )
    ahead: list[tuple[date, str, Dispatch]] = sorted(
        ((stage.on, each.name, stage) for each in waves for stage in each.coming if stage.letters),
        key=lambda found: (found[0], found[1]),
    )
    if not ahead:
        return
    console.say()
    counted = config.schedule.calls_per_100_letters is not None
    rows = [
        (on, name or _REST, stage.stage, stage.letters, _rate(stage), *([stage.calls] if counted else []))
        for on, name, stage in ahead[:_DAYS]
    ]
    console.table(["Day", "Wave", "Stage", "Letters", "Letters a day", *(["Calls expected"] if counted else [])], rows)
    if len(ahead) > _DAYS:
        console.say(f"… and {len(ahead) - _DAYS:,} more stages; --json has them.")


def _rate(stage: Dispatch) -> str:
    return f"{stage.a_day:,}" + (f" for {stage.days:,} days" if stage.days > 1 else "")
