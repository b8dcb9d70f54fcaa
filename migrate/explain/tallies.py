"""Counts of the accounts in the ledger: who loses something at the cutoff, who cannot move, who was told, who moved lately."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from migrate.ledger import account_counts
from migrate.outbox import account_letters
from migrate.report.words import HURT

LATELY: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Tallies:
    """Counts of accounts that are not gone.

    `at_cutoff`: what the cutoff does → how many in scope. `without_destination`: must move and can register no accepted method. `notified`:
    a letter other than a confirmation was sent to them, or may have been. `moved_lately`: first seen migrated in the last seven days.
    `hit`: the campaign's cutoff takes or took something from them; `not_back` of these are not compliant. `later`: not compliant, in waves
    with a later cutoff.
    """

    at_cutoff: dict[str, int] = field(default_factory=dict)
    without_destination: int = 0
    notified: int = 0
    moved_lately: int = 0
    hit: int = 0
    not_back: int = 0
    later: int = 0


def tallies(connection: sa.Connection, campaign_id: int | None, now: datetime, later: Collection[str] = ()) -> Tallies:
    """Counts a campaign's accounts as the last run recorded them. `now` is a UTC instant; `later` are the waves with a later cutoff."""
    counts = account_counts.by_cutoff(connection, campaign_id, HURT, now - LATELY, now, later)
    return Tallies(
        at_cutoff={each.at_cutoff: each.accounts for each in sorted(counts) if each.in_scope},
        without_destination=sum(each.stuck for each in counts),
        notified=account_letters.accounts_told(connection, campaign_id),
        moved_lately=sum(each.moved for each in counts),
        hit=sum(each.hit for each in counts),
        not_back=sum(each.not_back for each in counts),
        later=sum(each.later for each in counts),
    )
