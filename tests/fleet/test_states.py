"""As what a tenant ends, and with what a fleet exits."""

from __future__ import annotations

from typing import Any

import pytest

from migrate import errors
from migrate.fleet.processes import Ended
from migrate.fleet.states import STATES, exit_code, state_of

RUN = {"run_id": "r00001", "letters": {"sent": 1}}


def failed(kind: type[errors.MigrateError]) -> dict[str, Any]:
    return {"error": kind("said").facts()}


@pytest.mark.parametrize(
    ("code", "facts", "state"),
    [
        (0, RUN, "ok"),
        (4, {"stopped": ["a guard"]}, "held"),
        (5, RUN, "partial"),
        (6, RUN, "partial"),
        (75, failed(errors.LockedError), "busy"),
        (75, failed(errors.DoneAlreadyError), "busy"),
        (3, failed(errors.NotConsentedError), "not_consented"),
        (3, failed(errors.NoLicenceError), "no_licence"),
        (3, failed(errors.UnreachableError), "unreachable"),
        (3, failed(errors.DirectoryError), "failed"),
        (3, None, "failed"),
        (3, {"checks": [{"kind": None}, {"kind": "configuration"}, {"kind": "no_licence"}]}, "no_licence"),
        (2, failed(errors.ConfigError), "failed"),
        (2, failed(errors.LedgerError), "failed"),
        (1, failed(errors.MigrateError), "failed"),
        (7, {"campaign": "x"}, "failed"),
        (-9, None, "failed"),
        (143, None, "failed"),
        (143, RUN, "partial"),
        (130, RUN, "partial"),
    ],
)
def test_a_state_comes_from_the_exit_code_and_the_kind_of_the_error(code: int, facts: dict[str, Any] | None, state: str) -> None:
    assert state_of(Ended(code, facts, ("Error: it has no licence, and nobody consented",))) == state
    assert state in STATES


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        ([("ok", 0), ("ok", 0)], 0),
        ([("ok", 0), ("partial", 5), ("held", 4), ("unreachable", 3), ("failed", 2)], 2),
        ([("partial", 5), ("held", 4), ("unreachable", 3)], 3),
        ([("partial", 6), ("partial", 5)], 6),
        ([("held", 4), ("partial", 6)], 4),
        ([("busy", 75), ("ok", 0)], 75),
        ([("busy", 75), ("partial", 5)], 5),
        ([("failed", -9), ("failed", 2)], 1),
        ([("partial", 143), ("ok", 0)], 5),
        ([("failed", 143), ("ok", 0)], 1),
        ([("failed", 7), ("ok", 0)], 7),
        ([], 0),
    ],
)
def test_a_fleet_exits_with_the_first_that_applies_and_75_last(ended: list[tuple[str, int]], code: int) -> None:
    assert exit_code(ended) == code


def test_every_error_has_a_kind_of_its_own() -> None:
    def below(kind: type[errors.MigrateError]) -> list[type[errors.MigrateError]]:
        return [kind, *(each for sub in kind.__subclasses__() if sub.__module__ == errors.__name__ for each in below(sub))]

    found = [each.kind for each in below(errors.MigrateError)]
    assert len(set(found)) == len(found) > 10
