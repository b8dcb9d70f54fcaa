"""`migrate pause`: no reminders to an account for a while."""

from __future__ import annotations

from migrate.cli.granting import commands

pause = commands(
    "pause",
    help="Pause reminders to accounts for a while, with an owner and a reason.",
    add="Pause reminders to an account up to and including a day; changes are confirmed all the same.",
    show="Show whose reminders are paused: what has ended or ends soon comes first.",
)
