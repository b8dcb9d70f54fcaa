"""Reports to a monitor that the job runs: calls a web address at its start and its end (`[monitoring]`, design §16).

The convention is that of healthchecks: `<ping_url>/start` at the start, `<ping_url>` itself for exit code 0, `<ping_url>/<exit code>` for
any other, and `<ping_url>/fail` for a bug. The address is a secret, since anybody who knows it can report in our name: it is never printed.
No call can make the job fail, and the one at the start does not even delay it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from migrate import __version__
from migrate.errors import MigrateError
from migrate.monitoring.settings import MonitoringSettings

__all__ = ["MonitoringSettings", "reported"]

Ended = Callable[[int, Mapping[str, Any]], None]
"""Called with the exit code of a command and its facts when it has ended."""

_BUG: Final = 1
_COUNTS: Final = ("run_id", "as_of", "read", "rejected", "standing", "changes", "outcomes", "letters", "stale", "too_late")
"""The facts of a command that are sent: counts and instants. Words spelt by a directory, folders and names are never sent."""


@contextmanager
def reported(settings: MonitoringSettings, command: str, warn: Callable[[str], object]) -> Iterator[Ended]:
    """Reports the start of a command, and its end when the context closes: with what the callback was given, or with the error that ended
    it.

    `warn` is called with one line if a call failed.
    """
    if settings.ping_url is None:
        yield _unheard
        return
    from migrate.monitoring.calls import Call  # imports the HTTP library, which takes time

    said: list[tuple[int, Mapping[str, Any]]] = [(0, {})]
    address = urlsplit(settings.ping_url.get_secret_value())
    start = Call(address, "/start")
    try:
        yield lambda code, facts: said.append((code, facts))
    except BaseException as error:
        said.append((_code_of(error), {}))
        raise
    finally:
        code, facts = said[-1]
        told = {"command": command, "exit_code": code, "version": __version__} | {name: facts[name] for name in _COUNTS if name in facts}
        failed = start.failure()  # the end must not arrive before the start
        end = Call(address, "" if code == 0 else "/fail" if code == _BUG else f"/{code}", told)
        if failed := end.failure() or failed:
            warn(f"Warning: [monitoring] ping_url could not be called: {failed}. Nothing else depends on it.")


def _unheard(_code: int, _facts: Mapping[str, Any]) -> None:
    """The callback where no `ping_url` is set."""


def _code_of(error: BaseException) -> int:
    match error:
        case MigrateError():
            return error.exit_code
        case SystemExit(code=int(code)):
            return code
        case KeyboardInterrupt():
            return 130
    return _BUG
