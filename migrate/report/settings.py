"""Where evidence is written, and as what (`[reports]`, design §14)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from migrate.settings import Settings

Format = Literal["csv", "html", "xlsx", "parquet"]


def _distinct(formats: tuple[Format, ...]) -> tuple[Format, ...]:
    if len(set(formats)) != len(formats):
        raise ValueError("names a format twice")
    return formats


class ReportsSettings(Settings):
    """`[reports]`. No formats means that no reports are written."""

    dir: Path = Path("reports")
    formats: Annotated[tuple[Format, ...], AfterValidator(_distinct)] = ("csv", "html", "xlsx", "parquet")
