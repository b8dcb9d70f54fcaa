"""Checks evidence: whether its files are those that were written, and whether it follows the evidence before (design §14).

A folder of evidence is checked by itself: its files against its manifest, the manifest against SHA256SUMS and, with a public key, against
its signature. In a folder of reports the chain is checked too: every manifest has the digest of the one before. `migrate.report.retold`
checks evidence against the ledger.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from migrate.errors import ConfigError
from migrate.files.digests import digest_of, file_digest
from migrate.ledger.runs import number
from migrate.report import folder as report_folder
from migrate.report import manifest, signing, sums

_NAMED: Final = re.compile(r"\d{4}-\d{2}-\d{2}-(r\d{5,})(-\d+)?")


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of a folder of evidence, in a sentence that names the file if it is about one."""

    folder: Path
    what: str

    def __str__(self) -> str:
        return f"{self.folder}: {self.what}"


@dataclass(frozen=True, slots=True)
class Known:
    """A folder of evidence: what its manifest says, and the manifest's SHA-256. `chained` is true if it is inside a folder of reports."""

    folder: Path
    of: dict[str, Any]
    digest: str
    chained: bool

    @property
    def campaign(self) -> str:
        return str(self.of["campaign"])

    @property
    def run_id(self) -> str:
        return str(self.of["run_id"])

    @property
    def rebuilt(self) -> bool:
        return bool(self.of["rebuilt"])

    @property
    def previous(self) -> dict[str, str] | None:
        found: dict[str, str] | None = self.of["previous"]
        return found

    @property
    def signed(self) -> bool:
        return (self.folder / signing.NAME).is_file()


@dataclass(frozen=True, slots=True)
class Verified:
    """What was checked, the oldest run first, and every fault that was found."""

    evidence: tuple[Known, ...]
    problems: tuple[Problem, ...]


def verify(places: Sequence[Path], public_key: str | None = None) -> Verified:
    """Checks folders of evidence, and folders of reports with all evidence in them and its chain. Other folders, such as those of dry runs,
    are skipped.

    With a `public_key` (PEM) every folder must be signed with it. Raises ConfigError for a place without evidence.
    """
    found: list[Known] = []
    problems: list[Problem] = []
    for place in places:
        for at, chained in _folders(place):
            known = _read(at, chained=chained)
            if isinstance(known, Problem):
                problems.append(known)
            else:
                found.append(known)
                problems += (Problem(at, what) for what in _wrong(known, public_key))
    problems += _chain(found)
    problems += (problem for place in places for problem in _newest(place))
    found.sort(key=lambda known: (known.campaign, number(known.run_id), known.folder.name))
    return Verified(tuple(found), tuple(problems))


