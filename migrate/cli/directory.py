"""The part of `migrate check` that reads the directory and decides as a run would, without any effect."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from migrate.cli.guesses import OPPOSITES, a_to_z
from migrate.errors import ConfigError, GuardError, LedgerError

if TYPE_CHECKING:
    import pandas as pd

    from migrate.config import Config
    from migrate.directory import DirectorySettings
    from migrate.directory.column_settings import ColumnSettings
    from migrate.incremental.records import Whole

_MANY: Final = 20
"""Shares are judged only from so many accounts on."""
_FEW: Final = 0.05
"""Instants look like those of a report's refresh if the different ones are at most this share of the accounts that have one, or if three
of them make up half."""
_DISTINCT: Final = 100_000
"""So many different instants never look like a report's refresh."""
_WORDS: Final = 20
"""At most so many unknown words are named."""
_LATELY: Final = timedelta(hours=1)
_TOGETHER: Final = timedelta(hours=48)

_REFRESHED: Final = re.compile(
    "(?:last)?(?:updated|refreshed?|exported|generated|synced|sync|extracted|imported|reported)(?:date|time|datetime|at|on|utc)*"
    "|(?:report|export|refresh|snapshot|extract|import|generation)(?:date|time|datetime|at|on|utc|refreshdate)+|asof(?:date|time)?"
)
"""The whole of such a name: it says when a report was made, not when a method changed."""


@dataclass(frozen=True, slots=True)
class DirectoryCheck:
    """The result of the check of the directory. `said` says what was read, `stops` names the guards that would stop a run, `warnings` are
    paragraphs, and `facts` are about the rows."""

    said: str
    stops: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    facts: Mapping[str, Any] = field(default_factory=dict)


def look(config: Config, *, quick: bool) -> DirectoryCheck:
    """Reads the directory, all of it unless `quick`. Raises DirectoryError if it cannot be read.

    If a run could not decide for another reason, such as a missing ledger, only the first rows are read; that part of the check says why.
    """
    if quick:
        return _first_rows(config)
    try:
        return _whole(config)
    except (ConfigError, LedgerError):
        found = _first_rows(config)
        found.warnings.append("no more than these rows were looked at, for what is wrong elsewhere stops a run before it decides.")
        return found


def _whole(config: Config) -> DirectoryCheck:
    from datetime import UTC, datetime

    from migrate.cli.summary import still_recorded, too_many_addresses, too_old
    from migrate.directory import open_directory
    from migrate.run.job import dry_run

    described = open_directory(config.directory).describe()
    with dry_run(config) as (_, whole, foretold):
        decision = foretold.decision
        doubts = list(doubtful(whole, config, decision.read))
    accepted, speaks_of = decision.read - decision.rejected, decision.directory_as_of
    said = f"{described}: {decision.read:,} rows were read, {accepted:,} accounts and {decision.rejected:,} rejected"
    if (now := datetime.now(UTC)) - speaks_of >= _LATELY:
        said += f"; it speaks of {speaks_of.astimezone(config.campaign.zone):%Y-%m-%d %H:%M %Z}"
    if not decision.read:
        said = f"{described} has no rows"
    facts = decision.facts()
    warnings = list(_noticed(facts))
    if known := decision.noticed.rejected_known:
        warnings.append(f"{still_recorded(known)}.")
    if count := decision.too_many_addresses:
        warnings.append(f"{too_many_addresses(count, config.policy.max_addresses)}.")
    if old := too_old(speaks_of, now, config):
        warnings.append(f"{old}: reminders wait until a fresh one is read.")
    return DirectoryCheck(said, list(foretold.stopped), warnings + doubts, facts)


