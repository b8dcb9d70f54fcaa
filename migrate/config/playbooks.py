"""Playbooks: known retirements of SMS, ready to use (design §21).

A playbook is a folder `templates/playbooks/<name>/` and a name in `PLAYBOOKS`. The folder holds `config.toml`, which
`migrate init --playbook` writes; `advice.md` for the operator; and `playbook.toml`, what the tool itself has to know, with the source of
each date and the day on which it was read.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final

from migrate.errors import ConfigError
from migrate.files.resources import resource

GENERIC: Final = "generic"
"""The playbook whose configuration is `config.example.toml`, with every setting."""
PLAYBOOKS: Final = (GENERIC, "autodesk-2024", "entra-2027")


@dataclass(frozen=True, slots=True)
class KnownDate:
    """A date of a retirement: what happens on it, who says so, and when that was read."""

    on: date
    what: str
    source: str
    read: date


@dataclass(frozen=True, slots=True)
class Playbook:
    """What is known of a retirement. `never_says`: words that would be wrong in its letters. `clouds`: the clouds it has dates for, None if
    it has nothing to do with clouds; `no_date`: why it has none for other clouds."""

    name: str
    what: str
    dates: tuple[KnownDate, ...] = ()
    never_says: tuple[str, ...] = ()
    clouds: tuple[str, ...] | None = None
    no_date: str = ""

    @property
    def advice(self) -> Path:
        """The page for the operator."""
        return _folder(self.name) / "advice.md"

    @property
    def config(self) -> str:
        """The configuration to start from, with the lines to EDIT."""
        path = resource("config.example.toml") if self.name == GENERIC else _folder(self.name) / "config.toml"
        return path.read_text(encoding="utf-8")


def _folder(name: str) -> Path:
    return resource("templates") / "playbooks" / name


def playbook(name: str) -> Playbook:
    """The playbook of a name. Raises ConfigError, which lists the names, if there is none."""
    if name not in PLAYBOOKS:
        near = get_close_matches(name, PLAYBOOKS, n=1)
        raise ConfigError(
            f"there is no playbook called {name!r}.",
            where="--playbook",
            hint=(f"Did you mean {near[0]!r}? " if near else "") + f"There are {', '.join(PLAYBOOKS)}.",
        )
    return _read(name)


@cache
def _read(name: str) -> Playbook:
    told: dict[str, Any] = tomllib.loads((_folder(name) / "playbook.toml").read_text(encoding="utf-8"))
    clouds = told.get("clouds", {})
    return Playbook(
        name,
        told["what"],
        tuple(KnownDate(**each) for each in told.get("dates", ())),
        tuple(told.get("never_says", ())),
        tuple(clouds["dated"]) if clouds else None,
        f"{clouds['why']} ({clouds['source']}, read {clouds['read']})" if clouds else "",
    )


def undated_cloud(name: str, cloud: object) -> str | None:
    """Why a playbook cannot be used in a cloud, as the end of a sentence; None if it can."""
    known = playbook(name)
    if known.clouds is None or cloud is None or cloud in known.clouds:
        return None
    return f"has no date in the playbook {name!r}: {known.no_date}"
