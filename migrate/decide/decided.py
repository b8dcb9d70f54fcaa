"""What a decision depends on (`Rules`), and what a part of a read comes to (`Decided`): values that `migrate.decide.draft` adds up."""

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
"""(kind, language) → a letter to look at."""
_Count = TypeVar("_Count", int, Counter[str])


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything a decision depends on besides accounts and memory. `basis` digests the method mapping and the policy;
    `domain` is the sender's; `left_out` is what an approved plan says, if one is applied;
    with `as_baseline` the changes of this read are recorded and nobody is told of them; `secret` vouches for a plan of it
    (`migrate.review.vouching`), None before there is one; `waves` say whose days are whose."""

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
    """What is counted of accounts.

    `read` are all rows, `accepted` those that are accounts. `missing` counts known accounts without an accepted row, of the `known` of the
    last read, `rejected_known` those of them whose row was rejected; `mailed_changes` accounts with a change that is confirmed by mail.
    `reminders` are the letters that are not mandatory; `written_to` the accounts with a letter. `defaults_not_registered` accounts have a
    default that is no method of theirs; `too_many_addresses` more addresses than are mailed; `confirmed_later` a change of which they are
    told another day. `standings` counts accounts by standing, those too whose row was rejected, as they are recorded; `not_certain` those
    of them with a second step that nobody knows by name.
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
    """Both tallies together; words stay in the order in which they were first counted."""
    return Tally(**{each.name: _plus(getattr(one, each.name), getattr(other, each.name)) for each in fields(Tally)})


def _plus(one: _Count, other: _Count) -> _Count:
    if isinstance(one, Counter):
        both = Counter(one)
        both.update(other)  # unlike `+` it keeps the place of a word that was counted as 0
        return both
    return one + other


def counted(words: pd.Series) -> Counter[str]:
    """How often each word is there, the commonest first."""
    return Counter({str(word): int(number) for word, number in words.value_counts().items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Accounts with an open change to confirm: as read, as they are to be recorded but for the outcome, as recorded; the changes; and those
    (`account_id`, `seq`) that are told of with a later one."""

    accounts: pd.DataFrame
    record: pd.DataFrame
    prior: pd.DataFrame
    known: pd.Series
    changes: pd.DataFrame
    plain: pd.Series
    merged: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a part of a read comes to: frames with the columns that `Draft` says, and what is counted of them.

    `merged` has `account_id`, `seq`; `doubled` are positions of rows that share an id. A `case` is still to be decided, once the whole read
    has been seen. `carried` are records that are as they were but for the outcome.
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