def doubtful(whole: Whole, config: Config, rows: int) -> Iterator[str]:
    """Reasons to doubt that a column means what it is read as, and that the right people are reminded; one paragraph each.

    `rows` is how many rows were read.
    """
    seen = _Seen(rows)
    for records in whole.records.frames():
        seen.add(records[records["gone_at"].isna() & (records["outcome"] != "rejected")])
    yield from seen.warnings(config.directory)
    if left_out := seen.unreminded(config.policy.remind):
        yield left_out
    if seen.fallback >= _MANY and not seen.defaults and "sms_fallback" in config.policy.compliant:
        yield (
            f"nothing says which method anybody is asked for first: {seen.fallback:,} accounts that have a retired method beside an "
            "accepted one count as compliant (sms_fallback), whichever of the two they use. Name the column of default_method, or of "
            "last_used_method, under [directory.columns]; or write `strict_fallback = true` under [policy]."
        )


def _first_rows(config: Config) -> DirectoryCheck:
    from migrate.directory import Tally, open_directory, read
    from migrate.directory.rejections import RejectionSummary

    directory, tally, rejected = open_directory(config.directory), Tally(), RejectionSummary()
    with closing(read(directory, language=config.campaign.language, tally=tally)) as frames:  # type: ignore[type-var]
        frame = next(frames, None)
    if frame is None or not tally.rows:
        return DirectoryCheck(f"{directory.describe()} has no rows", ["[directory]: a run refuses a directory without rows."])
    rejected.add(frame[frame["rejection"].notna()])
    facts = {
        "rejections": [reason.facts() for reason in rejected.reasons()],
        "advice": rejected.advice(config.directory, tally.lost_lists),
        "unknown_words": tally.unknown_words,
        "unreadable_instants": tally.unreadable_instants,
        "caveats": list(tally.caveats()),
    }
    said = f"{directory.describe()}: the first {tally.rows:,} rows were read, and {tally.rejected:,} of them are no accounts"
    stops = [str(GuardError("not one of these rows is an account.", where="[directory]"))] if tally.rejected == tally.rows else []
    return DirectoryCheck(said, stops, list(_noticed(facts)), facts)


def _noticed(facts: Mapping[str, Any]) -> Iterator[str]:
    from migrate.directory.rejections import lines

    for line in lines(facts["rejections"]):
        yield f"rejected: {line}."
    yield from facts["advice"]
    if unknown := facts["unknown_words"]:
        ordered = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
        words = ", ".join(f"{word!r} ({count:,})" for word, count in ordered[:_WORDS])
        words += f" and {len(ordered) - _WORDS:,} more" if len(ordered) > _WORDS else ""
        yield f"method words nobody knows: {words}. Say what they mean under [directory.methods]; until then they count as 'other'."
    for column, count in facts["unreadable_instants"].items():
        yield f"{count:,} instants in {column} cannot be read and count as missing."
    for caveat in facts["caveats"]:
        yield f"{caveat}."


def _named(ours: str, settings: DirectorySettings) -> tuple[ColumnSettings | None, bool]:
    """The configured column for one of ours (the last source first, since its values win in a join), and whether a profile may have
    found it."""
    sources = cast("list[DirectorySettings]", [*reversed(settings.join), settings])
    column = next((source.columns[ours] for source in sources if ours in source.columns), None)
    return column, column is None and any(source.profile for source in sources)


