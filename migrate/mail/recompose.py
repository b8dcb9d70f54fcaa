"""Makes a composer again from the texts and settings that were kept when it was used, so that an old letter can be composed again."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from migrate.core.campaign import CampaignSettings
from migrate.mail import guides
from migrate.mail.compose import Composer
from migrate.mail.languages import ENGLISH
from migrate.mail.settings import MailSettings

_SETTINGS: Final = "settings"
_LONG_AGO: Final = date(1971, 1, 2)
"""Any opening day: no letter names it, but the settings need one."""


def recomposer(kept: str, folder: Path, cutoff: datetime) -> Composer:
    """The composer that gave `kept` (`Composer.kept`). Its texts are written to a new `folder`, which must stay until the last letter is
    composed. `cutoff` (UTC) is the campaign's, for letters that have none of their own.

    Raises ValueError for any other text, and TemplateError if this version cannot use an old template.
    """
    sources: dict[str, str] = json.loads(kept)
    settings = json.loads(sources[_SETTINGS])
    guide = settings["campaign"].get("guide", CampaignSettings.model_fields["guide"].default)
    for name, text in sources.items():
        if name != _SETTINGS:
            path = folder / _place(name, guide)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
    campaign = _those_of(CampaignSettings, {"language": ENGLISH, **settings["campaign"]})
    made = CampaignSettings.model_validate({**campaign, "name": "then", "opens": _LONG_AGO, "cutoff": cutoff.astimezone(UTC)})
    linked = bool(settings["campaign"].get("sign_in_link"))
    mail = {**_those_of(MailSettings, settings["mail"]), "links": linked}
    return Composer(
        MailSettings.model_validate({**mail, "templates": folder}),
        made.model_copy(update={"name": campaign["name"]}),  # set afterwards: the name of a rehearsal's campaign is not a valid setting
        settings.get("safety", {}).get("redirect_to"),
    )


def _place(name: str, guide: str) -> Path:
    """The path of a text in an operator's folder."""
    if name.startswith("locale/"):
        return Path(name)
    return Path("mail") / (guides.file_of(guide) if name == guides.USED else name)


def _those_of(model: type[CampaignSettings | MailSettings], values: dict[str, Any]) -> dict[str, Any]:
    """The values that are settings of the model; letters also show values that are derived from settings."""
    names = {name for field, facts in model.model_fields.items() for name in (field, facts.alias)}
    return {name: value for name, value in values.items() if name in names}
