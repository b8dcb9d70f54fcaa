"""Simulates a campaign by the lines of a crontab: when each stage would be sent, or why it would not (design §7). Pure.

One imaginary person, who is reminded from the first stage to the last, is followed through every start that the lines name. The rules are
those of a run (`migrate.core.schedule`, `migrate.core.send_hours`). The time that sending takes is left out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import PurePath
from typing import Final, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from migrate.core.campaign import CampaignSettings
from migrate.core.schedule import ScheduleSettings, Stage, due, stages, upcoming
from migrate.core.send_hours import WHOLE_DAY

Lost = Literal["no_run", "too_soon", "newer_stage", "past_cutoff", "waits"]

AFTER: Final = timedelta(days=32)
"""How long after the last stage starts are simulated: long enough for a line that starts once a month."""

_NICKNAMES: Final = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
_VALUE: Final = r"(?:\*|\d+(?:-\d+)?|[a-z]{3}(?:-[a-z]{3})?)(?:/\d+)?"
_FIELD: Final = re.compile(rf"{_VALUE}(?:,{_VALUE})*", re.IGNORECASE)
_SETTING: Final = re.compile(r"\w+\s*=")
_CRON_TZ: Final = re.compile(r"CRON_TZ\s*=\s*(\S*)\s*")
_COMMANDS: Final = ("run", "send")
_SHELL: Final = re.compile(r"-[a-z]*c")
_FIELDS: Final = 5
_ANY_DAY: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""An instant to check fields with; what they mean does not depend on it."""
_WRITE: Final = "write five fields as in '30 6 * * mon-fri'"
_USUAL: Final = 6 * 60 + 30


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a crontab: its five fields (`times`), in local time of `zone`, and whether the job it starts reads and delivers."""

    times: str
    zone: ZoneInfo
    reads: bool = True
    delivers: bool = True

    def after(self, now: datetime) -> datetime | None:
        """The first start after an instant (UTC), by cron's rules when clocks change; None if there is none."""
        starts = (start.astimezone(UTC) for start in CronSim(self.times, now.astimezone(self.zone)))
        return next((start for start in starts if start > now), None)


@dataclass(frozen=True, slots=True)
class Fate:
    """What would become of a stage: when it is sent (UTC), and how many days late; or None, and why it is `lost`.

    `no_run`: no run starts while the stage counts. `too_soon`: it is less than the minimum gap after the stage before. `newer_stage`: its
    letter waits until the next stage replaces it. `past_cutoff`: its letter waits until the cutoff. `waits`: nothing sends its letter.
    `outside_hours`: it is sent outside the send hours, because it could not wait for them.
    """

    stage: Stage
    sent_at: datetime | None
    days_late: int
    lost: Lost | None
    outside_hours: bool = False

    @property
    def on_its_day(self) -> bool:
        return self.sent_at is not None and self.days_late == 0


def lines_of(text: str, zone: ZoneInfo) -> tuple[Line, ...]:
    """The lines in the text of a crontab that start `migrate run` or `migrate send`.

    Their zone is the host's `zone`, or that of a `CRON_TZ` above them or on the same line. A line without a command is a run. Comments,
    other settings and other commands are skipped. Raises ValueError for fields that cron does not accept.
    """
    lines = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("#") or (_SETTING.match(line) and not line.startswith("CRON_TZ")):
            continue
        here = zone
        if setting := _CRON_TZ.match(line):
            here, line = _zone(setting[1].strip("'\"")), line[setting.end() :]
            if not line:
                zone = here
                continue
        times, command = _divided(line)
        if started := _started(command):
            lines.append(Line(_checked(times), here, reads="run" in started, delivers="send" in started or "--no-send" not in command))
    return tuple(lines)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; use an IANA name such as 'Europe/Berlin' or 'UTC'") from None


def _divided(line: str) -> tuple[str, str]:
    """The times of a line, and its command."""
    if line.startswith("@"):
        word, *command = line.split(None, 1)
        return word, "".join(command)
    fields = line.split(None, 5)
    return " ".join(fields[:5]), fields[5] if len(fields) > 5 else ""


def _checked(times: str) -> str:
    """The times as five fields; ValueError if cron does not accept them."""
    if times.startswith("@"):
        if times.lower() not in _NICKNAMES:
            raise ValueError(f"{times} names no time of day; {_WRITE}")
        return _NICKNAMES[times.lower()]
    fields = times.split()
    if len(fields) < _FIELDS:
        raise ValueError(f"{times!r} has {len(fields)} of the five fields minute, hour, day of the month, month, day of the week; {_WRITE}")
    if wrong := next((each for each in fields if not _FIELD.fullmatch(each)), None):
        raise ValueError(f"{wrong!r} in {times!r} is no field of a crontab; {_WRITE}")
    try:
        CronSim(times, _ANY_DAY)
    except CronSimError as error:
        raise ValueError(f"{times!r} has a {str(error).lower()}; {_WRITE}") from None
    return times


