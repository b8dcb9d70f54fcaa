"""What a decision depends on (`Rules`), and the decisions on one part of a read (`Decided`), which `migrate.decide.draft` adds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TypeVar

import pandas as pd
import pyarrow as pa

from migrate.core.letters import Judge, LeftOut
from migrate.core.moment import Moment
from migrate.core.standing import PolicySettings
from migrate.core.waves import Waves
from migrate.mail.compose import Composer
from migrate.mail.letter import Letter

Frames = tuple[pd.DataFrame, ...]
Samples = Mapping[tuple[str, str], Letter]
"""(kind, language) → a sample letter."""
_Count = TypeVar("_Count", int, Counter[str])


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything a decision depends on, besides the accounts and what the ledger remembers.

    `basis`: a digest of the method mapping and the policy. `domain`: the sender's. `left_out`: which letters an approved plan keeps back,
    if one is applied. `as_baseline`: the changes of this read are recorded but confirmed to nobody. `secret`: the key for the MAC of a plan
    (`migrate.review.vouching`), None before there is one. `waves`: which account has which days.
    """

    policy: PolicySettings
    moment: Moment
    basis: str
    composer: Composer
    domain: str
    judge: Judge
    left_out: LeftOut = lambda letters: pd.Series("", index=letters.index, dtype="str")
    as_baseline: bool = False
    secret: str | None = None
    waves: Waves = field(kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts of a read or of a part of it.

    * `read`: all rows. `accepted`: rows that are accounts.
    * `known`: accounts of the last read. `missing`: those of them without an accepted row. `rejected_known`: those whose row was rejected.
    * `mailed_changes`: accounts with a change that is confirmed by mail. `confirmed_later`: accounts that are told of it another day.
    * `reminders`: letters that are not mandatory. `written_to`: accounts with a letter.
    * `defaults_not_registered`: accounts whose default method they have not registered.
    * `too_many_addresses`: accounts with more addresses than are mailed.
    * `standings`: accounts by standing; a known account whose row was rejected counts by its recorded standing.
    * `not_certain`: those of `standings` that have a second step of an unknown kind.
    * `changes_seen`: changes by their word. `outcomes`: rows by outcome.
    """

    read: int = 0
    accepted: int = 0
    known: int = 0
    missing: int = 0
    rejected_known: int = 0
    mailed_changes: int = 0
    reminders: int = 0
    written_to: int = 0
    defaults_not_registered: int = 0
    too_many_addresses: int = 0
    confirmed_later: int = 0
    standings: Counter[str] = field(default_factory=Counter)
    not_certain: Counter[str] = field(default_factory=Counter)
    changes_seen: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)


def added(one: Tally, other: Tally) -> Tally:
    """The sum of two tallies; words keep the order in which they were first counted."""
    return Tally(**{each.name: _plus(getattr(one, each.name), getattr(other, each.name)) for each in fields(Tally)})


def _plus(one: _Count, other: _Count) -> _Count:
    if isinstance(one, Counter):
        both = Counter(one)
        both.update(other)  # `+` would drop words with a count of 0
        return both
    return one + other


def counted(words: pd.Series) -> Counter[str]:
    """How often each word occurs, the most frequent first."""
    return Counter({str(word): int(number) for word, number in words.value_counts().items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The accounts of a part that have an open change to confirm. The frames are aligned by row, except `changes` and `merged`.

    * `accounts`: as read. `record`: as they will be recorded, once the outcome is filled in. `prior`: as recorded at the last read,
      meaningless where `known` is false. `plain`: as in `migrate.directory.snapshot.Range`.
    * `changes`: the changes to confirm (`OPEN_COLUMNS`). `merged`: `account_id`, `seq` of changes that a later one covers.
    """

    accounts: pd.DataFrame
    record: pd.DataFrame
    prior: pd.DataFrame
    known: pd.Series
    changes: pd.DataFrame
    plain: pd.Series
    merged: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The decisions on one part of a read: frames with the columns that `Draft` documents, and their counts.

    `merged`: `account_id`, `seq`. `doubled`: positions of rows that share an id. `case`: accounts that are finished once the whole read has
    been decided. `carried`: records of which only the outcome is new.
    """

    records: Frames = ()
    changes: Frames = ()
    letters: Frames = ()
    withdrawn: Frames = ()
    unsaid: Frames = ()
    rejected: Frames = ()
    merged: Frames = ()
    doubled: tuple[int, ...] = ()
    samples: Samples = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    case: Case | None = None
    carried: pa.Table | None = None
