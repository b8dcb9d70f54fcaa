"""`migrate check --cron`: checks the host's crontab against the schedule, and says which lines to write instead."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from zoneinfo import ZoneInfo

from migrate.errors import ConfigError

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.core.timetable import Fate, Line

_LOCALTIME: Final = Path("/etc/localtime")
_ZONES: Final = "zoneinfo/"
_SAMPLE: Final = "30 6 * * *"
_LOST: Final = {
    "no_run": "no run comes while the stage counts",
    "too_soon": "the stage before was sent less than [schedule] min_gap_days ago",
    "newer_stage": "nothing sends the letters until the next stage takes their place",
    "past_cutoff": "nothing sends the letters until the cutoff",
    "waits": "nothing sends the letters",
}


@dataclass(frozen=True, slots=True)
class Said:
    """One finding on a crontab: its `state`, a text, and the facts for the JSON."""

    state: Literal["ok", "warning", "wrong"]
    words: str
    facts: dict[str, Any]


def zone_of_host(named: str | None) -> ZoneInfo:
    """The time zone in which cron runs: the one that was named, or else this machine's. Raises ConfigError if there is no such zone."""
    name = named or os.environ.get("TZ", "").removeprefix(":")
    try:
        if name:
            return ZoneInfo(name.partition(_ZONES)[2] or name)
        if not _LOCALTIME.exists():
            return ZoneInfo("UTC")
        if key := str(_LOCALTIME.resolve()).partition(_ZONES)[2]:
            return ZoneInfo(key)
        with _LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (KeyError, ValueError, OSError):
        where = "--zone" if named else "TZ" if name else str(_LOCALTIME)
        raise ConfigError(
            f"{name or 'this'} is no time zone.", where=where, hint="Name that of cron's clock, as in `--zone Europe/Berlin`."
        ) from None


def lines_in(typed: Sequence[str], host: ZoneInfo) -> tuple[Line, ...]:
    """The lines that start a job of ours. Raises ConfigError if cron would reject a line, or none of them is ours."""
    from migrate.core.timetable import lines_of

    try:
        found = lines_of("\n".join(typed), host)
    except ValueError as error:
        raise ConfigError(f"{error}.", where="--cron") from None
    if not any(line.reads for line in found):
        hint = f"Type the line of the crontab, such as `--cron '{_SAMPLE} migrate run'`, or all of them with `--cron \"$(crontab -l)\"`."
        raise ConfigError("no line starts `migrate run`.", where="--cron", hint=hint)
    return found


def of_another_clock(config: Config, now: datetime) -> Iterator[str]:
    """A warning if letters wait for send hours, and cron runs in another time zone than these."""
    campaign, host = config.campaign, zone_of_host(None)
    year = [now + timedelta(days=30 * month) for month in range(13)]
    apart = any(each.astimezone(host).utcoffset() != each.astimezone(campaign.zone).utcoffset() for each in year)
    if apart and not config.schedule.hours(campaign.zone).always:
        yield (
            f"cron's clock here is that of {_name(host)}, and [schedule] send_hours go by {campaign.timezone}: "
            f'`migrate check --cron "$(crontab -l)"` says whether every stage then goes on its day.'
        )


def judged(lines: Sequence[Line], config: Config, now: datetime) -> Iterator[Said]:
    """What the lines do to the stages that are still to come; the first finding has the facts."""
    from migrate.core.timetable import follow, proposed

    campaign, schedule, stale = config.campaign, config.schedule, timedelta(hours=config.safety.stale_hours)

    def followed(by: Sequence[Line]) -> dict[str, tuple[Fate, ...]]:
        return {name: follow(by, of_wave, schedule, stale, now) for name, of_wave in config.waves.campaigns.items()}

    found = followed(lines)
    fates = [fate for of_wave in found.values() for fate in of_wave]
    facts: dict[str, Any] = {"cron": [_told(fate) | ({"wave": name} if name else {}) for name, ours in found.items() for fate in ours]}
    by = ", ".join(f"{line.times!r} {'run' if line.reads else 'send'} ({_name(line.zone)})" for line in lines)
    wrong = [
        (state, f"wave {name}: {words}" if name else words) for name, ours in found.items() for state, words in _amiss(ours, campaign.zone)
    ]
    if not wrong:
        yield Said("ok", f"{'every stage goes on its day' if fates else 'no stage is still to come'}, by {by}", facts)
        return
    for state, words in wrong:
        yield Said(state, words, facts)
        facts = {}
    line = proposed(campaign, schedule)
    better = _well([fate for of_wave in followed([line]).values() for fate in of_wave])
    if better > _well(fates):
        them = "every stage goes" if better == len(fates) else f"{better} of {len(fates)} stages go"
        yield Said(
            "warning",
            f"the lines were read as {by}. Write `CRON_TZ={campaign.timezone}` on a line of its own, and `{line.times}` before "
            f"`migrate run` below it: then {them} on the day, inside the send hours. `man 5 crontab` says whether your cron knows CRON_TZ.",
            facts,
        )


def _amiss(fates: Sequence[Fate], zone: ZoneInfo) -> Iterator[tuple[Literal["warning", "wrong"], str]]:
    """Which stages are lost, late, or sent outside the send hours, and when."""

    def at(fate: Fate) -> str:
        return f"{fate.sent_at.astimezone(zone):%A %Y-%m-%d %H:%M %Z}" if fate.sent_at else ""

    for lost, why in _LOST.items():
        if those := [f"{fate.stage.name} ({fate.stage.on})" for fate in fates if fate.lost == lost]:
            yield "wrong", f"lost: {', '.join(those)}; {why}."
    if late := [f"{fate.stage.name} by {_days(fate.days_late)} ({at(fate)})" for fate in fates if fate.days_late]:
        yield "warning", f"late: {', '.join(late)}."
    if outside := [f"{fate.stage.name} ({at(fate)})" for fate in fates if fate.outside_hours]:
        yield "warning", f"outside the send hours, for none are left before the cutoff: {', '.join(outside)}."


def _well(fates: Sequence[Fate]) -> int:
    return sum(fate.on_its_day and not fate.outside_hours for fate in fates)


def _told(fate: Fate) -> dict[str, Any]:
    sent_at = fate.sent_at.astimezone(UTC).isoformat().replace("+00:00", "Z") if fate.sent_at else None
    return {
        "stage": fate.stage.name,
        "on": fate.stage.on,
        "sent_at": sent_at,
        "days_late": fate.days_late,
        "lost": fate.lost,
        "outside_hours": fate.outside_hours,
    }


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"


def _name(zone: ZoneInfo) -> str:
    return zone.key or "this machine"
