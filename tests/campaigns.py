"""A small campaign in a folder: a configuration, a directory of a few people that lives on, and the real job."""

from __future__ import annotations

import csv
import shutil
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cast import at
from without_cache import SETTING

from migrate.config import Config, load
from migrate.explain.account import Explained, explain
from migrate.explain.status import Status, status
from migrate.ledger import schema
from migrate.ledger.engine import Ledger
from migrate.run import job
from migrate.run.start import Options

CONFIG = f"""\
[campaign]
name = "sms-retirement"
organization = "Example Corp"
product = "Example account"
opens = 2023-08-01
cutoff = 2024-02-01T00:00:00
timezone = "America/Los_Angeles"
support_email = "help@example.com"

[directory]
kind = "csv"
path = "users.csv"

[mail]
from = "Example Corp Security <security@example.com>"

[ledger]
url = "sqlite:///migrate.db"
{SETTING}
[reports]
formats = []
"""
_COLUMNS = (
    "account_id", "username", "email", "notification_emails", "display_name", "enabled", "federated", "methods", "default_method", "phone",
    "last_used_method", "last_used_at", "may_enrol", "in_policy", "groups",
)  # fmt: skip


@dataclass
class Campaign:
    """The campaign in a folder. `people` are the directory's rows by id; what is not said of one is ordinary."""

    folder: Path
    people: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.path.exists():
            self.path.write_text(CONFIG, encoding="utf-8")

    def copy(self, folder: Path) -> Campaign:
        """The same campaign with the same past, in another folder."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Campaign(folder, deepcopy(self.people))

    @property
    def path(self) -> Path:
        return self.folder / "config.toml"

    @property
    def config(self) -> Config:
        return load(self.path)

    @property
    def ledger(self) -> Path:
        return self.folder / "migrate.db"

    def edit(self, old: str, new: str) -> None:
        text = self.path.read_text(encoding="utf-8")
        assert old in text
        self.path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def person(self, account_id: str, methods: str = "sms", **other: str) -> None:
        """Puts an account into the directory, or changes it."""
        ordinary = {"account_id": account_id, "username": account_id, "email": f"{account_id}@example.com"}
        self.people[account_id] = ordinary | self.people.get(account_id, {}) | {"methods": methods} | other

    def leaves(self, account_id: str) -> None:
        del self.people[account_id]

    def run(self, when: str, **options: Any) -> job.Result:
        """The job at an instant, written in UTC."""
        self.write()
        return job.run(self.config, Options(as_of=at(when), **options))

    def write(self) -> None:
        """The directory as it is now."""
        with (self.folder / "users.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, _COLUMNS)
            writer.writeheader()
            writer.writerows(self.people.values())

    def grant(self, table: sa.Table, account_id: str, until: str, **other: Any) -> None:
        """An exemption or a pause."""
        row = {"account_id": account_id, "until": until, "owner": "ciso", "reason": "at sea", "created_by": "root"} | other
        with Ledger.open(self.config.ledger, create=False) as ledger, ledger.begin() as connection:
            campaign_id = connection.execute(sa.select(schema.campaign.c.id)).scalar_one()
            connection.execute(sa.insert(table).values(campaign_id=campaign_id, created_at=at("2023-12-01 10:00"), **row))

    def explained(self, asked: str, when: str = "2024-01-03 14:00") -> Explained:
        with Ledger.open_readonly(self.config.ledger) as ledger, ledger.read() as connection:
            return explain(connection, self.config, asked, at(when))

    def status(self, when: str = "2024-01-03 14:00") -> Status:
        with Ledger.open_readonly(self.config.ledger) as ledger, ledger.read() as connection:
            return status(connection, self.config, at(when))
