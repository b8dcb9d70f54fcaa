"""Sample accounts: somebody for every kind of letter, to preview it and to try every template (design §15, `preview`, `check`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from migrate.core.campaign import CampaignSettings
from migrate.core.words import CONFIRMATION
from migrate.mail.facts import Facts
from migrate.mail.letter import message_id

_PERSON: Final = Facts(
    username="maria.santos",
    given_name="Maria",
    display_name="Maria Santos",
    standing="sms_only",
    methods=("sms",),
    default_method="sms",
    phone="•••42",
)
_STANDINGS: Final = (
    _PERSON,
    replace(_PERSON, standing="sms_default", methods=("sms", "totp"), given_name=None),
    replace(_PERSON, standing="sms_fallback", methods=("voice", "totp"), default_method="totp", given_name=None, display_name=None),
    replace(_PERSON, standing="unknown", methods=("unknown",), default_method=None, phone=None),
    replace(_PERSON, standing="no_second_step", methods=(), default_method=None, phone=None),
    replace(_PERSON, username="maria.santos_example.org#EXT#@example.onmicrosoft.com"),
)
_CHANGES: Final[tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...]] = (
    ("authenticator_enabled", "migrated", ("sms",), ("totp",)),
    ("authenticator_enabled", "sms_fallback", ("sms",), ("sms", "totp")),
    ("authenticator_removed", "sms_only", ("sms", "totp"), ("sms",)),
    ("authenticator_changed", "migrated", ("totp",), ("totp", "passkey")),
    ("authenticator_changed", "migrated", ("totp",), ("push",)),
    ("authenticator_changed", "migrated", ("totp",), ("totp",)),
    ("sms_enabled", "sms_fallback", ("totp",), ("sms", "totp")),
    ("sms_removed", "migrated", ("sms", "totp"), ("totp",)),
    ("two_step_disabled", "no_second_step", ("sms", "totp"), ()),
)
_REFERENCE: Final = "SAMPLE23"


@dataclass(frozen=True, slots=True)
class Sample:
    """The arguments of `Composer.compose` for a sample account; `now` is an instant at which this kind is sent."""

    facts: Facts
    occasion: str
    now: datetime
    to: str = "maria.santos@example.com"
    reference: str = _REFERENCE
    message_id: str = message_id("sample", domain="example.com")


def samples(kind: str, campaign: CampaignSettings) -> tuple[Sample, ...]:
    """Samples of a kind, the most typical first. Together they take every branch of our templates."""
    if kind == CONFIRMATION:
        seen_at = campaign.cutoff_at - timedelta(days=30)
        return tuple(
            Sample(
                replace(
                    _PERSON,
                    change=change,
                    standing=standing,
                    had=had,
                    methods=has,
                    default_method=has[-1] if has else None,
                    seen_at=seen_at,
                ),
                "1",
                seen_at,
            )
            for change, standing, had, has in _CHANGES
        )
    if kind == "cutoff_moved":
        now = campaign.cutoff_at - timedelta(days=14)
        moved = [replace(facts, earlier_cutoff=campaign.cutoff_at - timedelta(days=30)) for facts in _STANDINGS]
        earlier = replace(_PERSON, earlier_cutoff=campaign.cutoff_at + timedelta(days=30))
        passed = [replace(facts, earlier_cutoff=earlier.earlier_cutoff) for facts in (_STANDINGS[0], _STANDINGS[3], _STANDINGS[4])]
        ahead = (Sample(facts, "moved-1", now) for facts in (*moved, earlier))
        return (*ahead, *(Sample(facts, "moved-1", campaign.cutoff_at) for facts in passed))
    on_a_day_between = ("T-14", campaign.cutoff_at - timedelta(days=14))
    occasion, now = {
        "announcement": ("opens", campaign.instant(campaign.opens)),
        "final_reminder": ("T-1", campaign.cutoff_at - timedelta(days=1)),
        "cutoff_passed": ("T+0", campaign.cutoff_at),
    }.get(kind, on_a_day_between)
    return tuple(Sample(facts, occasion, now) for facts in _STANDINGS)
