"""Reads about single accounts, and of sign-ins. They need many calls, and are made only if `[directory] detail` names them.

Graph's answers contain telephone numbers and `authenticationMethodDetail`, which may contain one; they are dropped as soon as an answer is
read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import numpy as np

from migrate.directory.entra.graph import Graph
from migrate.directory.entra.permissions import METHODS, PER_USER_MFA, PHONES, SIGN_INS, Need
from migrate.directory.entra.registration import Registration
from migrate.directory.method_words import MethodWords
from migrate.directory.vocabulary import NO_STEP
from migrate.directory.web.batch import Asked
from migrate.directory.web.checkpoint import Checkpoint

_TYPES: Final = {"mobile": "mobilePhone", "alternateMobile": "alternateMobilePhone", "office": "officePhone"}
_TELEPHONE: Final = "#microsoft.graph.phoneauthenticationmethod"
_STATES: Final = ("disabled", "enabled", "enforced")
_PAGE: Final = "1000"


def checkpoint(graph: Graph) -> Checkpoint:
    """The file in which answers about single accounts are kept until the read is complete."""
    settings = graph.settings
    asked = (settings.graph, settings.tenant.lower(), settings.client_id, sorted(settings.detail))
    path = settings.checkpoint.with_name(f"{settings.checkpoint.name}-{settings.tenant.lower()}")  # many tenants may share a folder
    return Checkpoint(path, sha256(repr(asked).encode()).hexdigest()[:16])


class Details:
    """Reads about single accounts. `kept`: the answers so far, also those of an earlier read that failed."""

    def __init__(self, graph: Graph, kept: Checkpoint, watch: Callable[[int], None]) -> None:
        self._graph, self._kept, self._watch = graph, kept, watch

    def telephones(self, ids: Iterable[str]) -> dict[str, list[str]]:
        """Id → the kinds of its telephones, in the words of the report; none if the account was deleted meanwhile."""
        return self._each("phones", list(ids), "/authentication/phoneMethods", PHONES, _telephones)

    def per_user_mfa(self, ids: Iterable[str]) -> dict[str, list[str]]:
        """Id → the state of its per-user MFA: `disabled`, `enabled` or `enforced`, or no word."""
        return self._each("mfa", list(ids), "/authentication/requirements", PER_USER_MFA, _state, beta=True)

    def methods(self, ids: Iterable[str]) -> dict[str, list[str]]:
        """Id → all its registered methods, in words of Graph."""
        return self._each("methods", list(ids), "/authentication/methods", METHODS, _methods)

    def _each(
        self, kind: str, ids: list[str], path: str, need: Need, read: Callable[[Any], list[str]], *, beta: bool = False
    ) -> dict[str, list[str]]:
        words = {each: known for each in ids if (known := self._kept.get(f"{kind}:{each}")) is not None}
        left = (Asked(each, f"/users/{quote(each, safe='-')}{path}") for each in ids if each not in words)
        budget = self._graph.directory if beta else self._graph.reports
        for said in self._graph.each(left, need, budget=budget, beta=beta):
            words[said.key] = read(said.body) if said.status == 200 else []
            self._kept.add(f"{kind}:{said.key}", words[said.key])
            self._watch(1)
        return words


def _listed(body: Any) -> list[dict[str, Any]]:
    return (
        [each for each in body["value"] if isinstance(each, dict)] if isinstance(body, dict) and isinstance(body.get("value"), list) else []
    )


def _telephones(body: Any) -> list[str]:
    words = [_TYPES.get(str(each.get("phoneType")), "mobilePhone") for each in _listed(body)]
    if any(each.get("smsSignInState") == "ready" for each in _listed(body)):
        words.append("smsSignIn")
    return list(dict.fromkeys(words))


def _methods(body: Any) -> list[str]:
    kinds = [(str(each.get("@odata.type", "")), each) for each in _listed(body)]
    telephones = {"value": [each for kind, each in kinds if kind.casefold() == _TELEPHONE]}
    others = [kind for kind, _ in kinds if kind.casefold() != _TELEPHONE]
    return list(dict.fromkeys([*_telephones(telephones), *others]))


def _state(body: Any) -> list[str]:
    state = body.get("perUserMfaState") if isinstance(body, dict) else None
    return [state] if state in _STATES else []


class Accounts:
    """Used instead of the report: reads the methods of the enabled accounts of each page when the page comes."""

    def __init__(self, details: Details) -> None:
        self._details = details

    def of(self, ids: np.ndarray, enabled: Sequence[bool]) -> list[Registration | str | None]:
        """See `Registered.of`."""
        names = [each.decode() for each in ids]
        words = self._details.methods([name for name, on in zip(names, enabled, strict=True) if on])
        return [Registration(tuple(words[name])) if name in words else None for name in names]


class LastUse(NamedTuple):
    """The method of an account's last second step, in words of the log, and its time."""

    method: str
    at: str


def sign_ins(graph: Graph, words: MethodWords, watch: Callable[[int], None], now: datetime | None = None) -> dict[str, LastUse]:
    """Id → its last use of a second step in the last `sign_in_days`. A step that was satisfied by an earlier one does not count."""
    since = (now or datetime.now(UTC)) - timedelta(days=graph.settings.sign_in_days)
    params = {"$top": _PAGE, "$filter": f"createdDateTime ge {since:%Y-%m-%dT%H:%M:%SZ}"}
    last_uses: dict[str, LastUse] = {}
    for page in graph.listing("/auditLogs/signIns", params, SIGN_INS, budget=graph.reports, beta=True, anew=last_uses.clear):
        for row in page:
            used = _used(row, words)
            user = row.get("userId")
            if used is not None and isinstance(user, str) and (user not in last_uses or last_uses[user].at < used.at):
                last_uses[user] = used
        watch(len(page))
    return last_uses


def _used(row: dict[str, Any], words: MethodWords) -> LastUse | None:
    """The last successful second step of a sign-in."""
    last: LastUse | None = None
    for step in row.get("authenticationDetails") or ():
        if not isinstance(step, dict) or step.get("succeeded") is not True:
            continue
        method, at = step.get("authenticationMethod"), step.get("authenticationStepDateTime") or row.get("createdDateTime")
        if not isinstance(method, str) or not isinstance(at, str) or words.method(method) in (None, NO_STEP):
            continue
        if last is None or last.at <= at:
            last = LastUse(method, at)
    return last
