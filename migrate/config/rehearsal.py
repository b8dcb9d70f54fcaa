"""A rehearsal: what `[safety] redirect_to` makes of a configuration (design §12).

Everything happens as it would, in a campaign of its own: `<campaign>~rehearsal` has its own accounts, changes and outbox, and its evidence
a folder of its own. No campaign can be given such a name, and each is reached only by its own configuration: no rehearsed letter
can go to the person it is for, and no real one is sent to whoever rehearses.
"""

from __future__ import annotations

from typing import Final

from migrate.core.campaign import CampaignSettings
from migrate.report.settings import ReportsSettings

_SUFFIX: Final = "~rehearsal"
"""No setting can name a campaign so: `[campaign] name` allows no such character."""
_FOLDER: Final = "rehearsal"


def rehearsed(campaign: CampaignSettings, reports: ReportsSettings) -> tuple[CampaignSettings, ReportsSettings]:
    """The campaign to rehearse with, and where its reports go."""
    named = campaign.model_copy(update={"name": campaign.name + _SUFFIX})
    return named, reports.model_copy(update={"dir": reports.dir / _FOLDER})


def is_rehearsal(campaign: str) -> bool:
    """True of the name of a campaign that is rehearsed with."""
    return campaign.endswith(_SUFFIX)
