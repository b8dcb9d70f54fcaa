"""How a tenant ends: one word, by the exit code of its command and the kind of its error, never by what was printed for people."""

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
"""State → what it means; what needs a person most stands first."""

_OF_ERROR: Final = {error.kind: error.kind for error in (NotConsentedError, NoLicenceError, UnreachableError)}
_OF_CODE: Final = {0: "ok", 4: "held", 5: "partial", MailServerError.exit_code: "partial", LockedError.exit_code: "busy"}
_LETTERS: Final = 5


def state_of(ended: Ended) -> str:
    """The state of a tenant whose command ended so."""
    if ended.code in _OF_CODE:
        return _OF_CODE[ended.code]
    if ended.code == DirectoryError.exit_code:
        return next((state for kind in kinds(ended.facts) if (state := _OF_ERROR.get(kind))), "failed")
    # A delivery that was asked to end told what it did first: what it did not send waits.
    return "partial" if ended.code in (128 + signal.SIGINT, 128 + signal.SIGTERM) and ended.told("letters") else "failed"


def kinds(facts: Mapping[str, Any] | None) -> list[str]:
    """The kinds of the errors in what a command printed as JSON: of its own, or of what `check` found."""
    told = facts or {}
    checks = told.get("checks", []) if isinstance(told.get("checks"), list) else []
    return [str(each["kind"]) for each in (told.get("error") or {}, *checks) if each.get("kind")]


def exit_code(states: Iterable[tuple[str, int]]) -> int:
    """Of a fleet, from the state and the exit code of each tenant: the first that applies in the order of design §15, but for 75.

    A busy tenant is being done by another host, so it hides nothing of the others: 75 is for a fleet in which nothing else is wrong. What
    no order has, as a process that was killed, is 1 and goes before all.
    """
    codes = [_told(state, code) for state, code in states]
    return first_of(code for code in codes if code != LockedError.exit_code) or max(codes, default=0)


def _told(state: str, code: int) -> int:
    if state == "partial" and code not in (_LETTERS, MailServerError.exit_code):
        return _LETTERS
    return code if 0 <= code < 128 else 1
