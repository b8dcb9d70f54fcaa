"""`[ledger]`: where the ledger lives."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from pydantic import Field, field_validator

from migrate.settings import Settings, unambiguous


class LedgerSettings(Settings):
    """`[ledger]`. `url` is a database URL; a SQLite path without a leading slash is relative to the working directory. `image` is the
    folder of the cache of the last read (default: beside a SQLite file). Without a folder, or with `false`, every run decides every row."""

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

    def image_of(self, campaign: str) -> Path | None:
        """Where the image of a campaign is kept: each one of a ledger has its own."""
        return self.image_folder and self.image_folder / hashlib.sha256(campaign.encode()).hexdigest()[:12]

    def told_of(self, campaign: str) -> Path | None:
        """Where is kept what the last evidence of a campaign said that each account was told (`migrate.report.told`)."""
        image = self.image_of(campaign)
        return image and image.with_name(f"{image.name}-told")

    @property
    def file(self) -> Path | None:
        """The file of a SQLite ledger."""
        scheme, _, rest = self.url.partition(":///")
        if scheme.partition("+")[0] != "sqlite" or not rest or rest.startswith(":memory:"):
            return None
        return Path(unquote(rest.partition("?")[0]))

    @property
    def image_folder(self) -> Path | None:
        """Where the image of the last read is kept (`migrate.incremental`): beside a SQLite file if nothing else is said, else nowhere."""
        if self.image is None and self.file is not None:
            return self.file.with_name(self.file.name + ".image")
        return self.image or None
