"""The tally: what the page counts besides the tables, in the same pass over the accounts. Counts of parts add up to those of the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.core.standing import OUT_OF_SCOPE
from migrate.mail.addresses import problems
from migrate.report import repeats, words
from migrate.report.chronicle import Chronicle
from migrate.report.moves import Move, Moves
from migrate.report.told import Letters
from migrate.report.words import NO_DESTINATION

Where = Literal["department", "wave", "language", "account_type"]
WHERE: Final[tuple[Where, ...]] = ("department", "wave", "language", "account_type")
LATELY: Final = timedelta(days=7)
NAMED: Final = 25
"""The page names at most so many administrators, and so many people whom mail does not reach."""

_SHOWN: Final = ("account_id", "username", "display_name", "department")
_OF_OPEN: Final = ("at_cutoff", "destination", "privileged", "notices_sent", "email", "outcome", "last_notice_state", *_SHOWN)
"""The columns of those who must still move."""
_COUNTED: Final = (*_OF_OPEN, "wave", "account_type", "standing", "compliant", "migrated_at")
"""The columns of `ACCOUNTS` that are looked at."""


@dataclass(slots=True)
class Part:
    """Counts of some accounts: how many are in scope, how many of them must still move (`open`), and how many moved in the last seven
    days."""

    in_scope: int = 0
    open: int = 0
    lately: int = 0

    @property
    def done(self) -> float:
        """The people who have moved, in per cent of those in scope."""
        return 100 * (self.in_scope - self.open) / self.in_scope if self.in_scope else 100.0


@dataclass(slots=True)
class Harm:
    """How many people the cutoff harms in one way, how many of them are administrators, and to how many of them no letter was sent."""

    people: int = 0
    administrators: int = 0
    untold: int = 0


@dataclass(frozen=True, slots=True)
class Unreached:
    """Somebody who must still move and whom mail does not reach; `why` is a word of `words.BECAUSE`."""

    account_id: str
    name: str
    department: str
    why: str


@dataclass(slots=True)
class Counted:
    """All counts. `cut` is of everybody in scope: their wave, what the cutoff does or did to them, and whether they are compliant.
    `letters` are by kind, occasion and state. `names` are those of the accounts that were asked for."""

    where: dict[Where, dict[str, Part]] = field(default_factory=lambda: {each: {} for each in WHERE})
    harms: dict[str, Harm] = field(default_factory=dict)
    cut: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    letters: Letters = field(default_factory=Counter)
    unreached: Counter[str] = field(default_factory=Counter)
    unreached_people: list[Unreached] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    week: Counter[Move] | None = None


class Tally:
    """Counts accounts part by part; `names` are the ids of accounts whose names will be needed."""

    def __init__(self, chronicle: Chronicle, names: Collection[str]) -> None:
        self.found = Counted()
        self._as_of: datetime = chronicle.run.as_of
        self._names = frozenset(names)
        self._dead = chronicle.dead()
        week = chronicle.week()
        self._week = Moves(week) if week else None

    def add(self, records: pa.Table, accounts: pa.Table) -> None:
        """Takes a part: the records (`WALKED`), and the same accounts as rows of `ACCOUNTS`."""
        if self._week:
            self._week.add(records)
        column = {name: repeats.whole(accounts[name]) for name in _COUNTED}
        there = pc.is_null(records["gone_at"])
        column["language"] = _language(repeats.whole(records["locale"].filter(there)))
        in_scope = ~repeats.among(column["standing"], OUT_OF_SCOPE)
        column["in_scope"] = pa.array(in_scope)
        self._where(column)
        self._name(column)
        self._open(column)

    def end(self, letters: Letters) -> Counted:
        """The counts, once all parts were added; `letters` are those of all accounts."""
        self.found.letters = letters
        if self._week:
            self._week.end()
            self.found.week = self._week.counts
        return self.found

    def _where(self, column: dict[str, pa.Array]) -> None:
        lately = pc.greater(repeats.plain(column["migrated_at"]), pa.scalar(self._as_of - LATELY, pa.timestamp("us", tz="UTC")))
        column["lately"] = pc.fill_null(lately, fill_value=False)
        for where in WHERE:
            parts = self.found.where[where]
            for (name, inside, done, moved), count in _counted(column, (where, "in_scope", "compliant", "lately")):
                if inside:
                    part = parts.setdefault(name or "", Part())
                    part.in_scope += count
                    part.open += 0 if done else count
                    part.lately += count if done and moved else 0

    def _name(self, column: dict[str, pa.Array]) -> None:
        if self._names:
            ids = repeats.plain(column["account_id"])
            known = pc.is_in(ids, pa.array(sorted(self._names), ids.type))
            names = repeats.plain(column["display_name"]).filter(known).to_pylist()
            for account_id, name in zip(ids.filter(known).to_pylist(), names, strict=True):
                self.found.names[account_id] = name or ""

    def _open(self, column: dict[str, pa.Array]) -> None:
        """Counts the people in scope by what the cutoff does to them, and those who must still move by how they are reached."""
        for (wave, word, done, inside), count in _counted(column, ("wave", "at_cutoff", "compliant", "in_scope")):
            if inside:
                self.found.cut[wave or "", word, bool(done)] += count
        still = pc.and_not(column["in_scope"], repeats.plain(column["compliant"]))
        column = {name: column[name].filter(still) for name in _OF_OPEN}
        column["told"] = pc.greater(repeats.plain(column["notices_sent"]), 0)
        for (word, destination, privileged, told), count in _counted(column, ("at_cutoff", "destination", "privileged", "told")):
            harm = self.found.harms.setdefault(NO_DESTINATION if destination == "no" else word, Harm())
            harm.people += count
            harm.administrators += count if privileged else 0
            harm.untold += 0 if told else count
        self._reach(column)

    def _reach(self, column: dict[str, pa.Array]) -> None:
        email, outcome, last = (repeats.plain(column[name]).to_pandas().astype("str") for name in ("email", "outcome", "last_notice_state"))
        why = pd.Series("", index=email.index, dtype="str")
        why = why.mask(outcome.isin(("domain_not_allowed", "unrenderable")), outcome)
        why = why.mask(last.eq("failed"), "failed")
        why = why.mask(email.str.lower().isin(self._dead), "bounced")
        untold = email[last.ne("sent").fillna(value=True)]
        why = why.mask(problems(untold).reindex(email.index).notna(), "bad_address")
        why = why.mask(email.isna(), "no_address")
        for at in why.index[why.ne("")]:
            self.found.unreached[str(why[at])] += 1
            if len(self.found.unreached_people) < NAMED:
                one = {name: column[name][at].as_py() or "" for name in _SHOWN}
                named = one["display_name"] or one["username"]
                self.found.unreached_people.append(Unreached(one["account_id"], named, one["department"], str(why[at])))


def _counted(column: dict[str, pa.Array], names: Iterable[str]) -> Iterable[tuple[tuple[Any, ...], int]]:
    """The combinations of values in some columns, each with how many rows have it."""
    columns = [column[name] for name in names]
    found = repeats.combinations(columns)
    return zip(zip(*(found.values(each) for each in columns), strict=True), found.counts, strict=True)


def _language(locales: pa.Array) -> pa.Array:
    """The languages of locales: `de` for `de-AT`."""
    short = repeats.dictionary(locales)
    return repeats.with_values(short, pa.array([words.tag(locale) for locale in short.dictionary.to_pylist()], pa.large_string()))
