"""fleet.toml: the tenants, how many are handled at a time, and where the roll-up is written (design §22)."""

from __future__ import annotations

import glob
import tomllib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

from migrate.config.complaints import near
from migrate.errors import ConfigError
from migrate.files import texts
from migrate.settings import OneLine, Settings

_WHOLE: Final = "config"
"""A file with this name takes its tenant's name from its folder: `contoso/config.toml` is the tenant `contoso`."""
_HOW: Final = 'It begins with a line such as tenants = "tenants/*.toml"; docs/fleet.md shows a whole one.'


class FleetReports(Settings):
    """`[reports]`: where fleet.csv, fleet.html and fleet.json are put."""

    dir: Path = Path("reports")


class FleetSettings(Settings):
    """`tenants`: the configuration files, as a pattern relative to the folder of fleet.toml. `parallel`: tenants handled at once.
    `limit_hours`: how long one tenant may take before it is ended. `apart_minutes`: hosts that start within so many minutes of each other
    share the tenants out."""

    tenants: OneLine
    parallel: int = Field(4, ge=1, le=64, strict=True)
    limit_hours: float = Field(12, gt=0, le=168)
    apart_minutes: int = Field(10, ge=0, le=1440, strict=True)
    reports: FleetReports = FleetReports()


@dataclass(frozen=True, slots=True)
class Tenant:
    """One organisation: its name, and its configuration file."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet as its file describes it. The tenants are in order of their names."""

    path: Path
    tenants: tuple[Tenant, ...]
    parallel: int
    limit: timedelta
    apart: timedelta
    reports: Path

    def only(self, names: Collection[str]) -> tuple[Tenant, ...]:
        """The tenants with these names; all if no name is given. Raises ConfigError for a name that no tenant has."""
        known = [each.name for each in self.tenants]
        for name in names:
            if name not in known:
                meant = near(name, known)
                hint = f"Did you mean {meant}?" if meant else f"There are {', '.join(known[:20])}{', …' if len(known) > 20 else ''}."
                raise ConfigError(f"no tenant of {self.path} is called {name!r}.", where="--only", hint=hint)
        return tuple(each for each in self.tenants if not names or each.name in names)


def load(path: Path) -> Fleet:
    """Reads a fleet's file. Raises ConfigError with everything that is wrong in it. It does not read the tenants' own files."""
    settings = _settings(path, _parsed(path))
    base = path.absolute().parent
    return Fleet(
        path=path,
        tenants=_tenants(path, base, settings.tenants),
        parallel=settings.parallel,
        limit=timedelta(hours=settings.limit_hours),
        apart=timedelta(minutes=settings.apart_minutes),
        reports=base / settings.reports.dir,
    )


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(texts.read(path))
    except FileNotFoundError:
        raise ConfigError("there is no such file.", where=str(path), hint=f"Name the fleet's with --fleet. {_HOW}") from None
    except texts.NotTextError as error:
        raise ConfigError(f"{error}.", where=str(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror}).", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is not valid TOML: {error}.", where=str(path), hint="Texts need quotes.") from None


def _settings(path: Path, raw: Mapping[str, Any]) -> FleetSettings:
    try:
        return FleetSettings.model_validate(raw)
    except ValidationError as error:
        found = [_complaint(each["type"], each["loc"], each["msg"]) for each in error.errors(include_url=False, include_input=False)]
    if len(found) == 1:
        [(where, what)] = found
        raise ConfigError(what if what.endswith("?") else f"{what}.", where=f"{path}, {where}", hint=_HOW if where == "tenants" else None)
    raise ConfigError(
        f"{len(found)} settings cannot be used as they stand.", where=str(path), items=[f"{where} {what}" for where, what in found]
    )


def _complaint(kind: str, at: Sequence[int | str], message: str) -> tuple[str, str]:
    """The place of a mistake, such as `[reports] dir`, and what is wrong there."""
    *table, key = (str(part) for part in at)
    where = f"[{'.'.join(table)}] {key}" if table else key
    if kind == "missing":
        return where, "is missing"
    if kind != "extra_forbidden":
        return where, message.removeprefix("Value error, ").replace("Input should be", "should be")
    model: type[BaseModel] = FleetReports if table else FleetSettings
    keys = list(model.model_fields)
    meant = near(key, keys)
    return where, f"is no setting; did you mean {meant}?" if meant else f"is no setting; those here are {', '.join(keys)}"


def _tenants(path: Path, base: Path, pattern: str) -> tuple[Tenant, ...]:
    """The tenants whose files match the pattern, by name. Raises ConfigError if there is none, or if two have one name."""
    where = f"{path}, tenants"
    found = [base / name for name in sorted(glob.glob(pattern, root_dir=base, recursive=True))]  # noqa: PTH207 - a pattern may be absolute
    found = [file for file in found if file.is_file() and file.resolve() != path.resolve()]
    if not found:
        raise ConfigError(f"is {pattern!r}, and no file is called so.", where=where, hint=f"The pattern starts at {base}.")
    named = defaultdict[str, list[Path]](list)
    for file in found:
        named[file.parent.name if file.stem == _WHOLE else file.stem].append(file)
    if twice := next(_twice(named), None):
        name, files = twice
        raise ConfigError(
            f"finds two tenants that are called {name!r}: {' and '.join(str(file) for file in files[:2])}.", where=where, hint="Rename one."
        )
    return tuple(Tenant(name, files[0]) for name, files in sorted(named.items()))


def _twice(named: Mapping[str, list[Path]]) -> Iterator[tuple[str, list[Path]]]:
    yield from ((name, files) for name, files in named.items() if len(files) > 1)
