"""Addresses that count as dead: listing them, and clearing those that a person says take mail after all (design §11)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from migrate.core.campaign import CampaignSettings
from migrate.decisions.decider import Decider, words
from migrate.errors import ConfigError
from migrate.ledger import bounces, campaigns
from migrate.ledger.bounces import DeadAddress

_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Dead:
    """An address that counts as dead (`mark`), and how many accounts in the directory have it as their primary address."""

    mark: DeadAddress
    accounts: int

    def facts(self) -> dict[str, Any]:
        """An element of the list of `--json`."""
        return asdict(self.mark) | {"accounts": self.accounts}


@dataclass(frozen=True, slots=True)
class Revived:
    """The addresses that a person cleared (`by` whom, and the `reason`), each as it was recorded before."""

    cleared: tuple[DeadAddress, ...]
    by: str
    reason: str

    def facts(self) -> dict[str, Any]:
        """The object of `--json`."""
        return asdict(self)


def dead(connection: sa.Connection, campaign: CampaignSettings, now: datetime, since: datetime | None = None) -> list[Dead]:
    """The addresses that count as dead at an instant, in the order in which they died; with `since` those that died then or later."""
    campaign_id = campaigns.find(connection, campaign.name)
    if campaign_id is None:
        return []
    marks = bounces.dead_addresses(connection, campaign_id, now, since=since)
    holders = bounces.holders(connection, campaign_id, [mark.address for mark in marks])
    counts = Counter(email.lower() for _, email in holders)
    return [Dead(mark, counts[mark.address.lower()]) for mark in marks]


def revive(decider: Decider, addresses: Sequence[str], since: datetime | None, reason: str) -> Revived:
    """Clears some addresses, or all that died at or after an instant: the next runs mail them again.

    Raises ConfigError, and changes nothing, if an address does not count as dead or none died since the instant.
    """
    said = words(reason, "--reason")
    wanted = {address.strip().lower(): address.strip() for address in addresses}
    cleared = bounces.clear(
        decider.connection,
        decider.campaign_id,
        decider.now,
        by=decider.by,
        reason=said,
        since=since,
        addresses=list(wanted.values()) if wanted else None,
    )
    unknown = [address for folded, address in wanted.items() if folded not in {mark.address.lower() for mark in cleared}]
    if unknown or not cleared:
        shown = ", ".join(unknown[:_NAMED]) + (f" and {len(unknown) - _NAMED:,} more" if len(unknown) > _NAMED else "")
        what = f"{shown} {'does' if len(unknown) == 1 else 'do'} not count as dead" if unknown else "no address counts as dead since then"
        raise ConfigError(f"{what}; nothing was changed.", hint="`migrate bounces list` shows those that do.")
    return Revived(tuple(cleared), decider.by, said)
