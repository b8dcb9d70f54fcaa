"""Moves: which accounts have another standing than in the evidence before, and why (moves.csv).

They are found in the pass over all accounts that makes accounts.csv, and in the versions of accounts that were superseded since. Those lie
together in the ledger, so that a quiet day costs almost nothing, however many accounts there are.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate.core.accounts import INSTANT, methods_of
from migrate.core.standing import STANDINGS, UNCERTAIN
from migrate.report import repeats
from migrate.report.accounts import RECORDED
from migrate.report.tables import MOVES

if TYPE_CHECKING:
    import pandas as pd

    from migrate.report.chronicle import Chronicle

NOWHERE: Final = ""
"""Stands for the standing of an account that is not in the directory."""

WHYS: Final[dict[str, str]] = {
    "switched": "has an accepted method that it had not, or no retired one any more",
    "went back": "has no accepted method any more, or a retired one again, or lost its second step",
    "joined": "is in the directory for the first time, or another person has its id",
    "left": "is not in the directory any more",
    "returned": "was gone, and is the same person",
    "disabled": "cannot sign in any more",
    "enabled": "can sign in again",
    "default changed": "uses another of its methods first",
    "exempted": "an exemption began",
    "exemption ended": "an exemption ended",
    "to SSO": "signs in through SSO now",
    "from SSO": "does not sign in through SSO any more",
    "reclassified": "the policy or the words for methods changed, or a method that nobody knows by name came or went",
}
"""Why an account moved: the word in moves.csv → what it says of the account."""

SUPERSEDED_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str",
    "tenure": "int32",
    "standing": "str",
    "gone_at": INSTANT,
    "federated": "bool",
    "methods": "int32",
    "basis": "str",
}
"""The record of an account at the evidence before."""
WALKED: Final = (*RECORDED, "federated", "first_seen_at")
"""The columns of a record that the pass over the accounts needs."""
_COMPARED: Final = ("account_id", "standing", "tenure", "federated", "methods", "first_seen_at")

_BY_DEFAULT: Final = ("sms_default", "sms_fallback")
_ACCEPTED: Final = ("sms_default", "sms_fallback", "migrated")
"""The standings of accounts with an accepted method, the best last."""
_UNNAMED: Final = UNCERTAIN | methods_of(("backup_code",))
_ORDER: Final = (*STANDINGS, NOWHERE)

Move = tuple[str, str, str]
"""From which standing, to which, and why. `NOWHERE` stands for the time before an account was in the directory, and after."""


def why(was: str, now: str, *, federated: tuple[bool, bool], methods: tuple[int, int], rebased: bool) -> str:
    """Why an account that was in the directory both times has another standing: the first word of `WHYS` that applies.

    `federated` and `methods` (bits) are its values before and now; `rebased` is true if the mapping of methods or the policy changed.
    """
    if "inactive" in (was, now):
        return "disabled" if now == "inactive" else "enabled"
    if "exempt_sso" in (was, now):
        return "reclassified" if federated[0] == federated[1] else "to SSO" if now == "exempt_sso" else "from SSO"
    if "exempt" in (was, now):
        return "exempted" if now == "exempt" else "exemption ended"
    differ = methods[0] ^ methods[1]
    if rebased or (differ and not differ & ~_UNNAMED):
        return "reclassified"
    if was in _BY_DEFAULT and now in _BY_DEFAULT:
        return "default changed"
    if not differ:
        return "reclassified"
    return "switched" if now in _ACCEPTED and (was not in _ACCEPTED or _better(was, now)) else "went back"


def _better(was: str, now: str) -> bool:
    return _ACCEPTED.index(was) < _ACCEPTED.index(now)


class Moves:
    """Counts the moves since the evidence before, part by part."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._first = chronicle.previous is None
        self._basis = chronicle.run.basis
        self._last: str | None = None
        self.counts: Counter[Move] = Counter()

    def add(self, records: pa.Table) -> None:
        """Takes some accounts (`WALKED`), whose ids are greater than those of all earlier parts."""
        there = records.select(_COMPARED).filter(pc.is_null(records["gone_at"]))
        if self._first:
            self._count("joined", there["standing"])
        elif records.num_rows:
            self._compare(there, records["account_id"][-1].as_py())

    def end(self) -> None:
        """Takes the accounts with ids above all parts: those that have no record any more."""
        if not self._first:
            self._compare(None, None)

    def table(self) -> pd.DataFrame:
        """The moves as rows of `MOVES`."""
        import pandas as pd

        whys = list(WHYS)
        ranked = sorted(self.counts.items(), key=lambda item: (_ORDER.index(item[0][0]), _ORDER.index(item[0][1]), whys.index(item[0][2])))
        rows = [(was or None, now or None, word, count) for (was, now, word), count in ranked if count]
        return pd.DataFrame(rows, columns=list(MOVES.columns)).astype({"from": "str", "to": "str", "why": "str", "count": "int64"})

    def _count(self, word: str, standings: pa.ChunkedArray) -> None:
        for each in pc.value_counts(standings).to_pylist():
            self.counts[NOWHERE, each["values"], word] += each["counts"]

    def _compare(self, there: pa.Table | None, high: str | None) -> None:
        """Compares the accounts up to and including the id `high` (None: all further ones) with their earlier records; `there` are those
        of them that are in the directory."""
        superseded = self._chronicle.superseded(self._last, high)
        self._last = high
        before = pa.array(superseded["account_id"], pa.string())
        if there is None:
            place = np.full(len(superseded), -1)
        else:
            known = pc.is_in(there["account_id"], before)
            self._arrived(there, known)
            there = there.filter(known)
            place = pc.fill_null(pc.index_in(before, there["account_id"].combine_chunks().cast(pa.string())), -1).to_numpy()
        if not len(superseded):
            return
        is_there = place >= 0
        rows = np.where(is_there, place, 0)
        was = superseded["standing"].mask(superseded["gone_at"].notna(), NOWHERE).to_numpy(object)
        now, tenure = np.full(len(superseded), NOWHERE, object), np.zeros(len(superseded), "int64")
        if there is not None and is_there.any():
            now[is_there] = there["standing"].take(pa.array(rows[is_there])).to_numpy()
            tenure[is_there] = there["tenure"].take(pa.array(rows[is_there])).to_numpy()
        another = is_there & (tenure != superseded["tenure"].to_numpy())
        arrives, leaves = (was == NOWHERE) | another, (now == NOWHERE) | another
        for at in np.flatnonzero(arrives & is_there):
            self.counts[NOWHERE, str(now[at]), "joined" if another[at] else "returned"] += 1
        for standing, count in Counter(was[leaves & (was != NOWHERE)]).items():
            self.counts[standing, NOWHERE, "left"] += count
        stays = ~arrives & ~leaves & (was != now)
        if there is not None and stays.any():
            self._explain(superseded[stays], there.take(pa.array(place[stays])))

    def _arrived(self, there: pa.Table, known: pa.ChunkedArray) -> None:
        """Counts the accounts that joined. Those that are `known` have a version that was superseded since the evidence before."""
        if new := self._chronicle.arrived(there):
            ids = there["account_id"]
            joined = pc.and_(pc.is_in(ids, pa.array(new, ids.type)), pc.invert(known))
            self._count("joined", there["standing"].filter(joined))

    def _explain(self, was: pd.DataFrame, now: pa.Table) -> None:
        """Counts accounts that moved and were in the directory both times; `was` and `now` have the same accounts in the same order."""
        rebased = pa.array(was["basis"] != self._basis)
        before = [pa.array(was[name]) for name in ("standing", "federated", "methods")]
        after = [repeats.whole(now[name]) for name in ("standing", "federated", "methods")]
        alike = repeats.combinations([*before, *after, rebased])
        told = zip(*(alike.values(column) for column in (*before, *after, rebased)), alike.counts, strict=True)
        for from_, was_federated, had, to, is_federated, has, other_basis, count in told:
            word = why(from_, to, federated=(was_federated, is_federated), methods=(had, has), rebased=other_basis)
            self.counts[from_, to, word] += count
