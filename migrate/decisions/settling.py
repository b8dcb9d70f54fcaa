"""A person's decision on letters that failed or are uncertain: to send them again, or that one arrived (design §9, §11)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import pandas as pd
import sqlalchemy as sa

from migrate import outbox
from migrate.core.kinds import MANDATORY
from migrate.core.standing import OUT_OF_SCOPE
from migrate.core.words import CUTOFF_MOVED, PAST_CUTOFF
from migrate.decide.addressing import judge
from migrate.decisions.decider import Decider, words
from migrate.errors import GuardError, LedgerError
from migrate.explain.find import elsewhere
from migrate.ledger import bounces, exemptions
from migrate.ledger.listed import BATCH
from migrate.ledger.references import as_typed
from migrate.ledger.states import LetterState
from migrate.outbox import again
from migrate.outbox.again import Candidate, Other
from migrate.outbox.transitions import FRESH, move

_MOVED: Final = "moved_meanwhile"


class Pointless(NamedTuple):
    """Why a letter should not be sent any more: a `word` to count by, and the end of a sentence about the letter."""

    word: str
    says: str


@dataclass(frozen=True, slots=True)
class LetterDecision:
    """A decision on a letter: the state that it `was` in and the one that it is in now; `by` whom, and the `reason`.

    `cleared` is the status code (RFC 3463) for which its address counted as dead until now; None if it did not.
    """

    reference: str
    account_id: str
    kind: str
    occasion: str
    to: str
    was: LetterState
    state: LetterState
    by: str
    reason: str
    cleared: str | None = None

    def facts(self) -> dict[str, Any]:
        """The object of `--json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are meant: those in a `state` (failed or uncertain) since an instant, of a `kind`, and with a text in the server's
    last `reply`, in any case. None stands for any."""

    state: LetterState
    reply: str | None = None
    kind: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The selected letters: those that may be sent again, and how many stay as they are, by the word of `Pointless`."""

    state: LetterState
    going: tuple[Candidate, ...]
    left: dict[str, int]

    @property
    def reminders(self) -> int:
        """How many of the letters that may be sent again are reminders: everything but mandatory mail."""
        return sum(each.kind not in MANDATORY for each in self.going)


@dataclass(frozen=True, slots=True)
class Resent:
    """Letters that were put back: how many went from the state they were in (`was`) into the queue, and how many stayed, by reason.

    `cleared` is how many of their addresses counted as dead until now.
    """

    was: LetterState
    queued: int
    left: dict[str, int]
    cleared: int
    by: str
    reason: str


def resend(decider: Decider, reference: str, reason: str) -> LetterDecision:
    """Puts a failed or uncertain letter back into the queue, with the same reference and Message-ID. This clears its address if that
    counted as dead: the next runs mail it too.

    Raises ConfigError if `reason` is empty or the letter is of another campaign, and LedgerError if there is no such letter or it is in
    another state. Raises LedgerError too if its domain is no longer allowed, and for a reminder that is not true any more: the account's
    standing asks for none, an exemption or a pause is in force, the cutoff has passed or was moved, a newer letter was written, the same
    letter went to another address, or the id belongs to another person.
    """
    found = _found(decider, reference)
    # For a letter in any other state `outbox.decide` raises the error.
    if found is not None and found["state"] in ("failed", "uncertain"):
        _, left = _sift(decider, [again.one(decider.connection, found["id"])], found["state"])
        if left:
            raise LedgerError(
                f"letter {as_typed(reference)} would be pointless: {left[0].says}; nothing was changed.",
                hint=f"`migrate explain {as_typed(reference)}` shows it.",
            )
    decided = _decide(decider, found, reference, "queued", reason)
    cleared = _alive(decider, [decided.to], decided.reason)
    return replace(decided, cleared=cleared[0].code if cleared else None)


def choose(decider: Decider, wanted: Wanted) -> Chosen:
    """Selects letters, and decides which of them may be sent again by the rules of `resend`; changes nothing.

    Of several reminders to one account only the newest is sent: older stages are never sent late.
    """
    candidates = again.found(
        decider.connection, decider.campaign_id, wanted.state, reply=wanted.reply, kind=wanted.kind, since=wanted.since
    )
    return _chosen(decider, candidates, wanted.state)


def within(chosen: Chosen, most: int, count: int | None) -> None:
    """Raises GuardError if more than `most` reminders (`safety.max_messages`) may be sent again, unless `count` gives the exact number
    of letters."""
    if chosen.reminders <= most or count == len(chosen.going):
        return
    counted = "" if count is None else f", and not {count:,}"
    raise GuardError(
        f"{len(chosen.going):,} letters may go again{counted}, {chosen.reminders:,} of them reminders: more than [safety] max_messages = "
        f"{most:,} that go without a person's word for the number; nothing was changed.",
        hint=f"Look at them with --dry-run. If that is meant, type the same with --count {len(chosen.going)}.",
    )


def resend_all(decider: Decider, letters: Collection[int], state: LetterState, reason: str) -> Resent:
    """Puts letters (ids) in a state back into the queue together, by the rules of `resend`, and clears their addresses. Those that may
    not be sent any more stay, and are counted. Raises ConfigError if `reason` is empty."""
    said = words(reason, "--reason")
    chosen = _chosen(decider, again.found(decider.connection, decider.campaign_id, state, among=letters), state)
    by_id = {each.letter_id: each for each in chosen.going}
    moved = move(
        decider.connection, sorted(by_id), state, "queued", at=decider.now, actor=decider.by, reason=said, values=FRESH
    )  # fmt: skip
    cleared = _alive(decider, {by_id[letter_id].address for letter_id in moved}, said)
    gone_on = len(letters) - len(moved) - sum(chosen.left.values())
    left = chosen.left | ({_MOVED: gone_on} if gone_on else {})
    return Resent(state, len(moved), left, len(cleared), decider.by, said)


def settle(decider: Decider, reference: str, reason: str) -> LetterDecision:
    """Records that an uncertain letter arrived, as a person found: it counts as sent. Raises LedgerError if there is no such letter or it
    is in another state, and ConfigError if `reason` is empty or the letter is of another campaign."""
    return _decide(decider, _found(decider, reference), reference, "sent", reason)


def _alive(decider: Decider, addresses: Collection[str], reason: str) -> list[bounces.DeadAddress]:
    return bounces.clear(
        decider.connection, decider.campaign_id, decider.now, by=decider.by, reason=reason, addresses=addresses
    )  # fmt: skip


def _decide(decider: Decider, found: sa.RowMapping | None, reference: str, after: LetterState, reason: str) -> LetterDecision:
    said = words(reason, "--reason")
    outbox.decide(decider.connection, reference, after, decider.now, actor=decider.by, reason=said)
    assert found is not None  # decided on
    return LetterDecision(
        reference=found["reference"],
        account_id=found["account_id"],
        kind=found["kind"],
        occasion=found["occasion"],
        to=found["address"],
        was=found["state"],
        state=after,
        by=decider.by,
        reason=said,
    )


def _found(decider: Decider, reference: str) -> sa.RowMapping | None:
    found = outbox.find(decider.connection, reference)
    if found is not None and found["campaign_id"] != decider.campaign_id:
        raise elsewhere(found)
    return found


def _chosen(decider: Decider, candidates: Sequence[Candidate], state: LetterState) -> Chosen:
    going, left = _sift(decider, candidates, state)
    counts = Counter(why.word for why in left)
    return Chosen(state, tuple(going), dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))))


def _sift(decider: Decider, candidates: Sequence[Candidate], state: LetterState) -> tuple[list[Candidate], list[Pointless]]:
    """Splits candidates: those that may be sent again, in order of id; and the reasons against the others."""
    accounts = {each.account_id for each in candidates}
    excused = _excused(decider, accounts)
    outside = _outside(decider, {each.address for each in candidates})
    reminders: dict[tuple[str, int], list[Other]] = defaultdict(list)
    for other in again.others(decider.connection, decider.campaign_id, state, accounts):
        reminders[other.account_id, other.tenure].append(other)
    going: list[Candidate] = []
    left: list[Pointless] = []
    # The newest first, and of one notice the letter to the account's present address: that one goes, and the others do not.
    for each in sorted(
        candidates, key=lambda one: (one.notice_id, one.address.lower() == (one.email or "").lower(), one.letter_id), reverse=True
    ):
        others = reminders[each.account_id, each.tenure]
        why = outside.get(each.address) or _pointless(decider, each, excused.get(each.account_id)) or _overtaken(each, others)
        if why is not None:
            left.append(why)
            continue
        going.append(each)
        if each.kind not in MANDATORY:
            others.append(
                Other(each.letter_id, each.notice_id, each.account_id, each.tenure, each.occasion, each.address, "queued")
            )  # fmt: skip
    return sorted(going), left


def _excused(decider: Decider, accounts: Collection[str]) -> dict[str, Pointless]:
    """The accounts with an exemption or a pause in force, each with the one that ends last; an exemption goes before a pause."""
    found: dict[str, Pointless] = {}
    kinds: tuple[tuple[exemptions.Kind, str], ...] = (("pause", "has its mail paused"), ("exemption", "is exempt"))
    for kind, what in kinds:
        longest: dict[str, date] = {}
        # Exceptions are few: for many accounts it is cheaper to read all exceptions in one query.
        asked = accounts if len(accounts) <= BATCH else None
        for grant in exemptions.granted(decider.connection, kind, decider.campaign_id, asked):
            if grant.until >= decider.today:
                longest[grant.account_id] = grant.until  # they come sorted by their last day
        found |= {id_: Pointless(exemptions.OUTCOME[kind], f"its account {what} until {until}") for id_, until in longest.items()}
    return found


def _outside(decider: Decider, addresses: Collection[str]) -> dict[str, Pointless]:
    """The addresses in domains that may not be mailed."""
    listed = pd.Series(sorted(addresses), dtype="str")
    judged = judge(decider.allowed_domains, ())(listed)
    says = "[safety] allowed_domains does not have"
    return {
        address: Pointless("domain_not_allowed", f"it is to {domain}, which {says}")
        for address, outcome, domain in zip(listed, judged["outcome"], judged["reason"], strict=True)
        if outcome == "domain_not_allowed"
    }


def _pointless(decider: Decider, each: Candidate, excused: Pointless | None) -> Pointless | None:
    """Why a letter should not be sent any more, by its account; None if it may be."""
    if each.account_tenure != each.tenure:
        return Pointless("another_person", "it was written to somebody who had this account's id before")
    if each.kind in MANDATORY:
        return None
    if datetime.fromisoformat(each.told_cutoff) != each.cutoff.replace(microsecond=0):
        return Pointless(CUTOFF_MOVED, "it names another cutoff than its account has by now")
    if each.ends is not None and each.ends <= decider.now:
        return Pointless(PAST_CUTOFF, "the cutoff it speaks of has passed")
    if each.gone_at is not None:
        return Pointless("gone", "its account is gone from the directory")
    if each.compliant or each.standing in OUT_OF_SCOPE:
        return Pointless(each.standing, f"its account is {each.standing} by now and is not reminded")
    return excused


def _overtaken(each: Candidate, others: Sequence[Other]) -> Pointless | None:
    """Why another letter to the account stands in the way: older stages are never sent late, and a reminder is sent once, whatever the
    address (design §7)."""
    if each.kind in MANDATORY:
        return None
    later = [one for one in others if one.notice_id >= each.notice_id and one.letter_id != each.letter_id]
    if not later:
        return None
    last = max(later)
    if last.notice_id == each.notice_id:
        return Pointless("told_elsewhere", f"the same was written to {last.address} and is {last.state}")
    return Pointless("newer_stage", f"a newer one, {last.occasion}, is {last.state}")
