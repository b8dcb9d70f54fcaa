"""One read of a tenant: first everything that is needed to understand its users, several calls at a time; then its users, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from migrate.directory.entra import detail, members, policy, registration
from migrate.directory.entra.detail import Accounts, Details
from migrate.directory.entra.graph import Graph
from migrate.directory.entra.ids import IdSet, packed
from migrate.directory.entra.people import MANAGER, Known, Noticed, frame, selected
from migrate.directory.entra.permissions import DOMAINS, POLICY, USERS
from migrate.directory.entra.policy import Policy
from migrate.directory.entra.registration import Registered, Report
from migrate.directory.entra.settings import EntraSettings
from migrate.directory.method_words import MethodWords
from migrate.directory.web.budget import Clock
from migrate.directory.web.checkpoint import Checkpoint
from migrate.errors import DirectoryError, NoLicenceError, NotConsentedError
from migrate.outside import log
from migrate.process.prefetch import meanwhile
from migrate.process.signals import as_done

if TYPE_CHECKING:
    import pandas as pd

_PAGE: Final = "999"
_PAGE_WITH_ACTIVITY: Final = "500"


class Reading:
    """One read of a tenant; `frames` gives the users, and `caveats` is complete after the last of them."""

    def __init__(self, settings: EntraSettings, words: MethodWords, clock: Clock, watch: Callable[[int], None], *, joined: bool) -> None:
        self.caveats: list[str] = []
        self._settings, self._words, self._watch, self._joined = settings, words, watch, joined
        self._graph = Graph(settings, clock)
        self._noticed = Noticed()
        self._kept: Checkpoint | None = None
        self._licensed = True

    def frames(self) -> Iterator[pd.DataFrame]:
        """Every page of users as a raw frame. Raises DirectoryError."""
        with ExitStack() as stack:
            stack.enter_context(_errors_reworded())
            stack.callback(self._graph.close)
            self._graph.sign_in()
            if self._settings.detail:
                self._kept = detail.checkpoint(self._graph)
                stack.callback(self._kept.close)
            known = self._known()
            position, given = 1, list[np.ndarray]()
            for users in self._users(given):
                made = frame(users, known, self._settings, self._words, self._noticed, position)
                given.append(packed(made["account_id"].tolist()))
                position += len(made)
                yield made
            self._conclude(known)
            if self._kept is not None:
                self._kept.done()

    def _users(self, given: list[np.ndarray]) -> Iterator[list[dict[str, Any]]]:
        """Pages of users; if the listing starts again, users that were `given` before are left out."""
        activity = "sign_ins" in self._settings.detail and self._licensed
        params = {
            "$select": selected(self._settings, activity=activity),
            "$expand": MANAGER,
            "$top": _PAGE_WITH_ACTIVITY if activity else _PAGE,
        }
        budget, before = (self._graph.activity if activity else self._graph.directory), [IdSet()]
        anew = lambda: before.append(IdSet(given))  # noqa: E731
        for page in self._graph.listing("/users", params, USERS, budget=budget, cost=1 if activity else 2, anew=anew):
            if len(before[-1]):
                met = before[-1].has(packed([each.get("id") for each in page]))
                page = [each for each, old in zip(page, met, strict=True) if not old]
            if page:
                yield page

    def _known(self) -> Known:
        """Reads what is needed before the users; the first failure ends all of these calls."""
        settings, graph = self._settings, self._graph
        registered = meanwhile(self._report)
        domains = meanwhile(partial(graph.whole, "/domains", {"$select": "id,authenticationType"}, DOMAINS))
        allowed, opted_out = meanwhile(self._policy), meanwhile(self._opted_out)
        groups = meanwhile(lambda: {name: members.of_named_group(graph, name) for name in settings.groups})
        roles = meanwhile(lambda: members.of_roles(graph, settings.roles) if settings.roles else {})
        used = meanwhile(lambda: self._sign_ins() if "sign_ins" in settings.detail else {})
        every: list[Future[Any]] = [registered, domains, allowed, opted_out, groups, roles, used]
        with graph.client.ending(every):
            for done in as_done(every):
                done.result()  # whatever fails first ends the read
        holders = roles.result()
        known = Known(registered.result(), _federated(domains.result(), settings), allowed.result(), last_use=used.result())
        known.groups = groups.result() | {members.ROLE + name: each for name, each in holders.items()}
        known.holders = IdSet.united(holders.values())
        if opted_out.result():
            self.caveats.append(
                "the tenant has opted out of Microsoft's change of September: people have seen no prompt to register a passkey"
            )
        self._of_single_accounts(known)
        return known

    def _report(self) -> Registered | None:
        """The report of registered methods; without the licence for it, what is used instead."""
        try:
            return registration.report(self._graph, self._words, self._watch)
        except NoLicenceError:
            if "phones" not in self._settings.detail and not self._joined:
                raise
        self._licensed = False
        instead = "methods were asked for account after account" if "phones" in self._settings.detail else "methods are those of the join"
        self.caveats.append(
            f"the tenant has no Entra ID P1, so that there is no report of registered methods: {instead}, and which one is asked for "
            "first, who is an administrator, and who signed in is not known"
        )
        return Accounts(self._details()) if "phones" in self._settings.detail else None

    def _details(self) -> Details:
        assert self._kept is not None  # there is a detail
        return Details(self._graph, self._kept, self._watch)

    def _sign_ins(self) -> dict[str, detail.LastUse]:
        try:
            return detail.sign_ins(self._graph, self._words, self._watch)
        except NoLicenceError:
            self.caveats.append("the tenant has no Entra ID P1, so that the detail sign_ins could not be read")
            return {}

    def _policy(self) -> Policy | None:
        try:
            told = self._graph.one("/policies/authenticationMethodsPolicy", POLICY, _with_configurations)
        except NotConsentedError:
            self.caveats.append(f"{POLICY.breaks}: the application lacks {' or '.join(POLICY.permissions)}")
            return None
        members_of: dict[str, IdSet | None] = {}
        for group in policy.groups_in(told):
            try:
                members_of[group] = members.of_group(self._graph, group, self._watch)
            except NotConsentedError:
                members_of[group] = None
        if unread := sum(each is None for each in members_of.values()):
            self.caveats.append(
                f"{unread} group{'s' * (unread != 1)} of the policy of authentication methods could not be read, so that in_policy and "
                "may_enrol are not known for everybody: the application lacks GroupMember.Read.All"
            )
        understood = policy.understood(told, members_of.get)
        if not understood.complete:
            self.caveats.append(
                "who may use text messages or calls is a lower bound: the tenant's migration to the policy of authentication methods is "
                "not complete, and per-user MFA and older settings add to it"
            )
        if understood.restricted:
            self.caveats.append("passkeys are for listed or attested models alone, which telephones and password managers may not be")
        return understood

    def _opted_out(self) -> bool:
        """Whether the tenant has postponed Microsoft's change of September. The call is not documented; if it fails, the answer is no."""
        try:
            told = self._graph.one("/policies/authenticationMethodsPolicy", POLICY, dict, beta=True)
        except DirectoryError:
            return False
        settings = told.get("optOutSettings")
        return isinstance(settings, dict) and settings.get("passkeyDynamicMigration") is True

    def _of_single_accounts(self, known: Known) -> None:
        """Reads the details of single accounts: those that have a telephone."""
        if not isinstance(known.registered, Report):
            if "per_user_mfa" in self._settings.detail:
                self.caveats.append("the detail per_user_mfa was not read: it needs the report of registered methods")
            return
        if "phones" in self._settings.detail:
            known.registered.replace_telephones(self._details().telephones(known.registered.with_telephone()))
        if "per_user_mfa" in self._settings.detail:
            known.per_user_mfa = self._details().per_user_mfa(known.registered.with_telephone())

    def _conclude(self, known: Known) -> None:
        """Makes the caveats, after all users were read."""
        if isinstance(known.registered, Report):
            oldest = known.registered.oldest
            since = f"; the oldest of its rows is of {oldest[:16].replace('T', ' ')} UTC" if oldest else ""
            self.caveats.append(f"the report of registered methods may be up to 36 hours behind what people have done{since}")
            if unmet := known.registered.unmet():
                self.caveats.append(
                    f"{unmet:,} account{'s' * (unmet != 1)} of the report {_is(unmet)} not among the users, and {_was(unmet)} left out"
                )
        if count := self._noticed.unlisted:
            self.caveats.append(
                f"{count:,} account{'s' * (count != 1)} that can sign in {_is(count)} not in the report of registered methods yet, so that "
                "nobody can name the second step"
            )
        if count := self._noticed.federated_with_telephone:
            self.caveats.append(
                f"{count:,} account{'s' * (count != 1)} of federated domains {'has' if count == 1 else 'have'} a telephone registered with "
                "Entra ID: if the domain lets Entra ID do the second step, they are concerned, too (exempt_federated)"
            )
        if self._settings.roles:
            self.caveats.append("whoever is only eligible for a role (PIM) does not count as holding it")
        if self._kept is not None and not self._kept.kept:
            self.caveats.append(f"nothing could be kept in {self._kept.path}: a read that breaks off begins anew")


@contextmanager
def _errors_reworded() -> Iterator[None]:
    """Turns errors about unexpected JSON of Graph into a DirectoryError that ends the read."""
    try:
        yield
    except (ValueError, KeyError) as error:
        raise DirectoryError(
            f"Graph gives what is not described ({log(str(error))}). Nothing was changed.", where="[directory]", hint="Try again later."
        ) from error


def _with_configurations(told: Any) -> dict[str, Any]:
    """The JSON of the policy. Raises ValueError for other JSON."""
    if not isinstance(told, dict):
        raise ValueError("the policy is no object")
    policy.groups_in(told)
    return told


def _federated(domains: list[dict[str, Any]], settings: EntraSettings) -> frozenset[str]:
    """The federated domains. Raises DirectoryError if the tenant's own domain is not in the list."""
    names = {str(each.get("id")).casefold() for each in domains}
    if "." in settings.tenant and settings.tenant.casefold() not in names:
        raise DirectoryError(
            f"{settings.tenant} is none of the domains of the tenant that was read. Nothing was changed.",
            where="[directory] tenant",
            hint="Write the tenant's id, or one of its domains.",
        )
    return frozenset(str(each.get("id")).casefold() for each in domains if each.get("authenticationType") == "Federated")


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
