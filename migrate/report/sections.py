"""The sections of the page: what was counted, as rows of the page's tables. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from migrate.core.standing import OUT_OF_SCOPE
from migrate.report import cells, words
from migrate.report.chronicle import Chronicle, Day
from migrate.report.moves import Move
from migrate.report.tables import NO_DEPARTMENT
from migrate.report.tally import Part, Where
from migrate.report.terms import Terms
from migrate.report.verdict import Flow, flow

if TYPE_CHECKING:
    import pandas as pd

EVERYBODY_ELSE: Final = "everybody else"
_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number at the top of the page, and what it was a week ago (None: not known)."""

    id: str
    name: str
    now: int
    then: int | None

    @property
    def change(self) -> str:
        if self.then is None:
            return ""
        by = self.now - self.then
        return "as a week ago" if not by else f"{'+' if by > 0 else '−'}{abs(by):,} in a week"


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the bar of all people in scope: its place and its width in per cent."""

    id: str
    name: str
    count: int
    at: float
    width: float


def group(word: str, compliant: frozenset[str]) -> str:
    """The group of the page that a standing belongs to."""
    return "not concerned" if word in OUT_OF_SCOPE else "have moved" if word in compliant else "must still move"


def figures(by_standing: Mapping[str, int], days: Sequence[Day], today: date, compliant: frozenset[str]) -> list[Figure]:
    """How many people must still move, have moved, and are not concerned: now, and on the last run day of a week ago or earlier."""
    settled = compliant | OUT_OF_SCOPE
    parts: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
        ("open", "must still move", lambda word: word not in settled),
        ("done", "have moved", lambda word: word in compliant),
        ("rest", "not concerned", lambda word: word in OUT_OF_SCOPE),
    )
    then = next((day.standing for day in reversed(days) if day.on <= today - _WEEK), None)

    def total(standings: Mapping[str, int], which: Callable[[str], bool]) -> int:
        return sum(count for word, count in standings.items() if which(word))

    return [Figure(id_, name, total(by_standing, which), None if then is None else total(then, which)) for id_, name, which in parts]


def pieces(moved: int, left: int) -> list[Piece]:
    """The pieces of the bar of all people in scope."""
    total = moved + left
    share = round(100 * moved / total, 2) if total else 0.0
    both = [Piece("done", "have moved", moved, 0, share), Piece("open", "must still move", left, share, 100 - share)]
    return [piece for piece in both if piece.count]


def most(departments: list[tuple[str, Part]], left: int) -> str:
    """The department with the most people left to move, in a sentence; '' if that says nothing."""
    if len(departments) < 2 or not left:
        return ""
    name, part = departments[0]
    return f"{name} ({part.open:,} of {left:,})" if part.open * len(departments) > 1.5 * left else ""


def flows(chronicle: Chronicle, moves: Mapping[Move, int], week: Mapping[Move, int] | None, left: int) -> list[tuple[str, Flow]]:
    """Why the number of people left changed since the run before, and in seven days (`week` is None if no run is that old, or it is the
    run before)."""
    previous, terms = chronicle.previous, chronicle.terms
    if previous is None:
        return []
    before, ago = terms.day(previous.as_of), (terms.day(chronicle.run.as_of) - terms.day(previous.as_of)).days
    since = f"Since the last run, {words.day(before)}" + (f" ({words.many(ago, 'day')} ago)" if ago else "")
    found = [(since, flow(moves, left, terms.compliant))]
    return found if week is None else [*found, ("In the last seven days", flow(week, left, terms.compliant))]


_NAMES: Final[dict[Where, Callable[[str], str]]] = {
    "department": lambda name: name or NO_DEPARTMENT,
    "wave": lambda name: name or EVERYBODY_ELSE,
    "language": words.language,
    "account_type": lambda name: words.TYPES.get(name, name),
}


def ranked(found: Mapping[str, Part], where: Where) -> list[tuple[str, Part]]:
    """Parts under the names shown to people; those with the most people left come first."""
    names = pa.array([_NAMES[where](each) for each in found], pa.large_string())
    named = zip(cells.safe(names).to_pylist(), found.values(), strict=True)  # as the files have them
    return sorted(named, key=lambda each: (-each[1].open, each[0]))


def waves(found: Mapping[str, Part], terms: Terms, today: date) -> list[tuple[str, Part, date, int]]:
    """The waves in the order of the configuration, then everybody else, each with its cutoff and the days until then; empty if there are
    no waves."""
    made = []
    for name in (*terms.waves, "") if terms.waves else ():
        cutoff = terms.day(terms.cutoffs.get(name, terms.cutoff))
        made.append((name or EVERYBODY_ELSE, found.get(name, Part()), cutoff, (cutoff - today).days))
    return made


def letters(letters: Counter[tuple[str, str, str]], terms: Terms) -> list[tuple[str, str, dict[str, int]]]:
    """The letters of each stage: its name, the kind in words, and how many are in each state. Stages come in their order, then letters
    of no stage."""
    order: dict[str, int] = {stage.name: n for n, stage in enumerate(terms.stages)}
    rows: dict[tuple[int, str, str], Counter[str]] = {}
    for (kind, occasion, state), count in letters.items():
        name = occasion if occasion in order or occasion.startswith("T") else ""
        key = (order.get(name, len(order)), name, words.KINDS.get(kind, kind))
        rows.setdefault(key, Counter())[state if state in words.STATES else "queued"] += count
    return [(name, kind, dict(states)) for (_, name, kind), states in sorted(rows.items())]


@dataclass(frozen=True, slots=True)
class Granted:
    """An exemption or a pause. `until` is its last day, `days` how many days are left."""

    account_id: str
    name: str
    owner: str
    reason: str
    until: date
    days: int


def exceptions(granted: pd.DataFrame, names: Mapping[str, str], today: date) -> list[Granted]:
    """The exceptions that nobody took back: those that end soon, then those that last, then those that have ended."""
    there = granted[granted["removed_at"].isna()]
    made = []
    for account_id, owner, reason, last in there[["account_id", "owner", "reason", "until"]].astype("str").to_numpy().tolist():
        until = date.fromisoformat(last)
        made.append(Granted(account_id, names.get(account_id, ""), owner, reason, until, (until - today).days))
    return sorted(made, key=lambda each: (each.days < 0, abs(each.days), each.account_id))


def percent(part: float) -> str:
    """A part in per cent; it is 100 only if it is the whole."""
    return "100 %" if part == 100 else f"{min(part, 99.9):.1f} %"
