"""Finds settings that were not edited: lines marked EDIT that still have the value that `migrate init` wrote.

`migrate init` writes the example or a playbook's configuration; the same file says which settings are marked, and their values.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from migrate.config.complaints import where
from migrate.config.extending import extended
from migrate.config.playbooks import GENERIC, playbook
from migrate.config.references import Key
from migrate.files import texts

if TYPE_CHECKING:
    from migrate.config import Config

_TABLE: Final = re.compile(r"\[([\w.]+)\]")
_SETTING: Final = re.compile(r"(\w+) = ")
_MARK: Final = re.compile(r"#.*\bEDIT\b")
_PLACEHOLDER: Final = "example"
"""A name that contains this belongs to nobody (RFC 2606)."""


def untouched(config: Config) -> list[str]:
    """`[table] key` of each setting that the example marks EDIT and that still has the example's value.

    A value that could be right by chance counts only if its line is still marked in the file that it stands in, too. References to secrets
    do not count, nor do the mail server's settings while letters go to a folder.
    """
    example = playbook(config.campaign.playbook or GENERIC).config
    given = tomllib.loads(example)
    mine, origins = extended(config.path, lambda path: tomllib.loads(texts.read(path)))
    still = {file: set(_marked(texts.read(file))) for file in {config.path, *origins.elsewhere.values()}}
    settings = []
    for at in _marked(example):
        value = _value(mine, at)
        idle = at[:2] == ("mail", "smtp") and config.mail.transport != "smtp"
        if idle or value is None or isinstance(value, dict) or value != _value(given, at):
            continue
        if at in still[origins.file(at)] or _PLACEHOLDER in str(value).lower():
            settings.append(where(at))
    return settings


def _marked(text: str) -> Iterator[Key]:
    table: tuple[str, ...] = ()
    for line in text.splitlines():
        if header := _TABLE.match(line):
            table = tuple(header[1].split("."))
        elif (setting := _SETTING.match(line)) and _MARK.search(line):
            yield (*table, setting[1])


def _value(tables: dict[str, Any], at: Key) -> Any:
    value: Any = tables
    for part in at:
        value = value.get(part) if isinstance(value, dict) else None
    return value
