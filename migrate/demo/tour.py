"""The story of the demo: a line for each eventful day, and at the end what happened, where to look, and what to type next.

It knows of the job only what `migrate run --json` prints. Numbers about letters and standings come from the job, numbers about people from
the sample directory, so that one can be checked against the other.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from migrate.core.standing import STANDINGS
from migrate.demo.calendar import MAIL_DAYS, MISSED
from migrate.demo.config import CAMPAIGN, STAGES
from migrate.demo.moves import PHRASES, What
from migrate.demo.world import Happening

RunSummary = Mapping[str, Any]
"""The object of `migrate run --json` (design §15), of which the tour reads: `as_of` (ISO 8601), `read`, and counts by word in `standing`,
`changes`, `outcomes` and `letters`."""


class Step(Protocol):
    """Moves a progress bar to `done` of `total`."""

    def __call__(self, done: int, total: int | None = None, /) -> None: ...


class Console(Protocol):
    """The output of the command line, which knows whether it is a terminal."""

    def say(self, text: str = "") -> None:
        """One line."""

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
        """Rows under their columns."""

    def progress(self, what: str) -> AbstractContextManager[Step]:
        """A progress bar with a label, while the context lasts."""


@dataclass(frozen=True, slots=True)
class DayLived:
    """One day of the demo: what happened to people since the day before, and the summary of each run, in order. `stopped` is what
    the guard said that stopped a run before them; '' if none did."""

    day: date
    happened: tuple[Happening, ...]
    runs: tuple[RunSummary, ...]
    stopped: str = ""


_DATED: Final[tuple[What, ...]] = ("id_reused", "vanished", "came_back", "moved_domain", "moved_to_sso", "cut_off")
"""Events that get a line on their day. All others happen nearly every day and are counted at the end."""

_PLACES: Final = {
    "reports/latest/action-list.csv": "who still has to act, administrators first",
    "reports/latest/accounts.csv": "every account: standing, outcome, last letter",
    "reports/latest/summary.csv": "departments and standings in numbers",
    "reports/latest/rejected.csv": "rows of the directory that are no account, and why",
    "reports": "the evidence of every run, a folder each",
    "outbox/new": "every letter, a file each; any mail reader opens the Maildir",
    "migrate.db": "the ledger: who was told what, and when",
    "directory.db": "the directory itself; change a row and run again",
    "config.toml": "the campaign's configuration",
}
"""Path in the demo's folder → what is to be seen there."""

_TOLD_OF: Final[dict[str, date | None]] = {
    "the campaign on one page, a week before the cutoff: will everybody have moved?": CAMPAIGN.cutoff_date - timedelta(days=7),
    "the same page on the day of the cutoff": CAMPAIGN.cutoff_date,
    "the same page today: whom it hit, and who has not come back": None,
}
"""Page at the end of the tour → the day that it shows; None for the last."""


def line_of(lived: DayLived) -> str | None:
    """The line about a day; None for an ordinary day."""
    said = []
    if lived.day in MISSED:
        said.append(f"no run: {MISSED[lived.day]}")
    if lived.stopped:
        said.append("the export broke off, and a guard stopped the run: nothing was recorded or sent; an hour later it was whole again")
    for stage, mailed in zip(STAGES, MAIL_DAYS, strict=True):
        if mailed == lived.day:
            late = "" if stage.on == mailed else f"{stage.name} made up for: "
            said.append(f"{late}{lived.runs[0]['read']:,} rows read, {_letters(lived.runs[0])}")
    said += [f"cron fired again: {_letters(again)}" for again in lived.runs[1:]]
    counts = Counter(happening.what for happening in lived.happened)
    said += [f"{counts[what]:,} {PHRASES[what]}" for what in _DATED if counts[what]]
    stage_name = next((stage.name for stage in STAGES if stage.on == lived.day), "")
    return f"{lived.day:%a %d %b %Y}  {stage_name:<5}  {'; '.join(said)}" if said else None


def _letters(run: RunSummary) -> str:
    sent = run["letters"]["sent"]
    return f"{sent:,} letter{'' if sent == 1 else 's'} sent" if sent else "nothing sent"


