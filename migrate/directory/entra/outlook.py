"""What `migrate check` says of a tenant before it is read: missing permissions and what fails without them, and the cost of a read."""

from __future__ import annotations

from math import ceil
from typing import Final

from migrate.directory.entra.graph import Graph
from migrate.directory.entra.permissions import METHODS, REPORT, USERS, Need, granted, how_to_grant, needed, writing
from migrate.directory.entra.registration import PATH
from migrate.directory.entra.settings import EntraSettings
from migrate.directory.interface import Outlook
from migrate.directory.web.batch import MOST
from migrate.directory.web.budget import Clock
from migrate.errors import DirectoryError, NoLicenceError, NotConsentedError

_PAGE: Final = 999
_PAGE_WITH_ACTIVITY: Final = 500
_SIGN_INS: Final = 1000
_A_DAY: Final = 10
"""How many sign-ins an account has in a day, on average."""
_PER_SECOND: Final = 0.5
_ACTIVITY_PER_SECOND: Final = 10 / 60
_USERS_PER_SECOND: Final = 3


def outlook(settings: EntraSettings, clock: Clock) -> Outlook:
    """Signs in, counts the users, and asks for one row of the report. Raises DirectoryError if not even that is possible."""
    graph = Graph(settings, clock)
    try:
        graph.sign_in()
        wrong, warnings = _missing(settings, graph)
        users, licensed = 0, True
        if granted(USERS, graph.roles):
            users = graph.one("/users/$count", USERS, int)
        if granted(REPORT, graph.roles):
            licensed = _licensed(graph, settings, wrong, warnings)
        said = f"{settings.tenant} lets the application in, with {', '.join(sorted(graph.roles)) or 'no permission'}"
        price, minutes = priced(settings, users, licensed=licensed)
        if users:
            said += f"; a read of {users:,} users costs {price}"
        if settings.timeout and minutes * 60 > settings.timeout:
            warnings.append(
                f"a read may take {_spelt(minutes)}, and [directory] timeout allows {_spelt(settings.timeout / 60)}: raise it, or take "
                "what is not needed out of [directory] detail."
            )
        return Outlook(said, tuple(warnings), tuple(wrong))
    finally:
        graph.close()


def _missing(settings: EntraSettings, graph: Graph) -> tuple[list[DirectoryError], list[str]]:
    """The permissions that the token lacks: errors for those without which a read ends, warnings for the others."""
    wrong: list[DirectoryError] = []
    warnings: list[str] = []
    for need, required in needed(settings):
        if granted(need, graph.roles):
            continue
        said = f"the application lacks {' or '.join(need.permissions)}, without which {need.breaks}."
        if required:
            wrong.append(_not_granted(said, need, settings))
        else:
            warnings.append(f"{said} {how_to_grant(need, settings)}.")
    if more := writing(graph.roles):
        warnings.append(f"the application may do more than read ({', '.join(more)}), and needs none of it: take it away.")
    return wrong, warnings


def _not_granted(said: str, need: Need, settings: EntraSettings) -> DirectoryError:
    return NotConsentedError(said, where="[directory] client_id", hint=f"{how_to_grant(need, settings)}; then type `migrate check`.")


def _licensed(graph: Graph, settings: EntraSettings, wrong: list[DirectoryError], warnings: list[str]) -> bool:
    """Whether the tenant has a licence for the report; adds an error or a warning if it has none."""
    try:
        rows = graph.listing(PATH, {"$top": "1"}, REPORT, budget=graph.reports, anew=lambda: None)
        next(rows, None)
    except NoLicenceError as error:
        if "phones" in settings.detail or settings.join:
            warnings.append(f"{error.what.removesuffix(' Nothing was changed.')} Methods come from elsewhere, and some of it is not known.")
            if "phones" in settings.detail and not granted(METHODS, graph.roles):
                said = f"the application lacks {METHODS.permissions[0]}, without which {METHODS.breaks}."
                wrong.append(_not_granted(said, METHODS, settings))
        else:
            wrong.append(error)
        return False
    return True


def priced(settings: EntraSettings, users: int, *, licensed: bool = True) -> tuple[str, float]:
    """The cost of a read in calls and minutes, as the end of a sentence; and the minutes that it takes at most."""
    activity = "sign_ins" in settings.detail and licensed
    parts: list[tuple[str, int, float, float]] = []
    pages = ceil(users / (_PAGE_WITH_ACTIVITY if activity else _PAGE)) or 1
    at_most = pages / (_ACTIVITY_PER_SECOND if activity else _USERS_PER_SECOND) / 60
    parts.append(("for the users", pages, at_most, at_most))
    if licensed:
        report = ceil(users / _PAGE) or 1
        parts.append(("for the report", report, report / _PER_SECOND / 60, report / _PER_SECOND / 60))
    parts.append(("for domains, policy, groups and roles", 5 + 2 * len(settings.groups) + 2 * len(settings.roles), 0.1, 0.1))
    batches = ceil(users / MOST)
    if "phones" in settings.detail:
        what = "at most for telephones" if licensed else "for methods, account after account"
        parts.append((what, batches, batches / _PER_SECOND / 60, users / _PER_SECOND / 60))
    if "per_user_mfa" in settings.detail and licensed:
        parts.append(("at most for per-user MFA", batches, batches / _USERS_PER_SECOND / 60, batches / _USERS_PER_SECOND / 60))
    if activity:
        logs = ceil(users * _A_DAY * settings.sign_in_days / _SIGN_INS) or 1
        parts.append((f"for about {_A_DAY} sign-ins a user and day", logs, logs / _PER_SECOND / 60, logs / _PER_SECOND / 60))
    calls = sum(count for _, count, _, _ in parts)
    usual, most = sum(each for _, _, each, _ in parts), sum(each for _, _, _, each in parts)
    listed = ", ".join(f"{count:,} {what}" for what, count, _, _ in parts)
    upto = f", up to {_spelt(most)} if Microsoft counts every read in a batch" if most > usual * 1.5 else ""
    return f"about {calls:,} calls ({listed}) and {_spelt(usual)}{upto}", most


def _spelt(minutes: float) -> str:
    if minutes >= 90:
        return f"{minutes / 60:,.1f} hours"
    return f"{max(ceil(minutes), 1)} minute{'s' * (ceil(minutes) > 1)}"
