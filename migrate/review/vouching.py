"""What vouches for a plan: its plan.json carries a MAC, made with a secret of the campaign that the ledger keeps (design §13).

Nobody who has the folder of a plan alone, such as a reviewer, can make or change one that a run applies. Before the first run there is
no campaign in the ledger, and a dry run writes nothing there. It sets the secret aside in a private file in the reports folder, and the
first run takes it into the ledger and the file away. So the plan that was reviewed before the first run can be applied by it, and by a
later one.
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
    """The secret of the campaign; before its first run that which a dry run set aside, None if none did."""
    return campaigns.secret(connection, config.campaign.name) or set_aside(config)


def set_aside(config: Config, *, make: bool = False) -> str | None:
    """The secret that a dry run before the first run set aside; with `make` it is set aside if it is not there.

    None if there is none, or where none can be kept. A file that another user could have written or read is not believed.
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
            with contextlib.suppress(NotOursError):  # of two dry runs at once one makes the secret of both
                work.hand_over(path.name, path.parent, path.name)
    except OSError:
        return None
    return _read(path)


def clear(config: Config) -> None:
    """Takes the file away, once the secret is in the ledger."""
    with contextlib.suppress(OSError):
        files.take_away(place(config), _SECRET)


def place(config: Config) -> Path:
    """Where the secret is set aside; each campaign has its own."""
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
    """Of what plan.json says (JSON values, without the MAC itself)."""
    return _keyed(secret, "plan", json.dumps(facts, sort_keys=True, ensure_ascii=False))


def holds(said: str, secret: str, facts: Mapping[str, Any]) -> bool:
    """Whether a MAC is that of what plan.json says."""
    return hmac.compare_digest(said.encode(), mac(secret, facts).encode())


def directory_mark(secret: str, settings: DirectorySettings) -> str:
    """Names the directory a plan was made of: all its settings, its address too, and no other secret in them."""
    return _keyed(secret, "directory", json.dumps(_told("", settings.model_dump(by_alias=True)), sort_keys=True, ensure_ascii=False))


def _told(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _told(str(key), inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_told(name, inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, SecretStr):
        # An address may hold the name of a database, which is not another one because it is called by another way.
        return _SQLITE.sub(lambda found: found[1] + os.path.realpath(found[2]), value.get_secret_value()) if name == "url" else "secret"
    if isinstance(value, Path) or name == "path":
        return os.path.realpath(str(value))
    return value if isinstance(value, (bool, int, float)) or value is None else str(value)


def _keyed(secret: str, what: str, text: str) -> str:
    return hmac.new(secret.encode(), f"{what}\0{text}".encode(), hashlib.sha256).hexdigest()
