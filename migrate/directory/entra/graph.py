"""Calls Microsoft Graph for the other modules of this folder: signs in to one tenant, and keeps to Graph's rate limits."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

from migrate.directory.entra import permissions
from migrate.directory.entra.permissions import Need
from migrate.directory.entra.settings import CLOUDS, EntraSettings
from migrate.directory.web.authorization import Renewed
from migrate.directory.web.batch import Asked, Batches, Said
from migrate.directory.web.budget import CLOCK, Budget, Clock
from migrate.directory.web.client import Client, RefusedError, Server
from migrate.directory.web.pages import pages
from migrate.errors import DirectoryError, NotConsentedError, UnreachableError
from migrate.oauth.microsoft import NOT_CONSENTED, Application, managed_identity_token
from migrate.oauth.tokens import Fetch, KeptToken, TokenDeniedError, claims_of
from migrate.oauth.web import NoAnswerError, get
from migrate.outside import log

GUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_RESTARTS: Final = 3
_T = TypeVar("_T")


class Graph:
    """One tenant's Graph. `roles` are the permissions of the token, once there is one. Everything raises DirectoryError.

    Limits (Learn, "Microsoft Graph service-specific throttling limits"): reports, sign-ins and authentication methods 5 calls in 10 s an
    application and tenant; the directory 3,500 units in 10 s in the smallest tenants; users with `signInActivity` 10 calls in a minute.
    """

    def __init__(self, settings: EntraSettings, clock: Clock = CLOCK) -> None:
        self.settings, self.clock = settings, clock
        self.roles: frozenset[str] = frozenset()
        self._tenant_id = settings.tenant.lower() if GUID.fullmatch(settings.tenant) else None
        kept = KeptToken(_fetching(settings), clock.now)
        self._authorization = Renewed(kept, self._token_refused, self._look_at)
        where = "[directory] graph_url" if settings.graph_url else "[directory] cloud"
        # Graph has reported a missing licence for tenants that have one; such an answer is asked for again.
        server = Server("Microsoft Graph", settings.graph, where, _explained, frozenset({permissions.NO_PREMIUM}))
        self.client = Client(server, self._authorization, clock)
        self.reports = self._budget("reports", 5, 10)
        self.directory = self._budget("directory", 3500, 10)
        self.activity = self._budget("signInActivity", 10, 60)

    def close(self) -> None:
        self.client.close()

    def sign_in(self) -> None:
        """Fetches a token, so that an error of the sign-in comes first, and `roles` are known."""
        self._authorization.current()

    def listing(
        self,
        path: str,
        params: Mapping[str, str],
        need: Need,
        *,
        budget: Budget,
        cost: int = 1,
        beta: bool = False,
        anew: Callable[[], None],
    ) -> Iterator[list[dict[str, Any]]]:
        """The rows of each page. If Graph no longer knows the next page, the listing starts again; `anew` is called first, so that the
        caller can drop the rows that it has."""
        for tries in range(_RESTARTS):
            if tries:
                anew()
            rows = pages(self.client, self._url(path, beta), params, budget=budget, cost=cost)
            try:
                yield from rows
            except RefusedError as error:
                if error.code not in permissions.EXPIRED_PAGE:
                    raise permissions.refusal(error, need, self.settings) from None
            else:
                return
        raise DirectoryError(
            f"Graph forgets where it was in {need.what} before they are read to the end. Nothing was changed.",
            where="[directory]",
            hint="Try again later.",
        )

    def whole(self, path: str, params: Mapping[str, str], need: Need) -> list[dict[str, Any]]:
        """All rows of a short listing of the directory."""
        rows: list[dict[str, Any]] = []
        for page in self.listing(path, params, need, budget=self.directory, anew=rows.clear):
            rows += page
        return rows

    def one(self, path: str, need: Need, shape: Callable[[Any], _T], params: Mapping[str, str] | None = None, *, beta: bool = False) -> _T:
        """The result of `shape` for the JSON at a path."""
        headers = {"ConsistencyLevel": "eventual"} if path.endswith("/$count") else None
        try:
            return self.client.get(self._url(path, beta), params, budget=self.directory, shape=shape, headers=headers)
        except RefusedError as error:
            raise permissions.refusal(error, need, self.settings) from None

    def each(self, reads: Iterator[Asked], need: Need, *, budget: Budget, beta: bool = False) -> Iterator[Said]:
        """Reads of single accounts, in batches."""
        try:
            yield from Batches(self.client, self._url("/$batch", beta), budget).answers(reads)
        except RefusedError as error:
            raise permissions.refusal(error, need, self.settings) from None

    def _url(self, path: str, beta: bool) -> str:
        return f"{self.settings.graph}/{'beta' if beta else 'v1.0'}{path}"

    def _budget(self, api: str, units: int, seconds: float) -> Budget:
        return self.clock.budget((self.settings.graph, self.settings.tenant.lower(), self.settings.client_id, api), units, seconds)

    def _look_at(self, token: str) -> None:
        """Raises DirectoryError if a token is of another tenant."""
        claims = claims_of(token)
        if claims is None:
            raise DirectoryError(
                "the token for Microsoft Graph is none that says whose it is. Nothing was changed.",
                where="[directory] tenant",
                hint="Look at login_url, if it is set: what answers there is not the sign-in of Entra ID.",
            )
        if self._tenant_id is None:
            self._tenant_id = _discovered(self.settings)
        if str(claims.get("tid", "")).lower() != self._tenant_id:
            raise DirectoryError(
                f"the token is of another tenant ({log(str(claims.get('tid', 'none named')))}) than {self.settings.tenant}. "
                "Nothing was changed.",
                where="[directory] tenant",
                hint="Look at tenant, and at whose application or managed identity it is.",
            )
        roles = claims.get("roles")
        self.roles = frozenset(map(str, roles)) if isinstance(roles, list) else frozenset()

    def _token_refused(self, error: TokenDeniedError | NoAnswerError) -> DirectoryError:
        if isinstance(error, NoAnswerError):
            return UnreachableError(
                f"no token for Microsoft Graph could be had: {self.settings.login} gives no answer that can be used "
                f"({self._safe(str(error))}).",
                where="[directory] login_url" if self.settings.login_url else "[directory]",
                hint="Look whether this machine may reach it, and try later.",
            )
        kind = NotConsentedError if error.code in NOT_CONSENTED else DirectoryError
        return kind(
            f"no token for Microsoft Graph could be had: {self._safe(error.words).rstrip('.')}.",
            where=f"[directory] {error.setting}",
            hint=f"{error.hint}; then type `migrate check`.",
        )

    def _safe(self, text: str) -> str:
        secret = self.settings.client_secret.get_secret_value() if self.settings.client_secret else ""
        return log(text.replace(secret, "…") if secret else text)


def _fetching(settings: EntraSettings) -> Fetch:
    """The function that fetches a token for Graph."""
    resource = CLOUDS[settings.cloud].graph
    if settings.managed_identity:
        return functools.partial(managed_identity_token, settings.client_id, resource)
    assert settings.client_id is not None  # validated
    authority = f"{settings.login}/{settings.tenant}"
    application = Application(
        authority,
        f"{authority}/oauth2/v2.0/token",
        settings.client_id,
        "[directory]",
        "tenant",
        f"The tenant has not let the application in: let an administrator consent at {settings.consent_address}",
        settings.certificate,
        settings.client_secret,
        settings.federated_token_file,
    )
    return functools.partial(application.token, f"{resource}/.default")


def _discovered(settings: EntraSettings) -> str:
    """The id of the tenant of a domain, from the sign-in's metadata (OpenID Connect Discovery 1.0)."""
    try:
        answer = get(f"{settings.login}/{settings.tenant}/v2.0/.well-known/openid-configuration", {})
        match = GUID.search(str(json.loads(answer.data)["issuer"])) if answer.status_code == 200 else None
    except (NoAnswerError, ValueError, KeyError, TypeError):
        match = None
    if match is None:
        raise UnreachableError(
            f"{settings.login} does not say which tenant {settings.tenant} is. Nothing was changed.",
            where="[directory] tenant",
            hint="Write the tenant's id; the Entra admin center shows it under Overview.",
        )
    return match[0].lower()


def _explained(told: Any) -> tuple[str, str]:
    """The code of a refusal, without its message, which may name people."""
    try:
        code = str(told["error"]["code"])
    except (KeyError, TypeError):
        return "", ""
    return (code if _CODE.fullmatch(code) else ""), ""
