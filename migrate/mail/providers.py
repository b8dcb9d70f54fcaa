"""Mail providers whose limits are known. What `[mail.smtp]` sets itself comes first: many limits are raised on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PROVIDERS: Final[Mapping[str, Mapping[str, Any]]] = {
    # Three connections and 30 messages a minute for a mailbox, besides 10,000 recipients a day:
    # https://learn.microsoft.com/en-us/exchange/troubleshoot/send-emails/smtp-submission-improvements
    "exchange_online": {"host": "smtp.office365.com", "port": 587, "security": "starttls", "rate": "30/min", "connections": 3},
    # No rate is published; beyond its peak it answers 450 4.2.1, and letters wait. 10,000 messages a day for a sending user:
    # https://support.google.com/a/answer/2956491
    "google_relay": {"host": "smtp-relay.gmail.com", "port": 587, "security": "starttls", "rate": "10/s", "connections": 4},
    # A new account out of the sandbox starts at 14 letters a second; the host depends on the region:
    # https://docs.aws.amazon.com/ses/latest/dg/quotas.html
    "ses": {"port": 587, "security": "starttls", "rate": "14/s", "connections": 10},
}
"""Provider → the settings of `[mail.smtp]` that it implies."""
