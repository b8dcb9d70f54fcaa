"""What proves that a plan is ours: plan.json carries a MAC (HMAC), keyed with a secret of the campaign that the ledger keeps (design §13).

Somebody who has the folder of a plan alone, such as a reviewer, cannot make or change a plan that a run applies. Before the first run the
ledger has no campaign, and a dry run writes nothing there: it keeps the secret in a private file in the reports folder. The first run moves
the secret into the ledger and removes the file. So a plan that was reviewed before the first run can be applied by that run, or by a later
one.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from pydantic import SecretStr

from migrate import files
from migrate.config import Config
from migrate.directory import DirectorySettings
from migrate.files import NotOursError
from migrate.ledger import campaigns

_SECRET: Final = re.compile(rb"[0-9a-f]{64}")
_SQLITE: Final = re.compile(r"(sqlite(?:\+\w+)?:///)([^?]+)")


def secret_of(connection: sa.Connection, config: Config) -> str | None:
    """The secret of the campaign. Before its first run that is the one a dry run set aside; None if none did."""
    return campaigns.secret(connection, config.campaign.name) or set_aside(config)


def set_aside(config: Config, *, make: bool = False) -> str | None:
    """The secret that a dry run set aside before the first run; with `make` one is made if there is none.

    None if there is none, or it cannot be kept. A file that another user could have written or read is not trusted.
    """
    path = place(config)
    found = _read(path)
    if found or not make:
        return found
    try:
        files.make_folder(path.parent)
        with files.work_folder(path.parent, "secret", path.name) as work:
            with work.create(path.name) as file:
                file.write(secrets.token_hex(32).encode())
            with contextlib.suppress(NotOursError):  # another dry run made it at the same moment: both use that one
                work.hand_over(path.name, path.parent, path.name)
    except OSError:
        return None
    return _read(path)


def clear(config: Config) -> None:
    """Removes the file, once the secret is in the ledger."""
    with contextlib.suppress(OSError):
        files.take_away(place(config), _SECRET)


def place(config: Config) -> Path:
    """The file of the secret that was set aside; each campaign has its own."""
    return config.reports.dir / f".dry-run-{hashlib.sha256(config.campaign.name.encode()).hexdigest()[:12]}.key"


def _read(path: Path) -> str | None:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123 - no link is followed
            seen = os.fstat(file.fileno())
            ours = stat.S_ISREG(seen.st_mode) and seen.st_uid == os.geteuid() and not seen.st_mode & 0o077
            content = file.read(65) if ours else b""
    except OSError:
        return None
    return content.decode() if _SECRET.fullmatch(content) else None


def mac(secret: str, facts: Mapping[str, Any]) -> str:
    """The MAC of what plan.json says (JSON values, without the MAC itself)."""
    return _keyed(secret, "plan", json.dumps(facts, sort_keys=True, ensure_ascii=False))


def holds(said: str, secret: str, facts: Mapping[str, Any]) -> bool:
    """Whether a MAC is that of what plan.json says."""
    return hmac.compare_digest(said.encode(), mac(secret, facts).encode())


def directory_mark(secret: str, settings: DirectorySettings) -> str:
    """A keyed digest of all settings of the directory, by which a plan is bound to it. `url` counts in full, even with a password in it; of
    any other secret it counts only that it is set."""
    return _keyed(secret, "directory", json.dumps(_told("", settings.model_dump(by_alias=True)), sort_keys=True, ensure_ascii=False))


def _told(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _told(str(key), inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_told(name, inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, SecretStr):
        # The same database file may be named by different paths.
        return _SQLITE.sub(lambda found: found[1] + os.path.realpath(found[2]), value.get_secret_value()) if name == "url" else "secret"
    if isinstance(value, Path) or name == "path":
        return os.path.realpath(str(value))
    return value if isinstance(value, (bool, int, float)) or value is None else str(value)


def _keyed(secret: str, what: str, text: str) -> str:
    return hmac.new(secret.encode(), f"{what}\0{text}".encode(), hashlib.sha256).hexdigest()
