"""Makes relative paths absolute, and digests the effective settings."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, SecretStr

from migrate.config.references import Key

Model = TypeVar("Model", bound=BaseModel)

_SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?):///(?!/|:memory:|file:)([^?]+)(\?.*)?", re.DOTALL)
_URL_PASSWORD = re.compile(r"(://[^:/@\s]*):\S*@")


def anchored(settings: Model, folder: Callable[[Key], Path], at: Key) -> Model:
    """The settings of a table with every relative path made absolute: values of type `Path`, settings called `path`, and the SQLite file
    in a `url`. `folder` gives the folder of the file in which a key is written. Nested tables and lists of tables are included."""
    fields = type(settings).model_fields
    return settings.model_copy(
        update={name: _anchored(name, getattr(settings, name), folder, (*at, of.alias or name)) for name, of in fields.items()}
    )


def _anchored(name: str, value: Any, folder: Callable[[Key], Path], at: Key) -> Any:
    if isinstance(value, BaseModel):
        return anchored(value, folder, at)
    if isinstance(value, tuple):
        return tuple(_anchored("", each, folder, (*at, number)) for number, each in enumerate(value))
    if isinstance(value, Path):
        return folder(at) / value
    if name == "path" and isinstance(value, str):
        return str(folder(at) / value)
    if name == "url" and isinstance(value, str):
        return sqlite_url(value, folder(at))
    if name == "url" and isinstance(value, SecretStr):
        return SecretStr(sqlite_url(value.get_secret_value(), folder(at)))
    return value


def sqlite_url(url: str, base: Path) -> str:
    """`sqlite:///relative.db` → `sqlite:////base/relative.db`; any other URL unchanged.

    A question mark or a per cent sign in `base`, which is a path, is escaped, so that it is not taken for part of the URL.
    """
    match = _SQLITE_FILE.fullmatch(url)
    if not match:
        return url
    scheme, file, query = match.groups()
    if Path(file).is_absolute():
        return url
    written = str(base).replace("%", "%25").replace("?", "%3F")
    return f"{scheme}:///{Path(written) / file}{query or ''}"


def digest(tables: Mapping[str, BaseModel], beside: str = "") -> str:
    """SHA-256 (hex) of the effective settings, defaults included, and of `beside`, a digest of what other files add. Passwords are left
    out; paths count as they were written."""
    told = {name: table.model_dump(by_alias=True) for name, table in tables.items()}
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, default=_written)
    return hashlib.sha256((_URL_PASSWORD.sub(r"\1@", text) + beside).encode()).hexdigest()


HIDDEN: Final = "sha256:"
"""How a digest begins that stands in place of a value that may be a secret."""

_SHOWN: Final = frozenset({"campaign", "policy", "schedule", "safety", "reports", "waves"})


def effective(tables: Mapping[str, BaseModel]) -> dict[str, str]:
    """Each effective setting, such as `[mail.smtp] port` → its value.

    The value is JSON in the tables of `_SHOWN`, which can hold no secret; elsewhere it is `HIDDEN` and a digest, so that values can be
    compared but not read.
    """
    settings: dict[str, str] = {}

    def walk(at: tuple[str, ...], value: Any) -> None:
        if isinstance(value, dict) and value:
            for name, inner in value.items():
                walk((*at, str(name)), inner)
            return
        if at == ("waves",):  # tables in a list: each by its number
            for number, inner in enumerate(value, 1):
                walk((*at, str(number)), inner)
            return
        text = _URL_PASSWORD.sub(r"\1@", json.dumps(value, sort_keys=True, ensure_ascii=False, default=_written))
        shown = text if at[0] in _SHOWN else HIDDEN + hashlib.sha256(text.encode()).hexdigest()[:16]
        settings[f"[{'.'.join(at[:-1])}] {at[-1]}"] = shown

    for name, table in tables.items():
        walk((name,), table.model_dump(by_alias=True))
    return settings


def _written(value: object) -> object:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    # The text of a SecretStr is `**********`, except that of an empty one.
    return "secret" if isinstance(value, SecretStr) else str(value)