def _folders(place: Path) -> list[tuple[Path, bool]]:
    """The folders of evidence in a place, each with whether its chain is checked."""
    if not place.is_dir():
        raise ConfigError(f"{place} is no folder.", where="DIR", hint="Name a folder of evidence, or the folder of reports.")
    if any((place / name).is_file() for name in (manifest.NAME, sums.NAME)) or _NAMED.fullmatch(place.resolve().name):
        return [(place, False)]
    inside = [path for path in sorted(place.iterdir()) if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")]
    found = [(path, True) for path in inside if _NAMED.fullmatch(path.name) or (path / manifest.NAME).is_file()]
    if not found:
        raise ConfigError(f"{place} holds no evidence.", where="DIR", hint="Name a folder of evidence, or the folder of reports.")
    return found


def _read(at: Path, *, chained: bool) -> Known | Problem:
    try:
        text = (at / manifest.NAME).read_bytes()
        known = json.loads(text)
        number(known["run_id"])
        _shaped(known)
    except FileNotFoundError:
        return Problem(at, f"{manifest.NAME} is missing.")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Problem(at, f"{manifest.NAME} is not what was written: it cannot be read.")
    return Known(at, known, digest_of(text), chained)


def _shaped(known: dict[str, Any]) -> None:
    """Raises KeyError, TypeError or AttributeError for a manifest that lacks something, or has it in another type than ours."""
    previous, _ = known["previous"], (known["campaign"], known["rebuilt"], known.get("ledger", {}).get("id"))
    numbers = [known["schema_version"], *known["rows"].values()]
    if any(type(each) is not int for each in numbers) or not all(Path(name).name == name for name in known["files"]):
        raise TypeError("no manifest of ours")
    for facts in known["files"].values():
        _ = facts["sha256"], facts["bytes"]
    if previous and not (isinstance(previous["sha256"], str) and isinstance(previous["folder"], str)):
        raise TypeError("no manifest of ours")


def _wrong(known: Known, public_key: str | None) -> Iterator[str]:
    """The faults of a folder by itself."""
    at, files = known.folder, known.of["files"]
    for name, facts in sorted(files.items()):
        path = at / name
        if path.is_symlink() or not path.is_file():
            yield f"{name} is missing."
        elif path.stat().st_size != facts["bytes"]:
            yield f"{name} has {path.stat().st_size} bytes; {facts['bytes']} were written."
        elif file_digest(path) != facts["sha256"]:
            yield f"{name} is not what was written."
    signature = (at / signing.NAME).read_bytes() if known.signed else None
    besides = {manifest.NAME: known.digest} | ({signing.NAME: digest_of(signature)} if signature is not None else {})
    yield from _sums(at, sums.text(files, besides), known.of["schema_version"])
    strange = {path.name for path in at.iterdir()} - {*files, manifest.NAME, sums.NAME, signing.NAME}
    yield from (f"{name} is no part of the evidence." for name in sorted(strange))
    if public_key is not None and signature is None:
        yield f"{signing.NAME} is missing: nobody signed this."
    elif public_key is not None and signature is not None and not signing.signed_by(public_key, _text(known), signature):
        yield f"{signing.NAME} is no signature of {manifest.NAME} by that key."
    if known.chained and not known.rebuilt and not re.fullmatch(rf"\d{{4}}-\d{{2}}-\d{{2}}-{re.escape(known.run_id)}(-\d+)?", at.name):
        yield f"the folder's name is not that of run {known.run_id}, whose evidence it holds: it was renamed or exchanged."


def _text(known: Known) -> bytes:
    return (known.folder / manifest.NAME).read_bytes()


def _sums(at: Path, expected: bytes, schema_version: int) -> Iterator[str]:
    path = at / sums.NAME
    if not path.is_file():
        if schema_version >= sums.SINCE:
            yield f"{sums.NAME} is missing."
    elif path.read_bytes() != expected:
        yield f"{sums.NAME} and {manifest.NAME} do not agree: one of them is not what was written."


def _chain(found: Sequence[Known]) -> Iterator[Problem]:
    """The evidence that does not follow the evidence its manifest names."""
    by_name = {known.folder.name: known for known in found}
    by_digest = {known.digest: known for known in found}
    for known in found:
        if not known.chained or known.rebuilt:
            continue
        before = known.previous
        if before is None:
            if earlier := _earlier(known, found):
                yield Problem(known.folder, f"{manifest.NAME} says that no evidence was before it, and {earlier.folder.name} was.")
            continue
        there, meant = by_name.get(before["folder"]), by_digest.get(before["sha256"])
        if there is not None and there.digest != before["sha256"]:
            yield Problem(there.folder, f"is not the evidence that {known.folder.name} followed: it was changed or exchanged.")
        elif there is None and meant is not None:
            yield Problem(meant.folder, f"was called {before['folder']} when {known.folder.name} followed it: it was renamed.")
        elif there is None:
            yield Problem(known.folder, f"the evidence that it followed is not here: {before['folder']} was removed.")


def _earlier(known: Known, found: Iterable[Known]) -> Known | None:
    """An earlier evidence of the same ledger and campaign, if there is one."""
    ledger = known.of.get("ledger", {}).get("id")
    same = (each for each in found if each.campaign == known.campaign and each.of.get("ledger", {}).get("id") == ledger is not None)
    return next((each for each in same if number(each.run_id) < number(known.run_id)), None)


def _newest(place: Path) -> Iterator[Problem]:
    """Finds a link `latest` whose folder was removed. No later evidence names that folder, so the chain cannot tell."""
    newest = report_folder.newest(place) if not (place / manifest.NAME).is_file() else None
    if newest is not None and not newest.is_dir():
        yield Problem(newest, f"the folder is not here, and {report_folder.LATEST} points to it: it was removed.")
