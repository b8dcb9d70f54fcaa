"""An organisation to run journeys in: a directory, a configuration, a clock, and the command as people type it."""

from __future__ import annotations

import contextlib
import csv
import email
import email.policy
import hashlib
import io
import json
import shlex
import sqlite3
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from without_cache import SETTING

from migrate.cli import main
from migrate.config import load

COLUMNS = (
    "id", "login", "mail", "security_mails", "name", "given", "lang", "dept", "manager", "active", "sso", "kind", "admin", "mfa",
    "mfa_default",
    "mfa_changed_at", "last_login", "mobile", "last_used_method", "last_used_at", "may_enrol", "in_policy", "groups",
)  # fmt: skip

CONFIG = """\
[campaign]
name = "sms-retirement"
organization = "Example Corp"
product = "Example account"
opens = 2023-08-01
cutoff = 2024-02-01T00:00:00
timezone = "America/Los_Angeles"
support_email = "help@example.com"

[directory]
{directory}
[directory.columns]
account_id = "id"
username = "login"
email = "mail"
notification_emails = "security_mails"
display_name = "name"
given_name = "given"
locale = "lang"
department = "dept"
manager_email = "manager"
enabled = "active"
federated = "sso"
account_type = "kind"
privileged = "admin"
methods = "mfa"
default_method = "mfa_default"
methods_changed_at = "mfa_changed_at"
last_sign_in_at = "last_login"
phone = "mobile"

[mail]
from = "Example Corp Security <security@example.com>"
{mail}

[safety]
max_messages = 100000
{safety}

[ledger]
url = "{ledger}"
{cache}
[reports]
dir = "{reports}"
formats = ["csv"]
{more}
"""


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        return json.loads(self.out)


def called(*arguments: str) -> Done:
    """The command, called as the installed one calls it."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    return Done(code, out.getvalue(), err.getvalue())


def typed(command: str, *more: str) -> Done:
    """A command as it stands in a message, and what a test has to add."""
    name, *arguments = shlex.split(command)
    assert name == "migrate"
    return called(*arguments, *more)


@dataclass
class Office:
    """A company of people in one folder. `people` are rows of the directory, by id; `write` puts them where the directory is."""

    folder: Path
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    kind: str = "sql"
    mail: str = 'transport = "maildir"\n[mail.maildir]\npath = "outbox"'
    safety: str = ""
    more: str = ""
    ledger: str = "sqlite:///migrate.db"
    reports: str = "reports"
    directory: str | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)

    def hire(self, account_id: str, mfa: str | None = "sms", **fields: Any) -> None:
        """Somebody joins: by default an ordinary person who gets codes by text message."""
        blank = dict.fromkeys(COLUMNS)
        self.people[account_id] = blank | {"id": account_id, "login": account_id, "mail": f"{account_id}@example.com", "mfa": mfa} | fields

    def change(self, account_id: str, **fields: Any) -> None:
        self.people[account_id] |= fields

    def leave(self, account_id: str) -> dict[str, Any]:
        return self.people.pop(account_id)

    def write(self) -> None:
        """The directory as it is now, as a database and as a CSV file, and the configuration."""
        self.write_rows(list(self.people.values()))
        sources = {
            "sql": 'kind = "sql"\nurl = "sqlite:///directory.db"\ntable = "users"',
            "csv": 'kind = "csv"\npath = "directory.csv"',
        }
        text = CONFIG.format(
            directory=self.directory or sources[self.kind],
            mail=self.mail,
            safety=self.safety,
            more=self.more,
            ledger=self.ledger,
            cache="" if "\nimage = " in self.ledger else SETTING,
            reports=self.reports,
        )
        (self.folder / "config.toml").write_text(text, encoding="utf-8")

    def write_rows(self, rows: list[dict[str, Any]]) -> None:
        with contextlib.closing(sqlite3.connect(self.folder / "directory.db")) as database, database:
            database.execute("DROP TABLE IF EXISTS users")
            database.execute(f"CREATE TABLE users ({', '.join(COLUMNS)})")
            marks = ", ".join("?" * len(COLUMNS))
            database.executemany(f"INSERT INTO users VALUES ({marks})", [[row[name] for name in COLUMNS] for row in rows])
        with (self.folder / "directory.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)

    def migrate(self, *arguments: str) -> Done:
        """The command, told where the configuration is."""
        return called("--config", str(self.folder / "config.toml"), *arguments)

    def run(self, as_of: str, *arguments: str, code: int = 0) -> dict[str, Any]:
        """A run that ends as expected, on the directory as it is now: the facts it prints."""
        self.write()
        done = self.migrate("run", "--json", "--as-of", as_of, *arguments)
        assert done.code == code, (done.code, done.out, done.err)
        facts = done.facts
        assert sum(facts["outcomes"].values()) == facts["read"]
        return facts

    def mails(self) -> list[EmailMessage]:
        """Every message in the Maildir, oldest first."""
        found = []
        for path in (self.folder / "outbox" / "new").glob("*"):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            found.append(message)
        return sorted(found, key=lambda message: (message["Date"].datetime, message["Message-ID"]))

    def told(self) -> list[tuple[str, str]]:
        """(address, occasion) of every message, sorted."""
        return sorted((message["To"], message["X-Migrate-Occasion"]) for message in self.mails())

    def report(self, name: str) -> list[dict[str, str]]:
        """A table of the latest reports."""
        return self.table(self.folder / "reports" / "latest" / f"{name}.csv")

    @staticmethod
    def table(path: Path) -> list[dict[str, str]]:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def remembered(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table of the ledger, whichever database holds it, but for who held the lock."""
        engine = sa.create_engine(load(self.folder / "config.toml").ledger.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            tables = sorted(set(sa.inspect(connection).get_table_names()) - {"run_lock"})
            rows = {name: connection.execute(sa.select(sa.text("*")).select_from(sa.table(name))).all() for name in tables}
        return {name: sorted((tuple(row) for row in found), key=repr) for name, found in rows.items()}

    def fingerprints(self) -> dict[str, str]:
        """The hash of every file, but those of the directory and of dry runs."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and not path.name.startswith("directory.") and "dry-run" not in str(path)
        }


def body(message: EmailMessage) -> str:
    """The text part of a message, as one line."""
    part = message.get_body(("plain",))
    assert part is not None
    return " ".join(str(part.get_content()).split())
