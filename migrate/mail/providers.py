"""Mail providers whose limits are known. A setting in `[mail.smtp]` wins over a limit here: providers raise many of them on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Each limit has its source, read on 2026-11-28. For all of them a day is the last 24 hours.
PROVIDERS: Final[Mapping[str, Mapping[str, Any]]] = {
    # 30 messages a minute and 10,000 recipients in 24 hours for a mailbox:
    # https://learn.microsoft.com/en-us/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits
    # and three connections: https://learn.microsoft.com/en-us/exchange/troubleshoot/send-emails/smtp-submission-improvements
    "exchange_online": {
        "host": "smtp.office365.com", "port": 587, "security": "starttls", "rate": ("30/min", "10000/day"), "connections": 3,
    },
    # Only for recipients inside the organisation, without a limit on messages or recipients; the rate is our choice:
    # https://learn.microsoft.com/en-us/exchange/mail-flow-best-practices/high-volume-mails-m365
    "exchange_hve": {"host": "smtp.hve.mx.microsoft", "port": 587, "security": "starttls", "rate": ("10/s",), "connections": 4},
    # 10,000 messages in 24 hours for each sending user. Google publishes no rate; above it the server answers 450 4.2.1, and letters wait:
    # https://support.google.com/a/answer/2956491
    "google_relay": {
        "host": "smtp-relay.gmail.com", "port": 587, "security": "starttls", "rate": ("10/s", "10000/day"), "connections": 4,
    },
    # Published are 1 a second and 200 in 24 hours for the sandbox, from which only verified addresses can be mailed; what an account has
    # outside of it is its own (console, account dashboard), and usually begins with the numbers here. The host depends on the region:
    # https://docs.aws.amazon.com/ses/latest/dg/quotas.html
    "ses": {"port": 587, "security": "starttls", "rate": ("14/s", "50000/day"), "connections": 10},
}  # fmt: skip
"""Provider → the settings of `[mail.smtp]` that it implies."""
