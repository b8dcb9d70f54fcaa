"""A composer as it was: made of the texts and settings that were kept when it was used, so that a letter can be composed again."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from migrate.core.campaign import CampaignSettings
from migrate.mail.compose import Composer
from migrate.mail.overrides import LANGUAGE
from migrate.mail.settings import MailSettings

_SETTINGS: Final = "settings"
_LONG_AGO: Final = date(1971, 1, 2)
"""An opening that no letter names."""


def recomposer(kept: str, folder: Path, cutoff: datetime) -> Composer:
    """The composer of which `kept` is what `Composer.kept` gave. Its texts are written to a new `folder`, which it may need until the last
    letter is composed; `cutoff` (UTC) is the campaign's, for letters that were told none of their own.

    Raises ValueError for what is no such text, and TemplateError where this version cannot use a template of then.
    """
    sources: dict[str, str] = json.loads(kept)
    settings = json.loads(sources[_SETTINGS])
    for name, text in sources.items():
        if name != _SETTINGS:
            path = folder / "mail" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
    campaign = _those_of(CampaignSettings, {"language": LANGUAGE, **settings["campaign"]})
    made = CampaignSettings.model_validate({**campaign, "name": "then", "opens": _LONG_AGO, "cutoff": cutoff.astimezone(UTC)})
    mail = _those_of(MailSettings, settings["mail"])
    return Composer(
        MailSettings.model_validate({**mail, "templates": folder}),
        made.model_copy(update={"name": campaign["name"]}),  # a rehearsal's is no name that one can write
        settings.get("safety", {}).get("redirect_to"),
    )


def _those_of(model: type[CampaignSettings | MailSettings], values: dict[str, Any]) -> dict[str, Any]:
    """Of the values that letters show, those that are settings, and not made of them."""
    names = {name for field, facts in model.model_fields.items() for name in (field, facts.alias)}
    return {name: value for name, value in values.items() if name in names}
