"""The demo's campaign, as the configuration file that an operator would write.

The campaign is that of the playbook autodesk-2024, opened later so that the demo is short. Everything else in the demo takes its dates from
here, so that the file and the sample directory cannot disagree.
"""

from __future__ import annotations

import shlex
import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from migrate.config.playbooks import playbook
from migrate.core.campaign import CampaignSettings
from migrate.core.schedule import ScheduleSettings, Stage, stages

_OPENS: Final = "opens = 2023-12-18"
_TEXT: Final = """\
# The demo's campaign. Paths are relative to this file's folder.
# To look around:  migrate --config {config} status

{campaign}[directory]
kind = "sql"
url = "sqlite:///directory.db"
table = "users"

[directory.columns]               # ours = theirs
account_id = "id"
username = "login"
email = "mail"
notification_emails = "security_mails"
display_name = "name"
given_name = "given"
locale = "lang"
department = "dept"
manager_email = "manager"
enabled = "active"
federated = "sso"
account_type = "kind"
privileged = "is_admin"
methods = "mfa_methods"
default_method = "mfa_default"
methods_changed_at = "mfa_changed_at"
last_sign_in_at = "last_login"
phone = "mobile"

[directory.methods]               # their word = ours; "YubiOTP legacy" is left out on purpose: it is reported as unknown
SMS = "sms"
VoiceCall = "voice"
MobilePhone = "phone"
AuthenticatorApp = "totp"
AppPush = "push"
SecurityKey = "passkey"
DevicePasskey = "passkey"
HardToken = "hardware_otp"
SmartCard = "certificate"
EmailCode = "email_otp"
RecoveryCodes = "backup_code"
Enrolled = "unknown"

[schedule]
days_before = [30, 14, 7, 3, 1]
final_days = 3
days_after = [0, 14]

[mail]
from = "Example Corp Security <security@example.com>"
transport = "maildir"

[mail.maildir]
path = "outbox"

[safety]
max_messages = 1000               # the opening mails nearly half of the accounts at once

[ledger]
url = "sqlite:///migrate.db"

[reports]
dir = "reports"
formats = ["csv", "html"]
"""


def demo_config(folder: Path) -> str:
    """The text of the demo's config.toml, for a demo that lives in `folder`."""
    # the name stands in a comment, where TOML allows no control character
    named = "".join(c if c.isprintable() else "?" for c in shlex.quote(str(folder / "config.toml")))
    return _TEXT.replace("{config}", named).replace("{campaign}", _campaign())


def _campaign() -> str:
    """The playbook's `[campaign]`, opened 45 days before its cutoff."""
    table = playbook("autodesk-2024").config.partition("[campaign]")[2].partition("[directory]")[0]
    lines = [line.partition("  #")[0].rstrip() for line in table.strip().splitlines()]
    return "\n".join(["[campaign]", *(_OPENS if line.startswith("opens = ") else line for line in lines), "", ""])


_TABLES: Final = tomllib.loads(demo_config(Path("demo")))

CAMPAIGN: Final = CampaignSettings(**_TABLES["campaign"])
SCHEDULE: Final = ScheduleSettings(**_TABLES["schedule"])
STAGES: Final[tuple[Stage, ...]] = stages(CAMPAIGN, SCHEDULE)

DAYS: Final[tuple[date, ...]] = tuple(
    CAMPAIGN.opens + timedelta(days=n) for n in range((STAGES[-1].on - CAMPAIGN.opens).days + 3)
)  # fmt: skip
"""The days the demo lives through: from the opening until two days after the last stage."""
