"""AWS: the credential report of IAM users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrate.directory.method_words import MethodWords
from migrate.directory.profiles.interface import Profile

if TYPE_CHECKING:
    import pandas as pd


def _root(frame: pd.DataFrame, _: MethodWords) -> pd.DataFrame:
    """Sets the root user's type to break_glass, and enabled: the report says nothing of its password, which always exists."""
    import pandas as pd

    if "username" not in frame or "account_type" in frame:
        return frame
    root = frame["username"] == "<root_account>"
    frame = frame.assign(account_type=pd.Series("person", index=frame.index, dtype="str").mask(root, "break_glass"))
    return frame.assign(enabled=frame["enabled"].astype("str").mask(root, "yes")) if "enabled" in frame else frame


CREDENTIAL_REPORT = Profile(
    name="aws-credential-report",
    what="AWS, IAM credential report",
    signs=(("user",), ("arn",), ("mfa_active",)),
    tells=("Who has an IAM user with a password, and whether any second step is on.", "The root user, as a `break_glass` account."),
    vendor="aws",
    cannot=(
        "Which second step it is, so nobody counts as compliant by it.",
        "Addresses: the report has none, so a list of people must be joined.",
        "Users of IAM Identity Center: they are not in this report.",
    ),
    aliases={
        "account_id": ("arn",),
        "username": ("user",),
        "display_name": ("user",),
        "enabled": ("password_enabled",),
        "last_sign_in_at": ("password_last_used",),
    },
    method_columns={"unknown": ("mfa_active",)},
    nothing=frozenset({"n/a", "no_information", "not_supported"}),
    caveats=("AWS tells that a second step is on and not which; nobody counts as compliant by it",),
    join="a list of people with the names of their IAM users, for addresses",
    finish=_root,
)
