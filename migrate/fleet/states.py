"""A tenant's state: one word. It follows from the exit code of its command and the kind of its error, never from text that people read."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from typing import Any, Final

from migrate.errors import DirectoryError, LockedError, MailServerError, NoLicenceError, NotConsentedError, UnreachableError, first_of
from migrate.fleet.processes import Ended

STATES: Final = {
    "failed": "it could not be done, and what it says has to be mended",
    "not_consented": "its directory does not let the application read",
    "no_licence": "it has no licence for what must be read",
    "held": "a guard stopped it: a person has to look",
    "unreachable": "its directory gives no answer",
    "partial": "done, but letters failed or wait",
    "busy": "another host has it",
    "ok": "done",
}
"""State → its meaning. The states that need a person most are first."""

_OF_ERROR: Final = {error.kind: error.kind for error in (NotConsentedError, NoLicenceError, UnreachableError)}
_OF_CODE: Final = {0: "ok", 4: "held", 5: "partial", MailServerError.exit_code: "partial", LockedError.exit_code: "busy"}
_LETTERS: Final = 5


def state_of(ended: Ended) -> str:
    """The state of a tenant, by how its command ended."""
    if ended.code in _OF_CODE:
        return _OF_CODE[ended.code]
    if ended.code == DirectoryError.exit_code:
        return next((state for kind in kinds(ended.facts) if (state := _OF_ERROR.get(kind))), "failed")
    # A delivery that a signal ended still prints what it did. Letters that it did not send wait, so it is partial.
    return "partial" if ended.code in (128 + signal.SIGINT, 128 + signal.SIGTERM) and ended.told("letters") else "failed"


def kinds(facts: Mapping[str, Any] | None) -> list[str]:
    """The kinds of the errors in a command's JSON: of its own error, and of those that `check` found."""
    told = facts or {}
    checks = told.get("checks", []) if isinstance(told.get("checks"), list) else []
    return [str(each["kind"]) for each in (told.get("error") or {}, *checks) if each.get("kind")]


def exit_code(states: Iterable[tuple[str, int]]) -> int:
    """The exit code of a fleet, from each tenant's state and exit code: the first that applies in the order of design §15, except 75.

    75 means that another host is handling a tenant. It is the exit code only if nothing else is wrong with any tenant. A code without a
    place in that order, such as that of a killed process, counts as 1, which goes first.
    """
    codes = [_told(state, code) for state, code in states]
    return first_of(code for code in codes if code != LockedError.exit_code) or max(codes, default=0)


def _told(state: str, code: int) -> int:
    if state == "partial" and code not in (_LETTERS, MailServerError.exit_code):
        return _LETTERS
    return code if 0 <= code < 128 else 1