def _started(command: str) -> set[str]:
    """Which of our commands a line starts: the first `run` or `send` after each `migrate`, or one of these words at its beginning."""
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, ""
        words = list(lexer) or ["run"]
    except ValueError:  # a quote that belongs to a larger command
        words = command.split()
    if words[0] in _COMMANDS:
        return {words[0]}
    # What a shell is given to do: sh -c 'cd /srv/migrate && migrate run'
    inner = [word for before, word in pairwise(words) if _SHELL.fullmatch(before) and " " in word]
    started, ours = set[str]().union(*map(_started, inner)), False
    for word in words:
        if PurePath(word).name == "migrate":
            ours = True
        elif ours and word in _COMMANDS:
            started.add(word)
            ours = False
    return started


def proposed(campaign: CampaignSettings, schedule: ScheduleSettings) -> Line:
    """A daily run to propose, in the campaign's zone: at 06:30 if that lies inside the send hours, else soon after they begin."""
    hours = schedule.hours(campaign.zone)
    minute = _USUAL if hours.begins <= _USUAL < hours.ends else hours.begins + min(30, (hours.ends - hours.begins) // 2)
    return Line(f"{minute % 60} {minute // 60 % (WHOLE_DAY // 60)} * * *", campaign.zone)


def follow(
    lines: Sequence[Line], campaign: CampaignSettings, schedule: ScheduleSettings, stale: timedelta, now: datetime
) -> tuple[Fate, ...]:
    """What becomes of every stage from today (`now`) on, oldest first, with the starts that the lines name.

    Reminders are not delivered if the directory was last read `stale` ago or longer. Stages before today are taken as sent.
    """
    planned = stages(campaign, schedule)
    if not planned:
        return ()
    begins = campaign.instant(max(campaign.today(now), campaign.opens))
    person = _Person(campaign, schedule, stale, planned, begins)
    at = begins - timedelta(minutes=1)
    while (following := _next(lines, at, person)) and following <= planned[-1].begins + AFTER:
        at = following
        started = [line for line in lines if line.after(at - timedelta(minutes=1)) == at]
        if any(line.reads for line in started):
            person.read(at)
        if any(line.delivers for line in started):
            person.deliver(at)
    return tuple(person.fate(stage) for stage in planned if stage.begins >= begins)


def _next(lines: Sequence[Line], now: datetime, person: _Person) -> datetime | None:
    """The next start that may change anything for the person; starts that cannot are skipped. Those are runs while nothing is due and
    nothing waits, and deliveries before a waiting letter may be sent."""
    reads, delivers = person.idle(now), person.ready(now)
    quiet_until = [reads if line.reads else delivers for line in lines]
    starts = [line.after(quiet) for line, quiet in zip(lines, quiet_until, strict=True) if quiet]
    return min((start for start in starts if start), default=None)


@dataclass(slots=True)
class _Person:
    """The imaginary person: the letter that waits for them, the stages they were told of and when."""

    campaign: CampaignSettings
    schedule: ScheduleSettings
    stale: timedelta
    planned: tuple[Stage, ...]
    read_at: datetime
    waiting: Stage | None = None
    last_told: date | None = None
    told: dict[str, datetime] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)
    lost: dict[str, Lost] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for stage in self.planned:
            if stage.begins < self.read_at:
                self.told[stage.name], self.last_told = stage.begins, stage.on

    def idle(self, now: datetime) -> datetime | None:
        """The instant until which no run changes anything; None if no run ever will."""
        stage = due(self.planned, now)
        if self.waiting or (stage and stage.name not in self.told):
            return now
        following = upcoming(self.planned, now)
        return max(now, following.begins - timedelta(minutes=1)) if following else None

    def ready(self, now: datetime) -> datetime | None:
        """The instant until which no delivery changes anything, just before the waiting letter may be sent; None if no letter waits."""
        if self.waiting is None:
            return None
        hours, ends = self.schedule.hours(self.campaign.zone), self.waiting.ends
        return max(now, hours.next_open(now) - timedelta(minutes=1)) if hours.waits(now, ends) else now

    def read(self, now: datetime) -> None:
        """A run reads the directory and queues what is due."""
        self.read_at = now
        self._end(now)
        stage = due(self.planned, now)
        if stage is None or stage.name in self.told or stage == self.waiting:
            return
        if self.last_told and (self.campaign.today(now) - self.last_told).days < self.schedule.min_gap_days:
            self.lost[stage.name] = "too_soon"
            return
        if self.waiting:
            self.lost[self.waiting.name] = "newer_stage"
        self.waiting = stage

    def deliver(self, now: datetime) -> None:
        """A delivery sends the letter that waits, if it may."""
        self._end(now)
        hours, stage = self.schedule.hours(self.campaign.zone), self.waiting
        if stage is None or now - self.read_at >= self.stale or hours.waits(now, stage.ends):
            return
        if not hours.open_at(now):
            self.outside.add(stage.name)
        self.told[stage.name], self.last_told, self.waiting = now, self.campaign.today(now), None

    def _end(self, now: datetime) -> None:
        if self.waiting and self.waiting.ends and self.waiting.ends <= now:
            self.lost[self.waiting.name], self.waiting = "past_cutoff", None

    def fate(self, stage: Stage) -> Fate:
        sent_at = self.told.get(stage.name)
        if sent_at is None:
            return Fate(stage, None, 0, "waits" if stage == self.waiting else self.lost.get(stage.name, "no_run"))
        days_late = (self.campaign.today(sent_at) - stage.on).days
        return Fate(stage, sent_at, days_late, None, stage.name in self.outside)
