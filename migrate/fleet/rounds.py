"""A round: one command for every tenant, some at a time; what each ended as, and what its ledger shows then."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from migrate import files, outside
from migrate.errors import ConfigError, DoneAlreadyError
from migrate.fleet.figures import Figures
from migrate.fleet.processes import Ended, Processes
from migrate.fleet.publishing import DATA
from migrate.fleet.rollup import Rollup, Row, rolled_up
from migrate.fleet.settings import Fleet, Tenant
from migrate.fleet.states import STATES, state_of

Heard = Callable[[Row, int], None]
"""Is told of each tenant that has ended, and how many have."""

RECALLING: Final = ("status", "report")
"""Commands that read no directory: a tenant's state is that of the last round."""
_LONGEST: Final = 600
"""Characters of what a tenant says in the roll-up; its own command says all of it."""
_PREFIX: Final = "Error: "


@dataclass(frozen=True, slots=True)
class Round:
    """What is done to each tenant: a `command` with its `words`, as of an instant if one was typed; with `looks` the ledger is looked at
    afterwards, by `status`."""

    command: str
    words: tuple[str, ...] = ()
    as_of: str | None = None
    looks: bool = True

    @property
    def publishes(self) -> bool:
        """Whether its roll-up is one of the fleet as it stands: `check` and `send` see a part of that."""
        return self.command in ("run", "report")

    def call(self, command: str, tenant: Tenant, words: Sequence[str] = ()) -> list[str]:
        """What stands behind `migrate`."""
        clock = ["--as-of", self.as_of] if self.as_of else []
        return ["--config", str(tenant.path), command, "--json", *(clock if command != "check" else []), *words]


def since(fleet: Fleet, as_of: str | None, now: datetime) -> str:
    """The instant from which on a run is one of this round, by whichever host: hosts start together, but not in the same second."""
    if as_of is None:
        return (now - fleet.apart).isoformat()
    try:
        typed = datetime.fromisoformat(as_of)
    except ValueError:
        return as_of  # each tenant's command says what is wrong with it
    return (typed - fleet.apart).isoformat()


def go(fleet: Fleet, tenants: Sequence[Tenant], this: Round, processes: Processes, heard: Heard) -> Rollup:
    """Does it to all of them, at most `parallel` at once, and waits for all: what becomes of one tenant is one row, and no matter for
    another."""
    remembered = _remembered(fleet)
    at = datetime.now(UTC)
    rows: list[Row] = []
    with files.scratch() as scratch, processes.on_signals(), ThreadPoolExecutor(fleet.parallel) as pool:
        waiting: list[Future[Row]] = [pool.submit(_done, each, this, processes, scratch, remembered.get(each.name)) for each in tenants]
        for ended in as_completed(waiting):
            rows.append(ended.result())
            heard(rows[-1], len(rows))
    return rolled_up(str(fleet.path), this.command, at, rows)


def _done(tenant: Tenant, this: Round, processes: Processes, scratch: Path, before: Mapping[str, Any] | None) -> Row:
    """One tenant, from the command to its row. A fault of ours is this tenant's failure too."""
    try:
        return _row(tenant, this, processes, scratch, before)
    except OSError as error:
        return Row(tenant.name, "failed", ConfigError.exit_code, f"its process could not be started ({error.strerror}).")


def _row(tenant: Tenant, this: Round, processes: Processes, scratch: Path, before: Mapping[str, Any] | None) -> Row:
    ended = processes.call(this.call(this.command, tenant, this.words), scratch)
    if ended is None:
        return Row(tenant.name, "failed", 1, "was not begun: the fleet was asked to end.")
    state, code, said = state_of(ended), ended.code, _said(ended)
    figures = Figures.of(ended.facts) if this.command == "status" else None
    if this.looks and this.command != "status":
        looked = processes.call(this.call("status", tenant), scratch)
        figures = Figures.of(looked.facts) if looked else None
    if this.command in RECALLING and figures and (code == 0 or figures.run_id is None):
        state, said, code = *_as_recorded(figures, before), 0
    return Row(tenant.name, state, code, said, figures, _assessed(this.command, state, ended, figures))


def _assessed(command: str, state: str, ended: Ended, figures: Figures | None) -> bool:
    """Whether the figures are of a read that was accepted: in this round, if it reads; else lately enough to go by."""
    if figures is None or figures.run_id is None:
        return False
    if command == "run" and state != "busy":
        return state in ("ok", "held", "partial") and figures.completed and ended.told("run_id") == figures.run_id
    return state in ("ok", "held", "partial", "busy") and not figures.stale


def _as_recorded(figures: Figures, before: Mapping[str, Any] | None) -> tuple[str, str]:
    """The state that the last round here ended with, and what it said, unless a run was recorded since; then what the ledger shows."""
    if before and before["state"] != "busy" and before["run_id"] == figures.run_id:
        return str(before["state"]), str(before["said"])
    if figures.held:
        return "held", f"a guard held {figures.held:,} reminders: `migrate dry-run` shows them."
    return "ok", "" if figures.run_id else "there has been no run yet."


def _remembered(fleet: Fleet) -> dict[str, Mapping[str, Any]]:
    """Tenant → what fleet.json of the last round says of it; nothing if there is none that can be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        told = json.loads((fleet.reports / DATA).read_text(encoding="utf-8"))
        return {each["tenant"]: each for each in told["tenants"] if each["state"] in STATES and {"said", "run_id"} <= each.keys()}
    return {}


def _said(ended: Ended) -> str:
    """What a person needs to know of it, in one line: the error, else how many letters went and wait."""
    error = ended.told("error")
    if ended.late:
        return "took longer than limit_hours allows, and was ended; what it had not sent is still queued."
    if isinstance(error, dict) and error.get("kind") == DoneAlreadyError.kind:
        return f"{error['what'].partition(', which')[0]}: done already; --again runs it once more."
    if isinstance(error, dict):
        head = f"{error['where']}: {error['what']}" if error.get("where") else str(error["what"])
        return _line([head, *error.get("items", ()), error.get("hint") or ""])
    errors = [line.removeprefix(_PREFIX) for line in ended.lines if line.startswith(_PREFIX)]
    wrong = [str(each["said"]) for each in ended.told("checks") or () if each.get("state") == "wrong"]
    if errors or wrong:
        return _line(errors or wrong)
    if ended.code < 0:
        return f"its process was ended by {_signal(-ended.code)}."
    if isinstance(letters := ended.told("letters"), dict):
        return ", ".join(f"{count:,} {word}" for word, count in letters.items() if count and word != "withdrawn") or "no letters"
    if ended.code > 128 and not ended.lines:
        return f"was asked to end by {_signal(ended.code - 128)}, and ended."
    return "" if ended.code == 0 else _line(ended.lines[-1:]) or f"exit code {ended.code}"


def _line(parts: Iterable[str]) -> str:
    return outside.cut(" ".join(" ".join(part.split()) for part in parts if part), _LONGEST)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