class _Seen:
    """Counts over the accounts that show whether a column means what it is read as."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.accounts = 0
        self.standings: Counter[str] = Counter()
        self.fallback = 0
        self.defaults = 0
        self.disabled = 0
        self.guests = 0
        self.changed = 0
        self._minutes: Counter[int] = Counter()
        self._hours: Counter[int] = Counter()

    def add(self, records: pd.DataFrame) -> None:
        """Adds accounts (`migrate.core.accounts.RECORD_COLUMNS`)."""
        self.accounts += len(records)
        self.standings.update(records["standing"].tolist())
        self.fallback += int((records["standing"] == "sms_fallback").sum())
        self.defaults += int((records["default_method"].notna() | records["last_used_method"].notna()).sum())
        self.disabled += int((~records["enabled"]).sum())
        self.guests += int(records["email"].str.contains("#EXT#", case=False, regex=False).fillna(False).sum())
        changed = records["methods_changed_at"].dropna()
        self.changed += len(changed)
        for counter, unit in ((self._minutes, "min"), (self._hours, "h")):
            if len(counter) < _DISTINCT:
                counter.update(changed.dt.floor(unit).astype("int64").tolist())

    def warnings(self, settings: DirectorySettings) -> Iterator[str]:
        yield from self._enabled(settings)
        yield from self._changed_at(settings)
        if self.guests:
            some = "1 address has" if self.guests == 1 else f"{self.guests:,} addresses have"
            yield (
                f"{some} `#EXT#` in it: that is a guest's sign-in name and no mail address. Read email from a column that has "
                "their address, such as mail."
            )

    def unreminded(self, remind: Collection[str]) -> str | None:
        """A warning if more people have a second step without a known name than are reminded, with what to do about it."""
        unknown, reminded = self.standings["unknown"], sum(self.standings[each] for each in remind)
        if "unknown" in remind or unknown < _MANY or unknown <= reminded:
            return None
        written = ", ".join(f'"{each}"' for each in (*remind, "unknown"))
        return (
            f"{unknown:,} accounts have a second step that the directory does not name, and nobody reminds those; {reminded:,} stand where "
            f"people are reminded. To remind them as well, write `remind = [{written}]` under [policy]; or join a source that names it."
        )

    def _enabled(self, settings: DirectorySettings) -> Iterator[str]:
        column, known = _named("enabled", settings)
        theirs = column.theirs if column else "enabled"
        told = column is not None and bool(column.opposite or column.yes or column.no)
        inverted = f'`enabled = {{ not = "{theirs}" }}` under [directory.columns]'
        if column and not told and OPPOSITES.search(a_to_z(theirs)):
            opposite = f'enabled is read from "{theirs}", which sounds like the opposite'
            yield f"{opposite}: if yes there means that an account cannot sign in, write {inverted}."
        elif self.accounts >= max(_MANY, self.rows / 2) and self.disabled > self.accounts / 2:
            turned = "look whether its words are the right way round"
            way = turned if told or known else f"if {theirs} says the opposite, write {inverted}"
            yield f"{self.disabled:,} of {self.accounts:,} accounts come out as disabled, and nobody reminds those: {way}."

    def _changed_at(self, settings: DirectorySettings) -> Iterator[str]:
        column, _ = _named("methods_changed_at", settings)
        theirs = column.theirs if column else ""
        every = (
            "Every refresh would be mailed to people as a change of theirs; leave methods_changed_at away, or read it from a column that "
            "says when a method changed."
        )
        if column and _REFRESHED.fullmatch(a_to_z(theirs)):
            yield f'methods_changed_at is read from "{theirs}", which sounds like the time at which a report was refreshed. {every}'
        elif self.changed >= _MANY and (why := self._refreshed()):
            # The configuration has no name for a column that a profile or a join found.
            where = f'methods_changed_at is read from "{theirs}", and' if column else "methods_changed_at:"
            yield f"{where} {why}: that looks like the refresh of a report. {every}"

    def _refreshed(self) -> str | None:
        """The reason why the instants look like those of a report's refresh; None if they do not."""
        commonest = sum(count for _, count in self._minutes.most_common(3))
        if len(self._minutes) <= _FEW * self.changed or commonest >= self.changed / 2:
            shared = "1 instant" if len(self._minutes) == 1 else f"{min(3, len(self._minutes))} instants"
            return f"{commonest:,} of {self.changed:,} accounts share {shared} of it"
        hours = sorted(self._hours)
        newest = hours[-1] if hours else 0
        lately = sum(count for hour, count in self._hours.items() if newest - hour <= _TOGETHER // timedelta(microseconds=1))
        if lately >= 0.9 * self.changed:
            return f"{lately:,} of {self.changed:,} accounts have an instant of the same two days"
        return None
