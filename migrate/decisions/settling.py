"""A person's decision on letters that failed or are uncertain: they are said again, or one arrived (design §9, §11)."""

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
    """Why nobody should be told this any more: a word to count by, and a sentence's end about this letter."""

    word: str
    says: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided on a letter: it `was` in one state and is in another; `by` whom, and the `reason`.

    `cleared` is what the mail server had called its address (RFC 3463), if that counted as dead until now.
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
    """Which letters are meant: those in a `state` (failed or uncertain) since an instant, of a `kind`, and with words in the server's last
    `reply`, whatever their case; None is any."""

    state: LetterState
    reply: str | None = None
    kind: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a selection comes to: the letters that may go again, and how many stay as they are, by the word of `Pointless`."""

    state: LetterState
    going: tuple[Candidate, ...]
    left: dict[str, int]

    @property
    def reminders(self) -> int:
        """How many of those that may go are no confirmations."""
        return sum(each.kind not in MANDATORY for each in self.going)


@dataclass(frozen=True, slots=True)
class Resent:
    """Letters that were put back: how many went from `was` into the queue, and how many stayed as they are, and why.

    `cleared` is how many of their addresses counted as dead until now.
    """

    was: LetterState
    queued: int
    left: dict[str, int]
    cleared: int
    by: str
    reason: str


def resend(decider: Decider, reference: str, reason: str) -> Decided:
    """A failed or uncertain letter goes back into the queue, with the same reference and Message-ID.

    Whoever decides so says that its address takes mail: if it counted as dead it does no more, and the next runs write there, too.

    Raises LedgerError if it is in another state, and for a reminder that would say what is no longer true: the account's standing asks for
    none, an exemption or a pause is in force, its cutoff has passed or is another one, a newer letter was written since, the same went to
    another address, or the id has another person now. Nor does any letter go to a domain that is not allowed by now.
    """
    found = _found(decider, reference)
    # A letter that cannot be sent again at all is left to `outbox.decide`.
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
    """The letters that are meant, and which of them may be sent again by the rules of `resend`; nothing is changed.

    Of several reminders to one account only the newest goes: older stages are never sent late.
    """
    candidates = again.found(
        decider.connection, decider.campaign_id, wanted.state, reply=wanted.reply, kind=wanted.kind, since=wanted.since
    )
    return _chosen(decider, candidates, wanted.state)


def within(chosen: Chosen, most: int, count: int | None) -> None:
    """Raises GuardError if more reminders may go again than `most` (`safety.max_messages`), unless `count` is how many letters that are."""
    if chosen.reminders <= most or count == len(chosen.going):
        return
    counted = "" if count is None else f", and not {count:,}"
    raise GuardError(
        f"{len(chosen.going):,} letters may go again{counted}, {chosen.reminders:,} of them reminders: more than [safety] max_messages = "
        f"{most:,} that go without a person's word for the number; nothing was changed.",
        hint=f"Look at them with --dry-run. If that is meant, type the same with --count {len(chosen.going)}.",
    )


def resend_all(decider: Decider, letters: Collection[int], state: LetterState, reason: str) -> Resent:
    """Letters (ids) that are in a state go back into the queue together, as by `resend`; those that may not by now stay, and are counted.

    Whoever decides so says that their addresses take mail.
    """
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


def settle(decider: Decider, reference: str, reason: str) -> Decided:
    """A person found that an uncertain letter arrived: it counts as sent. Raises LedgerError if it is in any other state."""
    return _decide(decider, _found(decider, reference), reference, "sent", reason)


def _alive(decider: Decider, addresses: Collection[str], reason: str) -> list[bounces.Mark]:
    return bounces.clear(
        decider.connection, decider.campaign_id, decider.now, by=decider.by, reason=reason, addresses=addresses
    )  # fmt: skip


def _decide(decider: Decider, found: sa.RowMapping | None, reference: str, after: LetterState, reason: str) -> Decided:
    said = words(reason, "--reason")
    outbox.decide(decider.connection, reference, after, decider.now, actor=decider.by, reason=said)
    assert found is not None  # decided on
    return Decided(
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
    """Those that may be said again, in order of id; and why the others should not be."""
    accounts = {each.account_id for each in candidates}
    excused = _excused(decider, accounts)
    outside = _outside(decider, {each.address for each in candidates})
    standing: dict[tuple[str, int], list[Other]] = defaultdict(list)
    for other in again.others(decider.connection, decider.campaign_id, state, accounts):
        standing[other.account_id, other.tenure].append(other)
    going: list[Candidate] = []
    left: list[Pointless] = []
    # The newest first, and of one notice the letter to the address that the account has now: it overtakes the others.
    for each in sorted(
        candidates, key=lambda one: (one.notice_id, one.address.lower() == (one.email or "").lower(), one.letter_id), reverse=True
    ):
        others = standing[each.account_id, each.tenure]
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
    """The accounts with an exemption or a pause in force, the longest of them; an exemption goes before a pause."""
    found: dict[str, Pointless] = {}
    kinds: tuple[tuple[exemptions.Kind, str], ...] = (("pause", "has its mail paused"), ("exemption", "is exempt"))
    for kind, what in kinds:
        longest: dict[str, date] = {}
        # People grant few: of many accounts one question finds all of them.
        asked = accounts if len(accounts) <= BATCH else None
        for grant in exemptions.granted(decider.connection, kind, decider.campaign_id, asked):
            if grant.until >= decider.today:
                longest[grant.account_id] = grant.until  # in the order of their last days
        found |= {id_: Pointless(exemptions.OUTCOME[kind], f"its account {what} until {until}") for id_, until in longest.items()}
    return found


def _outside(decider: Decider, addresses: Collection[str]) -> dict[str, Pointless]:
    """The addresses in domains that may not be mailed (any more)."""
    listed = pd.Series(sorted(addresses), dtype="str")
    judged = judge(decider.allowed_domains, ())(listed)
    says = "[safety] allowed_domains does not have"
    return {
        address: Pointless("domain_not_allowed", f"it is to {domain}, which {says}")
        for address, outcome, domain in zip(listed, judged["outcome"], judged["reason"], strict=True)
        if outcome == "domain_not_allowed"
    }


def _pointless(decider: Decider, each: Candidate, excused: Pointless | None) -> Pointless | None:
    """Why nobody should be told this any more, or None."""
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
    """Older stages are never sent late, and a reminder is sent once, whatever the address (design §7)."""
    if each.kind in MANDATORY:
        return None
    later = [one for one in others if one.notice_id >= each.notice_id and one.letter_id != each.letter_id]
    if not later:
        return None
    last = max(later)
    if last.notice_id == each.notice_id:
        return Pointless("told_elsewhere", f"the same was written to {last.address} and is {last.state}")
    return Pointless("newer_stage", f"a newer one, {last.occasion}, is {last.state}")
