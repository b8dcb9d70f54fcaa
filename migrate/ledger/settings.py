"""`[ledger]`: where the ledger lives and how long it remembers."""

from __future__ import annotations

from pydantic import Field

from migrate.settings import Settings


class LedgerSettings(Settings):
    """`[ledger]`. `url` is a database URL; a SQLite path without a leading slash is relative to the working directory."""

    url: str = Field("sqlite:///migrate.db", min_length=1, repr=False)
    keep_days: int = Field(1095, ge=1)
