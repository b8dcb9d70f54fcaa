"""Keycloak: the users of a realm, by the Admin API or out of its database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrate.directory.method_words import MethodWords
from migrate.directory.profiles.interface import BESIDE, Profile
from migrate.directory.profiles.making import joined_names

if TYPE_CHECKING:
    import pandas as pd


def _made(frame: pd.DataFrame, _: MethodWords) -> pd.DataFrame:
    """A telephone number in an attribute of an SMS extension means the method sms; service accounts get the type service."""
    from migrate.directory.text import as_text, trimmed

    frame = joined_names(frame, "given_name", BESIDE + "family")
    made: dict[str, Any] = {}
    if BESIDE + "mobile" in frame and "methods.sms" not in frame:
        made["methods.sms"] = trimmed(as_text(frame[BESIDE + "mobile"])).notna()
    if "account_type" not in frame and "username" in frame:
        import pandas as pd

        service = as_text(frame["username"]).str.startswith("service-account-").fillna(False).astype(bool)
        if BESIDE + "client" in frame:
            service |= trimmed(as_text(frame[BESIDE + "client"])).notna()
        made["account_type"] = pd.Series("person", index=frame.index, dtype="str").mask(service, "service")
    return frame.assign(**made)


USERS = Profile(
    name="keycloak-users",
    what="Keycloak, users of a realm",
    signs=(
        ("username",),
        ("totp", "credentials", "credential_types", "credentialTypes"),
        ("enabled", "emailVerified", "createdTimestamp", "firstName"),
    ),
    tells=(
        "Who there is, with address, and who is disabled.",
        "Who has an authenticator app (`totp`), and with a column of credential types every method.",
        "Who has text messages, if the extension keeps the number in the attribute `mobile_number` or `phoneNumber`.",
    ),
    cannot=(
        "Text messages of an extension that keeps them as credentials: read the credential types as well.",
        "Passkeys and recovery codes, without the credential types.",
        "Who signs in through an identity provider.",
    ),
    aliases={
        "account_id": ("id", "user_id"),
        "username": ("username",),
        "email": ("email",),
        "given_name": ("firstName", "first_name"),
        "locale": ("attributes.locale", "locale"),
        "department": ("attributes.department", "department"),
        "enabled": ("enabled",),
        "methods": ("credentials", "credential_types", "credentialTypes"),
    },
    method_columns={"totp": ("totp",)},
    beside={
        "family": ("lastName", "last_name"),
        "mobile": ("attributes.mobile_number", "mobile_number", "attributes.phoneNumber", "phoneNumber"),
        "client": ("serviceAccountClientId", "service_account_client_link"),
    },
    makes_methods=("mobile",),
    vendor="keycloak",
    caveats=(
        "Keycloak's list of users shows authenticator apps alone, unless the credential types or an extension's attribute are in it",
    ),
    finish=_made,
)  # fmt: skip
