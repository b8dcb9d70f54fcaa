"""`[ledger]`: where the ledger lives."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import unquote

from pydantic import Field, field_validator

from migrate.settings import Settings, unambiguous


class LedgerSettings(Settings):
    """`[ledger]`. `url` is a database URL; a SQLite path without a leading slash is relative to the working directory. `image` is the
    folder of the cache of the last read (default: beside a SQLite file); without one every run processes every account."""

    url: str = Field("sqlite:///migrate.db", min_length=1, repr=False)
    image: Path | None = None

    @field_validator("url")
    @classmethod
    def _unambiguous(cls, url: str) -> str:
        return unambiguous(url)

    def cache_of(self, campaign: str) -> Path | None:
        """The folder of a campaign's cache: each campaign of a ledger has its own."""
        return self.cache_folder and self.cache_folder / hashlib.sha256(campaign.encode()).hexdigest()[:12]

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
        return self.image
