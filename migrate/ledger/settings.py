"""`[ledger]`: where the ledger lives."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from pydantic import Field, field_validator

from migrate.settings import Settings, unambiguous


class LedgerSettings(Settings):
    """`[ledger]`. `url` is a database URL; a SQLite path without a leading slash is relative to the working directory.

    `image` is the folder of the cache of the last read (default: beside a SQLite file). Without one, or with `false`, every run reads what
    is known of each account out of the ledger.
    """

    url: str = Field("sqlite:///migrate.db", min_length=1, repr=False)
    image: Path | Literal[False] | None = None

    @field_validator("url")
    @classmethod
    def _unambiguous(cls, url: str) -> str:
        return unambiguous(url)

    @field_validator("image", mode="before")
    @classmethod
    def _folder_or_false(cls, value: object) -> object:
        if value is None or value is False or isinstance(value, str | Path):
            return value
        raise ValueError("is no folder; write its path, or false for none")

    def cache_of(self, campaign: str) -> Path | None:
        """The folder of a campaign's cache: each campaign of a ledger has its own."""
        return self.cache_folder and self.cache_folder / hashlib.sha256(campaign.encode()).hexdigest()[:12]

    def told_of(self, campaign: str) -> Path | None:
        """The folder in which the last evidence of a campaign left what each account was told (`migrate.report.told`)."""
        cache = self.cache_of(campaign)
        return cache and cache.with_name(f"{cache.name}-told")

    @property
    def file(self) -> Path | None:
        """The file of a SQLite ledger."""
        scheme, _, rest = self.url.partition(":///")
        if scheme.partition("+")[0] != "sqlite" or not rest or rest.startswith(":memory:"):
            return None
        return Path(unquote(rest.partition("?")[0]))

    @property
    def cache_folder(self) -> Path | None:
        """The folder of the cache of the last read (`migrate.incremental`): the setting `image`, else beside a SQLite file, else None."""
        if self.image is None and self.file is not None:
            return self.file.with_name(self.file.name + ".image")
        return self.image or None
