"""Checks, before anything is sent or recorded, that the ledger is the one whose runs left the evidence beside it (design §12).

With a ledger that is missing, empty, restored from an old backup or another campaign's, a run would write to everybody again. The evidence
and the cache beside the ledger name their ledger and their run. Every command checks the newest of them, which is cheap.
"""

from __future__ import annotations

import contextlib
import csv
import getpass
import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from migrate.errors import ConfigError, LedgerError, NoLedgerError, ReportError
from migrate.files.digests import file_digest
from migrate.ledger import campaigns, identity
from migrate.ledger.engine import Ledger
from migrate.ledger.identity import Trace
from migrate.report import folder

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.ledger.runs import Run
    from migrate.outbox.recovered import Listed, Seen

_WHERE: Final = "[ledger] url"
_MANIFEST: Final = "manifest.json"  # a copy of the name: its module would import pyarrow before a run needs it
_NOTICES: Final = "notices.csv"
_CHANGES: Final = "changes.csv"
_ACCOUNTS: Final = "accounts.csv"
_ORIGIN: Final = "origin.json"
"""The file in a cache's folder that names the run of the cache."""
_SEAL: Final = "sha256"
"""The key of its checksum. Caches are not protected otherwise: a flipped bit must not name a run that never was."""
_NEWEST: Final = 3
"""How many of a campaign's newest folders are checked: so many by name, and so many by time."""
_LOOKED_INTO: Final = 50
"""How many manifests are read at most to find this campaign's, where several campaigns share a folder of reports."""
_KEPT_FROM_BEING_A_FORMULA: Final = re.compile(r"""'[\s"'`]*[=+\-@＝＋－＠﹦﹢﹣﹫]""")
_HOW: Final = 'docs/operate.md, "A ledger that is not the campaign\'s", goes through it step by step.'


@contextmanager
def opened(config: Config, *, create: bool = False, new: bool = False) -> Iterator[Ledger]:
    """Opens the campaign's ledger for writing. With `create` a missing ledger is made, unless evidence shows that there was one.

    Raises LedgerError (exit 2) if the ledger does not know the evidence beside it, unless a person says that it is a `new` one (`accept`).
    """
    found = beside(config)
    try:
        ledger = Ledger.open(config.ledger, create=create and (new or not found))
    except NoLedgerError as error:
        raise (_lost(error, found[0]) if found else error) from error
    with ledger:
        if not new:
            require(config, ledger, found)
        yield ledger


@contextmanager
def looked_at(config: Config) -> Iterator[Ledger]:
    """Opens the campaign's ledger for reading. Raises as `opened` does. A missing ledger is an empty one, unless evidence shows that there
    was one."""
    with Ledger.open_readonly(config.ledger) as ledger:
        require(config, ledger, beside(config))
        yield ledger


def require(config: Config, ledger: Ledger, found: list[Trace]) -> None:
    """Raises LedgerError unless the ledger knows every run in `found`."""
    if not found:
        return
    with ledger.read() as connection:
        strange = identity.unknown(connection, config.campaign.name, found)
        empty = identity.ledger_id(connection) is None
    if not strange:
        return
    if empty:
        raise _lost(NoLedgerError(f"there is no ledger in {ledger.described}.", where=_WHERE), strange[0])
    first = strange[0]
    raise LedgerError(
        f"{ledger.described} does not know run {first.run_id} of {config.campaign.name} ({first.of['as_of']}), of which {first.found_in} "
        "is: it is older than that run, or another one's. By it people would be told again. Nothing was changed.",
        where=_WHERE,
        hint=f"Put the newest backup in its place; if this one is it, `migrate run --new-ledger` goes on with it. {_HOW}",
    )


def _lost(error: LedgerError, trace: Trace) -> LedgerError:
    return LedgerError(
        f"{error.what} But {trace.found_in} is of run {trace.run_id} ({trace.of['as_of']}): there was one, and a new one would tell "
        "everybody again. Nothing was changed.",
        where=_WHERE,
        hint=f"Is its disk mounted? Put the newest backup in its place; if there is none, `migrate run --new-ledger`. {_HOW}",
    )


def beside(config: Config) -> list[Trace]:
    """The traces of the campaign's newest runs beside the ledger: evidence, newest first, then the cache."""
    found: list[Trace] = []
    for path in _newest(config.reports.dir):
        if len(found) >= 2 * _NEWEST:
            break
        found += _trace(path / _MANIFEST, config)
    cache = config.ledger.cache_of(config.campaign.name)
    return found + (_origin(cache, config) if cache else [])


def accept(config: Config, ledger: Ledger, now: datetime) -> str:
    """Records that a person accepts this ledger beside evidence of runs that it does not know. People who were told by that evidence count
    as told. Returns a sentence about what was taken over.

    Raises ConfigError if there is nothing to accept, and ReportError if the evidence does not say who was told.
    """
    from migrate.ledger import account_rows
    from migrate.outbox import recovered

    everything = [trace for name in _folders(config.reports.dir) for trace in _trace(config.reports.dir / name / _MANIFEST, config)]
    cache = config.ledger.cache_of(config.campaign.name)
    everything += _origin(cache, config) if cache else []
    with ledger.read() as connection:
        strange = identity.unknown(connection, config.campaign.name, everything)
        knows_nobody = campaigns.find(connection, config.campaign.name) is None
    if not strange:
        raise ConfigError(
            "the ledger knows all evidence beside it, so there is nothing to accept; nothing was changed.",
            where="--new-ledger",
            hint="Leave it away.",
        )
    strange.sort(key=lambda trace: (str(trace.of["as_of"]), trace.run_id))
    letters = [letter for trace in strange for letter in _letters(trace)]
    changes = [change for trace in strange for change in _changes(trace)]
    by, told_cutoff = _login(), config.campaign.told_cutoff

    def take(connection: Any) -> tuple[int, int]:
        campaign_id = account_rows.ensure_campaign(connection, config.campaign.name, now)
        identity.accept(connection, campaign_id, strange, by, datetime.now(UTC))
        recovered.take_over_changes(connection, campaign_id, changes, letters)
        return recovered.take_over(connection, campaign_id, letters, told_cutoff, by=by)

    told, settled = ledger.write(take)
    runs = len({trace.run_id for trace in strange})
    changes_lost = (
        "It knows no account, so changes of methods since the last of those runs are not confirmed, to anybody"
        if knows_nobody
        else "Changes of methods that only those runs saw are not known here"
    )
    return (
        f"{by} accepted this ledger beside {runs:,} {'run' if runs == 1 else 'runs'} that it does not know. By their evidence {told:,} "
        f"letters more count as told, and {settled:,} that waited here are where they were there. {changes_lost}: "
        "docs/operate.md says what to look at."
    )


