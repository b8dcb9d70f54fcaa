"""A rehearsal: what `[safety] redirect_to` changes in a configuration (design §12).

Everything happens as in a real run, but in a campaign of its own: `<campaign>~rehearsal` has its own accounts, changes and outbox, and its
evidence a folder of its own. No real campaign can have such a name. So no letter of a rehearsal can reach the person it is about, and no
real letter is redirected.
"""

from __future__ import annotations

from typing import Final

from migrate.core.campaign import CampaignSettings
from migrate.report.settings import ReportsSettings

_SUFFIX: Final = "~rehearsal"
"""`[campaign] name` does not allow `~`, so no real campaign has such a name."""
_FOLDER: Final = "rehearsal"


def rehearsed(campaign: CampaignSettings, reports: ReportsSettings) -> tuple[CampaignSettings, ReportsSettings]:
    """The campaign of the rehearsal, and the settings of its reports."""
    named = campaign.model_copy(update={"name": campaign.name + _SUFFIX})
    return named, reports.model_copy(update={"dir": reports.dir / _FOLDER})


def is_rehearsal(campaign: str) -> bool:
    """True if this is the name of a rehearsal's campaign."""
    return campaign.endswith(_SUFFIX)
