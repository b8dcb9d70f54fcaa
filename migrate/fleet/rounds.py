"""A round: runs one command for every tenant, some at a time, and collects how each ended and what its ledger shows."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
from migrate.process.signals import as_done

Heard = Callable[[Row, int], None]
"""Is called with the row of each tenant that has ended, and how many have ended so far."""

RECALLING: Final = ("status", "report")
"""Commands that read no directory. After them a tenant keeps its state of the last round."""
_LONGEST: Final = 600
"""Characters of a tenant's line in the roll-up. The tenant's own command shows the full text."""
_PREFIX: Final = "Error: "


@dataclass(frozen=True, slots=True)
class Round:
    """What is run for each tenant: a `command` with further `words`, with `--as-of` if it was typed. With `looks`, `status` reads the
    ledger afterwards."""

    command: str
    words: tuple[str, ...] = ()
    as_of: str | None = None
    looks: bool = True

    @property
    def publishes(self) -> bool:
        """Whether the roll-up shows the whole state of the fleet; `check` and `send` see only a part of it."""
        return self.command in ("run", "report")

    def call(self, command: str, tenant: Tenant, words: Sequence[str] = ()) -> list[str]:
        """The words after `migrate` on the command line."""
        clock = ["--as-of", self.as_of] if self.as_of else []
        return ["--config", str(tenant.path), command, "--json", *(clock if command != "check" else []), *words]


def since(fleet: Fleet, as_of: str | None, now: datetime) -> str:
    """Runs that began at this instant or later belong to this round, on whichever host: hosts start together, but not in the same
    second."""
    if as_of is None:
        return (now - fleet.apart).isoformat()
    try:
        typed = datetime.fromisoformat(as_of)
    except ValueError:
        return as_of  # each tenant's command says what is wrong with it
    return (typed - fleet.apart).isoformat()


def go(fleet: Fleet, tenants: Sequence[Tenant], this: Round, processes: Processes, heard: Heard) -> Rollup:
    """Runs the round's command for all tenants, at most `parallel` at a time, and waits for all. A failure of one tenant is a row of the
    roll-up and does not affect another."""
    remembered = _remembered(fleet)
    at = datetime.now(UTC)
    rows: list[Row] = []
    with files.scratch() as scratch, processes.on_signals(), ThreadPoolExecutor(fleet.parallel) as pool:
        waiting: list[Future[Row]] = [pool.submit(_done, each, this, processes, scratch, remembered.get(each.name)) for each in tenants]
        for ended in as_done(waiting):
            rows.append(ended.result())
            heard(rows[-1], len(rows))
    return rolled_up(str(fleet.path), this.command, at, rows)


def _done(tenant: Tenant, this: Round, processes: Processes, scratch: Path, before: Mapping[str, Any] | None) -> Row:
    """Runs the command for one tenant; its row. If its process cannot be started, that is a failure of this tenant."""
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
    """Whether the figures come from an accepted read: in this round if the command reads, else recent enough to rely on."""
    if figures is None or figures.run_id is None:
        return False
    if command == "run" and state != "busy":
        return state in ("ok", "held", "partial") and figures.completed and ended.told("run_id") == figures.run_id
    return state in ("ok", "held", "partial", "busy") and not figures.stale


def _as_recorded(figures: Figures, before: Mapping[str, Any] | None) -> tuple[str, str]:
    """A tenant's state and line, from fleet.json of the last round here. If a run was recorded since, they follow from the ledger's
    figures."""
    if before and before["state"] != "busy" and before["run_id"] == figures.run_id:
        return str(before["state"]), str(before["said"])
    if figures.held:
        return "held", f"a guard held {figures.held:,} reminders: `migrate dry-run` shows them."
    return "ok", "" if figures.run_id else "there has been no run yet."


def _remembered(fleet: Fleet) -> dict[str, Mapping[str, Any]]:
    """Tenant → its entry in fleet.json of the last round; empty if that file is missing or cannot be parsed."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        told = json.loads((fleet.reports / DATA).read_text(encoding="utf-8"))
        return {each["tenant"]: each for each in told["tenants"] if each["state"] in STATES and {"said", "run_id"} <= each.keys()}
    return {}


def _said(ended: Ended) -> str:
    """One line for a person: the error, else how many letters were sent and wait."""
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