def origin_of(config: Config, run: Run) -> dict[str, bytes]:
    """The file that names the run of a cache: its name and content."""
    facts = {"campaign": config.campaign.name, **identity.manifest_facts(run)}
    return {_ORIGIN: json.dumps(facts | {_SEAL: _seal(facts)}, sort_keys=True).encode()}


def _seal(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _origin(cache: Path, config: Config) -> list[Trace]:
    """The run of a cache, if it is of this campaign and its file is unchanged; else nothing."""
    found = _trace(cache / _ORIGIN, config)
    return [each for each in found if each.of.get(_SEAL) == _seal({name: said for name, said in each.of.items() if name != _SEAL})]


def _letters(trace: Trace) -> Iterator[Listed]:
    """The letters in the evidence of a run; a cache has none. Raises ReportError if notices.csv is missing or was changed."""
    if "files" not in trace.of:
        return
    from migrate.outbox.recovered import Listed

    path = Path(trace.found_in) / _NOTICES
    known = trace.of["files"].get(_NOTICES)
    if known is None or not path.is_file() or file_digest(path) != known["sha256"]:
        what = "has no notices.csv" if known is None else "is not what was written"
        raise ReportError(
            f"{path if known else trace.found_in} {what}, so it does not say who was told.",
            where="--new-ledger",
            hint=f"Put it back from a copy. Who moves {trace.found_in} away says that whoever was told by that run may be told again.",
        )
    with path.open(encoding="utf-8", newline="") as file:
        about = {row["account_id"] for row in csv.DictReader(file)}
    cutoffs = dict(_cutoffs(trace, about))
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            at = row["settled_at"] or row["changed_at"] or row["queued_at"]
            yield Listed(
                account_id=_plain(row["account_id"]),
                kind=row["kind"],
                occasion=row["occasion"],
                address=_plain(row["to"]),
                reference=row["reference"],
                state=row["state"],
                reason=row["reason"] or None,
                at=datetime.fromisoformat(at),
                found_in=trace.found_in,
                cutoff=cutoffs.get(row["account_id"]),
            )


def _cutoffs(trace: Trace, about: Collection[str]) -> Iterator[tuple[str, str]]:
    """(account id, cutoff) of some accounts in the evidence of a run; nothing if accounts.csv is missing or was changed. Ids are written as
    in reports."""
    path, known = Path(trace.found_in) / _ACCOUNTS, trace.of.get("files", {}).get(_ACCOUNTS)
    if known is None or not path.is_file() or file_digest(path) != known["sha256"]:
        return
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["account_id"] in about and row.get("cutoff"):
                yield row["account_id"], row["cutoff"]


def _changes(trace: Trace) -> Iterator[Seen]:
    """The changes in the evidence of a run. Nothing if changes.csv is missing or was changed: these changes are then confirmed again."""
    from migrate.outbox.recovered import Seen

    path, known = Path(trace.found_in) / _CHANGES, trace.of.get("files", {}).get(_CHANGES)
    if known is None or not path.is_file() or file_digest(path) != known["sha256"]:
        return
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            confirmed = row["mailed"] != "true" or row["state"] == "confirmed"
            yield Seen(_plain(row["account_id"]), row["has"], datetime.fromisoformat(row["seen_at"]), confirmed)


def _plain(cell: str) -> str:
    return cell[1:] if _KEPT_FROM_BEING_A_FORMULA.match(cell) else cell


def _trace(path: Path, config: Config) -> list[Trace]:
    """The run that a file names, if it is of this campaign; else nothing."""
    try:
        text = path.read_bytes()
        known = json.loads(text)
        ours = known["campaign"] == config.campaign.name and isinstance(known["run_id"], str) and isinstance(known["as_of"], str)
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [Trace(str(path.parent), hashlib.sha256(text).hexdigest(), known)] if ours else []


def _folders(base: Path) -> dict[str, float]:
    """The finished folders in a folder: name → time of the last change in it."""
    found: dict[str, float] = {}
    with contextlib.suppress(OSError), os.scandir(base) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    found[entry.name] = entry.stat(follow_symlinks=False).st_mtime
    return found


def _newest(base: Path) -> list[Path]:
    """The folders where this campaign's newest evidence may be, to be read in this order: the one that `latest` points to, then in turn the
    last by name and the last by time, since either order may be misleading."""
    folders = _folders(base)
    turns = zip(sorted(folders, reverse=True), sorted(folders, key=folders.__getitem__, reverse=True), strict=True)
    latest = folder.newest(base)
    wanted = dict.fromkeys(([latest.name] if latest else []) + [name for pair in turns for name in pair])
    return [base / name for name in list(wanted)[:_LOOKED_INTO]]


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return f"user {os.getuid()}"
