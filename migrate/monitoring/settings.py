"""`[monitoring]`: the address that hears of each run (design §16)."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from migrate.settings import Settings

SCHEMES: Final = ("http", "https")


def _web_address(value: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(value.get_secret_value())
        fits = parts.scheme in SCHEMES and parts.hostname and parts.username is None and parts.port != 0
    except ValueError:
        fits = False
    if not fits or not all("!" <= character <= "~" for character in value.get_secret_value()):
        raise ValueError("is no address that can be called; write https://host/… or http://host/…, without blanks and without a user")
    return value


class MonitoringSettings(Settings):
    """`[monitoring]`. Nobody is called without a `ping_url`."""

    ping_url: Annotated[SecretStr, AfterValidator(_web_address)] | None = None
