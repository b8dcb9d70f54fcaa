"""What the mail tests share: a campaign, a mail table, a composer, and one letter of Maria's."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import UTC, date, datetime
from email.message import EmailMessage
from typing import Any

from migrate.core.campaign import CampaignSettings
from migrate.mail.compose import Composer
from migrate.mail.facts import Facts
from migrate.mail.letter import Letter, message_id
from migrate.mail.plain import Written
from migrate.mail.settings import MailSettings

NOW = datetime(2024, 1, 18, 17, 30, tzinfo=UTC)
MARIA = Facts(
    username="maria.santos", given_name="Maria", display_name="Maria Santos", standing="sms_only", methods=("sms",), default_method="sms"
)


def campaign(**changed: Any) -> CampaignSettings:
    values: dict[str, Any] = {
        "name": "sms-retirement",
        "organization": "Example Corp",
        "product": "Example account",
        "opens": date(2023, 8, 1),
        "cutoff": datetime(2024, 2, 1),
        "timezone": "America/Los_Angeles",
        "support_email": "help@example.com",
    }
    return CampaignSettings(**(values | changed))


def mail(**changed: Any) -> MailSettings:
    return MailSettings(**({"from": "Example Corp Security <security@example.com>"} | changed))


def compose(facts: Facts = MARIA, kind: str = "reminder", *, by: Composer | None = None, **changed: Any) -> Letter:
    arguments: dict[str, Any] = {
        "to": "maria.santos@example.com",
        "reference": "7KQ4MX2P",
        "message_id": message_id("sms-retirement", "1", "T-14", domain="example.com"),
        "occasion": "T-14",
        "now": NOW,
    }
    return (by or Composer(mail(), campaign())).compose(kind, facts, **(arguments | changed))


def whole(letter: Letter, message: bytes | None = None) -> Letter:
    """The letter with everything that it says at hand, so that it can be compared; with another `message`, if one is given."""
    content = Written(letter.subject, letter.text, letter.html, letter.message if message is None else message)
    return replace(letter, content=content)


def parsed(letter: Letter) -> EmailMessage:
    message = email.message_from_bytes(letter.message, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def part(letter: Letter, subtype: str) -> str:
    body = parsed(letter).get_body((subtype,))
    assert body is not None
    return str(body.get_content())