class Tour:
    """The story of a demo in `folder`, from its days."""

    def __init__(self, folder: Path, days: Iterable[DayLived]) -> None:
        self._folder = folder
        self._days = tuple(days)
        self._runs = tuple(run for lived in self._days for run in lived.runs)
        self._happenings = tuple(happening for lived in self._days for happening in lived.happened)

    @property
    def happened(self) -> dict[What, int]:
        """What happened to people, and to how many of them; in the order of `PHRASES`."""
        counts = Counter(happening.what for happening in self._happenings)
        return {what: counts[what] for what in PHRASES if counts[what]}

    @property
    def letters(self) -> dict[str, int]:
        """How many letters reached each state, over all runs; `queued` is what still waits after the last one."""
        settled: Counter[str] = Counter()
        for run in self._runs:
            settled.update({state: count for state, count in run["letters"].items() if state != "queued"})
        return {**settled, "queued": self._runs[-1]["letters"]["queued"]}

    @property
    def changes(self) -> dict[str, int]:
        """The changes that the runs saw, by kind."""
        seen: Counter[str] = Counter()
        for run in self._runs:
            seen.update(run["changes"])
        return {change: count for change, count in seen.most_common() if count}

    @property
    def adding_up(self) -> int:
        """How many runs gave every row that they read exactly one outcome."""
        return sum(sum(run["outcomes"].values()) == run["read"] for run in self._runs)

    @property
    def places(self) -> dict[str, str]:
        """Path → what it shows; only files that exist."""
        return {str(self._folder / place): seen for place, seen in _PLACES.items() if (self._folder / place).exists()}

    @property
    def pages(self) -> dict[str, str]:
        """Page → the day that it shows: a week before the cutoff, the cutoff day, the last day; and the run that a guard stopped."""
        found = {}
        for said, day in _TOLD_OF.items():
            runs = [run for lived in self._days if day is None or lived.day == day for run in lived.runs]
            if runs and runs[-1].get("evidence") and (page := Path(str(runs[-1]["evidence"])) / "report.html").exists():
                found[str(page)] = said
        stopped = sorted((self._folder / "reports").glob("stopped-*/review.html"))
        return {**{str(page): "the run that a guard stopped, as it would have been" for page in stopped}, **found}

    @property
    def commands(self) -> dict[str, str]:
        """Command → what it shows."""
        migrate = f"migrate --config {shlex.quote(str(self._folder / 'config.toml'))}"
        last = datetime.fromisoformat(self._runs[-1]["as_of"]).astimezone(UTC)
        back, reused = self._first("back_to_sms"), self._first("id_reused")
        return {
            f"{migrate} status": "the campaign at a glance",
            f"{migrate} explain {back}": "somebody who went back to text messages: what they were told, and when",
            f"{migrate} explain {reused}": "an id that two people have had: the second never hears of the first",
            f"{migrate} run --as-of {_typed(last + timedelta(hours=1))}": "the last day once more: nobody is told anything twice",
            f"{migrate} dry-run --as-of {_typed(last + timedelta(days=1))}": "what the next day's run would do, without doing it",
            f"{migrate} preview final_reminder": "a mail as people see it",
        }

    def facts(self) -> dict[str, object]:
        """The story as one JSON object, for `migrate demo --json`."""
        return {
            "folder": str(self._folder), "days": len(self._days), "runs": len(self._runs),
            "missed": [lived.day for lived in self._days if not lived.runs],
            "twice": [lived.day for lived in self._days if len(lived.runs) > 1],
            "happened": self.happened, "letters": self.letters, "changes": self.changes, "outcomes_add_up": self.adding_up,
            "standing_at_opening": self._runs[0]["standing"], "standing_at_end": self._runs[-1]["standing"],
            "stopped": [lived.day for lived in self._days if lived.stopped],
            "pages": list(self.pages), "places": list(self.places), "commands": list(self.commands),
        }  # fmt: skip

    def tell(self, console: Console) -> None:
        """Prints the story."""
        console.say()
        console.table(("people", "what they did"), [(n, PHRASES[what]) for what, n in self.happened.items()], title="What happened")
        console.say()
        first, last = self._runs[0]["standing"], self._runs[-1]["standing"]
        rows = [(word, first.get(word, 0), last.get(word, 0)) for word in STANDINGS]
        console.table(("standing", "at the opening", "at the end"), rows)
        console.say()
        console.table(("changes seen", "accounts"), list(self.changes.items()))
        console.say()
        console.table(("letters", "number"), list(self.letters.items()))
        console.say()
        missed, twice = sum(lived.day in MISSED for lived in self._days), sum(len(lived.runs) > 1 for lived in self._days)
        console.say(f"{len(self._days)} days, {len(self._runs)} runs on working days; missed days: {missed}, days with two runs: {twice}.")
        console.say(f"Every row read ended in exactly one outcome, and the counts added up, in {self.adding_up} of {len(self._runs)} runs.")
        console.say()
        console.table(("where to look", "for what"), list(self.places.items()))
        console.say()
        console.say("Next, try:")
        for command, shows in self.commands.items():
            console.say(f"  # {shows}")
            console.say(f"  {command}")
        if self.pages:
            console.say()
            console.say("To look at in a browser:")
            for page, seen in self.pages.items():
                console.say(f"  # {seen}")
                console.say(f"  {page}")

    def _first(self, what: What) -> str:
        return next(happening.account_id for happening in self._happenings if happening.what == what)


def _typed(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
