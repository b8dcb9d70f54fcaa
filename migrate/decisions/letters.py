"""A person's decision on a letter that failed or is uncertain: it is said again, or it arrived (design §9)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from migrate.decisions.decider import Decider, words
from migrate.errors import LedgerError
from migrate.explain.find import elsewhere
from migrate.explain.memory import in_force
from migrate.ledger import bounces, outbox, schema
from migrate.ledger.references import as_typed
from migrate.ledger.states import STANDS, LetterState
from migrate.standing import OUT_OF_SCOPE
from migrate.words import CONFIRMATION


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


def resend(decider: Decider, reference: str, reason: str) -> Decided:
    """A failed or uncertain letter goes back into the queue, with the same reference and Message-ID.

    Whoever decides so says that its address takes mail: if it counted as dead it does no more, and the next runs write there, too.

    Raises LedgerError if it is in another state, and for a reminder that would say what is no longer true: the account's standing asks for
    none, an exemption or a pause is in force, its cutoff has passed, a newer letter was written since, the same went to another address,
    or the id has another person now.
    """
    found = _found(decider, reference)
    if found is not None and (wrong := _pointless(decider, found)):
        raise LedgerError(
            f"letter {as_typed(reference)} would be pointless: {wrong}; nothing was changed.",
            hint=f"`migrate explain {as_typed(reference)}` shows it.",
        )
    decided = _decide(decider, found, reference, "queued", reason)
    return replace(decided, cleared=bounces.clear(decider.connection, decider.campaign_id, decided.to, decider.now))


def settle(decider: Decider, reference: str, reason: str) -> Decided:
    """A person found that an uncertain letter arrived: it counts as sent. Raises LedgerError if it is in any other state."""
    return _decide(decider, _found(decider, reference), reference, "sent", reason)


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


def _pointless(decider: Decider, found: sa.RowMapping) -> str | None:
    """Why nobody should be told this any more, or None. A letter that cannot be sent again at all is left to `outbox.decide`."""
    if found["state"] not in ("failed", "uncertain"):
        return None
    a = schema.account.c
    mine = (a.campaign_id == decider.campaign_id, a.account_id == found["account_id"])
    account = decider.connection.execute(sa.select(a.tenure, a.standing, a.compliant, a.gone_at).where(*mine)).one()
    if account.tenure != found["tenure"]:
        return "it was written to somebody who had this account's id before"
    if found["kind"] == CONFIRMATION:
        return None
    if found["ends"] is not None and found["ends"] <= decider.now:
        return "the cutoff it speaks of has passed"
    if account.gone_at is not None:
        return "its account is gone from the directory"
    if account.compliant or account.standing in OUT_OF_SCOPE:
        return f"its account is {account.standing} by now and is not reminded"
    for what, table in (("is exempt", schema.exemption), ("has its mail paused", schema.pause)):
        if each := in_force(decider.connection, table, decider.campaign_id, found["account_id"], decider.today):
            return f"its account {what} until {each.until}"
    return _overtaken(decider, found)


def _overtaken(decider: Decider, found: sa.RowMapping) -> str | None:
    """Older stages are never sent late, and a reminder is sent once, whatever the address (design §7)."""
    newer, notice = schema.letter.c, schema.notice.c
    later = (
        sa.select(newer.notice_id, newer.occasion, newer.address, newer.state)
        .select_from(schema.letter.join(schema.notice, newer.notice_id == notice.id))
        .where(newer.campaign_id == decider.campaign_id, newer.account_id == found["account_id"], notice.tenure == found["tenure"])
        .where(newer.kind != CONFIRMATION, newer.state.in_(STANDS))
        .where(newer.notice_id >= found["notice_id"], newer.id != found["id"])
        .order_by(newer.id.desc())
    )
    row = decider.connection.execute(later.limit(1)).first()
    if row is not None and row.notice_id == found["notice_id"]:
        return f"the same was written to {row.address} and is {row.state}"
    return None if row is None else f"a newer one, {row.occasion}, is {row.state}"
