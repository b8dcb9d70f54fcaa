"""`[ledger]`: where the ledger lives."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from migrate.settings import Settings, unambiguous


class LedgerSettings(Settings):
    """`[ledger]`. `url` is a database URL; a SQLite path without a leading slash is relative to the working directory. `image` is a
    folder for what the next run need not look at again; without one (default: beside a SQLite file) every run looks at everything."""

    url: str = Field("sqlite:///migrate.db", min_length=1, repr=False)
    image: Path | None = None

    @field_validator("url")
    @classmethod
    def _unambiguous(cls, url: str) -> str:
        return unambiguous(url)

    @property
    def image_folder(self) -> Path | None:
        """Where the image of the last read is kept (`migrate.image`): beside a SQLite file if nothing else is said, else nowhere."""
        if self.image is None and self.url.startswith("sqlite:///") and not self.url.startswith("sqlite:///:memory:"):
            return Path(self.url.removeprefix("sqlite:///").partition("?")[0] + ".image")
        return self.image
