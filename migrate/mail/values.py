"""The values that a template is given, by name (docs/write-mail.md has the list)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from migrate.core.campaign import CampaignSettings
from migrate.mail.addresses import invited_as
from migrate.mail.facts import BY_PHONE, Facts, label, with_article
from migrate.mail.languages import Wording
from migrate.mail.moments import is_last_day, last_moment, moment_text
from migrate.mail.person import OF_ACCOUNT, OF_LETTER, Person
from migrate.mail.settings import MailSettings

_WEAK: Final = ("email_otp", "unknown", "other")
"""Methods that a letter recommends only to somebody who has no other."""


class TemplateValues:
    """The values of every letter of a campaign. `wording` gives the wording for a BCP 47 tag."""

    def __init__(self, campaign: CampaignSettings, mail: MailSettings, wording: Callable[[str | None], Wording]) -> None:
        self._campaign = campaign
        self._campaign_words = campaign_words(campaign, mail)
        self._brand = mail.brand.model_dump()
        self._wording = wording

    def of(self, kind: str, facts: Facts, person: Person, now: datetime, cutoff: datetime) -> dict[str, Any]:
        """The values for one letter; `now` and `cutoff` are UTC instants.

        `prefilled` renders one letter for all whose facts differ only in username, names and phone. So these four facts may change nothing
        but the values in `person`, and `account.is_guest`, which `prefilled` compares as well.
        """
        formats = self._wording(facts.locale)
        say = formats.catalogue
        moment = last_moment(cutoff, self._campaign, formats)
        by_phone = dict.fromkeys(say.gettext(words) for method in facts.methods for words in BY_PHONE.get(method, ()))
        others = [method for method in facts.methods if method not in BY_PHONE and method != "backup_code"]
        otherwise = [with_article(method, say) for method in others if method not in _WEAK] or [
            with_article(method, say) for method in others
        ]
        return {
            "kind": kind,
            "language": formats.language,
            "direction": formats.direction,
            "brand": self._brand,
            "campaign": self._campaign_words,
            "account": {
                **{name: person[name] for name in OF_ACCOUNT},
                "standing": facts.standing,
                "methods": [label(method, say) for method in facts.methods],
                "default_method": with_article(facts.default_method, say) if facts.default_method in facts.methods else None,
                "is_guest": invited_as(facts.username) is not None,
                "has_second_step": any(method != "backup_code" for method in facts.methods),
                "by_phone": list(by_phone) or [say.gettext("text message")],
                "otherwise": otherwise or [with_article("other", say)],
            },
            "change": self._change(facts) if facts.change else None,
            "moved": self._moved(facts.earlier_cutoff, cutoff, facts.locale) if facts.earlier_cutoff else None,
            "cutoff": {
                "day": moment.day,
                "on": moment.on,
                "until": moment.until,
                "is_today": is_last_day(cutoff, self._campaign, now),
                "has_passed": now >= cutoff,
            },
            "days_left": (self._campaign.today(cutoff) - self._campaign.today(now)).days,
            **{name: person[name] for name in OF_LETTER},
        }

    def _moved(self, earlier: datetime, cutoff: datetime, locale: str | None) -> dict[str, Any]:
        """`moved`: the last usable moment that an earlier letter named, and whether there is more time now."""
        return {"told": last_moment(earlier, self._campaign, self._wording(locale)).until, "later": cutoff > earlier}

    def _change(self, facts: Facts) -> dict[str, Any]:
        words = self._wording(facts.locale)
        return {
            "name": facts.change,
            "seen": moment_text(facts.seen_at, self._campaign, words) if facts.seen_at else None,
            "gained": [label(method, words.catalogue) for method in facts.methods if method not in facts.had],
            "lost": [label(method, words.catalogue) for method in facts.had if method not in facts.methods],
        }


def campaign_words(campaign: CampaignSettings, mail: MailSettings) -> dict[str, Any]:
    """`campaign`: the values that are the same in all letters."""
    return {
        "name": campaign.name,
        "organization": campaign.organization,
        "product": campaign.product,
        "settings_path": list(campaign.settings_path),
        "support_email": campaign.support_email,
        "support_phone": campaign.support_phone,
        "at_cutoff": campaign.at_cutoff,
        "guide": campaign.guide,
        "steps": list(campaign.steps),
        "sign_in_address": campaign.sign_in_address,
        "sign_in_link": f"https://{campaign.sign_in_address}" if mail.links and campaign.sign_in_address else None,
    }
