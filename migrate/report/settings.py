"""`[reports]`: where evidence is written, and in which formats (design §14)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, SecretStr

from migrate.settings import Settings

Format = Literal["csv", "html", "xlsx", "parquet", "helpdesk"]


def _distinct(formats: tuple[Format, ...]) -> tuple[Format, ...]:
    if len(set(formats)) != len(formats):
        raise ValueError("names a format twice")
    return formats


def _private_key(value: SecretStr) -> SecretStr:
    if "PRIVATE KEY-----" not in value.get_secret_value():
        raise ValueError('is no private key in PEM form; write { file = "evidence-key.pem" }')
    return value


class ReportsSettings(Settings):
    """`[reports]`. No formats means that no reports are written. With a `signing_key` (Ed25519, PEM) every manifest is signed."""

    dir: Path = Path("reports")
    formats: Annotated[tuple[Format, ...], AfterValidator(_distinct)] = ("csv", "html", "xlsx", "parquet")
    signing_key: Annotated[SecretStr, AfterValidator(_private_key)] | None = None
