"""The context in which a person decides: one campaign, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import sqlalchemy as sa

from migrate.core.campaign import CampaignSettings
from migrate.errors import ConfigError
from migrate.ledger import campaigns

_LONGEST_NAME: Final = 255
"""The ledger keeps so many characters of an actor's name."""


@dataclass(frozen=True, slots=True)
class Decider:
    """A transaction in which a person decides. `by` is the person, `now` the instant (UTC), `today` the campaign's day;
    `allowed_domains` are the domains that may be mailed, none meaning all."""

    connection: sa.Connection
    campaign: CampaignSettings
    campaign_id: int
    by: str
    now: datetime
    allowed_domains: tuple[str, ...]

    @classmethod
    def of(cls, connection: sa.Connection, campaign: CampaignSettings, by: str, now: datetime, allowed_domains: tuple[str, ...]) -> Decider:
        """Checks who decides and looks the campaign up. Raises ConfigError if nobody is named, or the campaign has had no run: there is
        nothing to decide on then."""
        who = words(by, "--by")
        if len(who) > _LONGEST_NAME:
            raise ConfigError(f"has {len(who)} characters; at most {_LONGEST_NAME} are kept.", where="--by", hint="Type a shorter name.")
        campaign_id = campaigns.find(connection, campaign.name)
        if campaign_id is None:
            raise ConfigError(
                f"the campaign {campaign.name} has had no run yet, so nothing is known of anybody.", hint="Type `migrate run` first."
            )
        return cls(connection, campaign, campaign_id, who, now, allowed_domains)

    @property
    def today(self) -> date:
        return self.campaign.today(self.now)


def words(text: str, where: str) -> str:
    """A person's text on one line; raises ConfigError if it is empty."""
    said = " ".join(text.split())
    if not said:
        raise ConfigError("says nothing.", where=where, hint="Whoever reads the history will want to know.")
    return said
