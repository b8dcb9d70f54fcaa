"""Calls a privacyIDEA server for the other modules of this folder: signs in, reads one realm, and notices incomplete answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from migrate.directory.bounds import ANSWER
from migrate.directory.privacyidea.rights import TOKENS, USERS, Need, lacking, policy, refusal
from migrate.directory.privacyidea.settings import PrivacyIdeaSettings
from migrate.directory.web.authorization import Authorization, Fixed, Renewed
from migrate.directory.web.budget import CLOCK, Clock
from migrate.directory.web.client import Client, RefusedError, Server
from migrate.directory.web.pages import numbered
from migrate.errors import DirectoryError, UnreachableError
from migrate.oauth.tokens import KeptToken, Token, TokenDeniedError, claims_of
from migrate.oauth.web import NoAnswerError
from migrate.outside import log

PAGE: Final = 1000
"""How many tokens a page has: the most that the server gives since 3.14."""
CHOOSES: Final = (3, 14)
"""Since this version the server can count users, select attributes, and name resolvers that did not answer. An older server takes each of
these parameters for a field to search for, and finds nobody."""
_USERS: Final = 8 * ANSWER
"""How many bytes the list of users has at most; it has no pages, and about 300,000 users fit in."""
_USUAL_SECONDS: Final = 3600.0
_BACK: Final = 50
_VERSION: Final = re.compile(r"(\d+)\.(\d+)")
_LAST: Final = 1e11
"""Instants (seconds) from this one on, in the year 5138, are not believed; a datetime holds every earlier one."""
_DENIED: Final = "Look at username and password, and whether the administrator is locked after failed tries"
_ATTRIBUTES: Final = ("userid", "username", "realm", "resolver", "email", "givenname", "surname", "mobile")
_T = TypeVar("_T")
_CODE: Final = re.compile(r"-?\d{1,6}")

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Realm:
    """A realm: its `resolvers`, name → type; the `version` of the server, and the time of its clock."""

    resolvers: Mapping[str, str]
    version: tuple[int, int]
    at: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """How many users the realm has, and how many of them have a token."""

    users: int
    with_tokens: int


class PrivacyIdea:
    """One server. `rights`, `ends`: the rights and the end of our token, once there is one. All methods raise DirectoryError."""

    def __init__(self, settings: PrivacyIdeaSettings, clock: Clock = CLOCK) -> None:
        self.settings = settings
        self.rights: frozenset[str] | None = None
        self.ends: datetime | None = None
        self.who = settings.username or "the token's administrator"
        self.expected = 0
        """How many tokens there are, as the last page says."""
        self._budget = clock.budget((settings.base, "privacyidea"), 20, 1)
        server = Server("privacyIDEA", settings.base, "[directory] url", _explained, answer=_USERS)
        self._door = Client(server, Fixed(""), clock)
        self._authorization: Authorization
        if settings.token is not None:
            self._authorization = Fixed(settings.token.get_secret_value())
        else:
            self._authorization = Renewed(KeptToken(self._fetch, clock.now), self._not_let_in, self._look_at, scheme="")
        self.client = Client(server, self._authorization, clock)

    def close(self) -> None:
        self.client.close()
        self._door.close()

    def sign_in(self) -> None:
        """Gets a token, so that an error of the sign-in comes first."""
        self._look_at(self._authorization.current())

    def realm(self) -> Realm:
        """The realm. Raises DirectoryError if it does not exist: the server would list nobody, without an error."""
        realms, told = self._get("/realm/", {}, _realms)
        names = {name.casefold(): entry for name, entry in realms.items()}
        if (known := names.get(self.settings.realm)) is None:
            seen = f"it shows {', '.join(map(log, sorted(realms)))}" if realms else "it shows none"
            raise DirectoryError(
                f"privacyIDEA has no realm {self.settings.realm}, or {self.who} may not see it: {seen}. Nothing was changed.",
                where="[directory] realm",
                hint=f"Correct the name; if it is right, the right is missing. {policy(self.settings, self.who)}.",
            )
        version = _VERSION.search(str(told.get("versionnumber") or told.get("version")))
        return Realm(_resolvers(known), (int(version[1]), int(version[2])) if version else (0, 0), _at(told) or datetime.now(UTC))

    def users(self, realm: Realm) -> Rows:
        """All users of the realm, in one response. Raises DirectoryError if a resolver did not answer, or if there are no users."""
        params = {"realm": self.settings.realm}
        if realm.version >= CHOOSES:
            theirs = [column.theirs for column in self.settings.columns.values()]
            params["attributes"] = ",".join(dict.fromkeys([*_ATTRIBUTES, *theirs]))
        rows, told = self._get("/user/", params, _users, USERS)
        self._all_asked(told)
        if not rows:
            raise DirectoryError(
                f"privacyIDEA lists nobody in realm {self.settings.realm}. A resolver that is down, and a policy that names another "
                "resolver, look the same, so this is not believed. Nothing was changed.",
                where="[directory] realm",
                hint=f"Look whether privacyIDEA shows users there, and at the policy of {self.who}: it names no resolver and no user.",
            )
        return rows

    def counted(self) -> Counted | None:
        """How many users there are, or None if the server is too old to tell. Raises NotConsentedError if the right is missing: unlike the
        list of tokens, this call is also refused if the right is for another realm."""
        try:
            counted, told = self._called("/user/count", {"realm": self.settings.realm}, _counted)
        except RefusedError as error:
            if error.status in (404, 405):
                return None
            if error.status == 403:
                raise lacking(TOKENS if TOKENS.action in error.words else USERS, self.settings, self.who) from None
            raise refusal(error, None, self.settings, self.who) from None
        self._all_asked(told)
        return counted

    def tokens(self) -> Iterator[Rows]:
        """All tokens of the realm, a page at a time, in the order in which they were made; some may come twice.

        If a token is deleted meanwhile, all later ones move up one place, and one of them may move to a page that was read already. So the
        last token of each page is looked up again when the next page has come. If it has moved, the page is read again.
        """
        first, back = 1, 0
        while first:
            begun, first, before = first, 0, Rows()
            for number, page in enumerate(self._pages(begun), begun):
                if before and not self._stands(before[-1]["serial"], (number - 1) * len(before)):
                    first, back = number - 1, back + 1
                    break
                yield page
                before = page
            if back > _BACK:
                raise DirectoryError(
                    "tokens are deleted from privacyIDEA faster than its list can be read, so that some may be missing. "
                    "Nothing was changed.",
                    where="[directory]",
                    hint="Run this at another hour.",
                )

    def token_count(self) -> int:
        """How many tokens the realm has, by its list."""
        return self._of_list(1, 1)[1]

    def _pages(self, first: int) -> Iterator[Rows]:
        """The pages from `first` on. Raises DirectoryError if a page before the last is not full: its missing tokens are on no page."""
        before, size = Rows(), -1
        try:
            for page in numbered(self.client, self._url("/token/"), self._params(PAGE), budget=self._budget, shape=self._page, first=first):
                if size >= 0 and (len(before) != size or len(page) > size):
                    raise DirectoryError(
                        "privacyIDEA gives a page of tokens that is not full before the last one, so that some may be missing. "
                        "Nothing was changed.",
                        where="[directory] url",
                        hint="Look what stands between this machine and the server; then try again.",
                    )
                size = len(page) if size < 0 else size
                yield page
                before = page
        except RefusedError as error:
            raise refusal(error, TOKENS, self.settings, self.who) from None

    def _page(self, told: Any) -> tuple[Rows, int | None]:
        rows, following, self.expected = _tokens(told)
        return rows, following

    def _stands(self, serial: str, place: int) -> bool:
        """Whether a token is still at the same place in the list, counted from 1."""
        rows, _ = self._of_list(place, 1)
        return bool(rows) and rows[0]["serial"] == serial

    def _of_list(self, number: int, size: int) -> tuple[Rows, int]:
        """One page of the list, and how many tokens the list has."""
        (rows, _, count), _ = self._get("/token/", self._params(size) | {"page": str(number)}, _tokens, TOKENS)
        return rows, count

    def _params(self, size: int) -> dict[str, str]:
        return {"tokenrealm": self.settings.realm, "sortby": "id", "pagesize": str(size)}

    def _url(self, path: str) -> str:
        return f"{self.settings.base}{path}"

    def _get(self, path: str, params: Mapping[str, str], shape: Callable[[Any], _T], need: Need | None = None) -> tuple[_T, dict[str, Any]]:
        """Gets a path: the result of `shape` for the JSON of the response, and the whole JSON."""
        try:
            return self._called(path, params, shape)
        except RefusedError as error:
            raise refusal(error, need, self.settings, self.who) from None

    def _called(self, path: str, params: Mapping[str, str], shape: Callable[[Any], _T]) -> tuple[_T, dict[str, Any]]:
        return self.client.get(self._url(path), params, budget=self._budget, shape=lambda told: (shape(told), dict(told)))

    def _all_asked(self, told: Mapping[str, Any]) -> None:
        detail = told.get("detail")
        if isinstance(detail, dict) and (skipped := detail.get("skipped_resolvers")):
            names = ", ".join(log(str(name)) for name in skipped) if isinstance(skipped, list) else log(str(skipped))
            raise DirectoryError(
                f"privacyIDEA could not ask the resolver {names}, so that its users are missing. Nothing was changed.",
                where="[directory] realm",
                hint="Test the resolver in privacyIDEA under Config, Users; one that another node serves is read through that node.",
            )

    def _fetch(self) -> Token:
        """Fetches a token with the username and the password. They are sent once only: a server may lock the account, or send a challenge
        for each try."""
        settings = self.settings
        assert settings.password is not None  # validated
        body = {"username": settings.username, "password": settings.password.get_secret_value()}
        try:
            token = self._door.call("POST", self._url("/auth"), budget=self._budget, shape=_token, body=body)
        except UnreachableError as error:
            raise NoAnswerError(error.what) from None
        except RefusedError as error:
            hint = "Look whether url is the address of privacyIDEA itself" if error.status in (404, 405) else _DENIED
            raise TokenDeniedError(f"it answers {log(f'{error.status} {error.code}'.strip())}", hint, "username") from None
        if token is None:
            hint = "Let a policy of scope webui with login_mode=userstore leave it without one, or write a token in its place"
            raise TokenDeniedError("it asks for a second factor, which a program has not", hint, "username")
        return token

    def _not_let_in(self, error: TokenDeniedError | NoAnswerError) -> DirectoryError:
        if isinstance(error, NoAnswerError):
            return UnreachableError(str(error), where="[directory] url", hint="Look whether this machine may reach it, and try later.")
        return DirectoryError(
            f"privacyIDEA does not let {self.who} in: {error.words}. Nothing was changed.",
            where=f"[directory] {error.setting}",
            hint=f"{error.hint}; then type `migrate check`.",
        )

    def _look_at(self, token: str) -> None:
        """Raises DirectoryError if the token is invalid, has expired, or is a user's: a user sees only herself, without an error."""
        claims, where = claims_of(token), "[directory] token" if self.settings.token is not None else "[directory] username"
        if claims is None:
            raise DirectoryError("is no token of privacyIDEA.", where=where, hint="Write the value of result.value.token of POST /auth.")
        if claims.get("role") != "admin":
            raise DirectoryError(
                f"{self.who} is no administrator but a user, and a user is shown herself alone. Nothing was changed.",
                where=where,
                hint="Make an administrator who may only read (docs/privacyidea.md).",
            )
        rights, ends = claims.get("rights"), claims.get("exp")
        self.rights = frozenset(map(str, rights)) if isinstance(rights, list) else None
        self.ends = datetime.fromtimestamp(ends, UTC) if isinstance(ends, (int, float)) and 0 < ends < _LAST else None
        name = claims.get("username")
        self.who = log(name) if isinstance(name, str) and name else self.who


def _explained(told: Any) -> tuple[str, str]:
    """The code of a refusal; and of its message, which may name people, only the right that it is about."""
    try:
        error = told["result"]["error"]
        code, words = str(error["code"]), str(error["message"])
    except (KeyError, TypeError):
        return "", ""
    named = [need.action for need in (TOKENS, USERS) if need.action in words]
    return (code if _CODE.fullmatch(code) else ""), " ".join(named)


def _value(told: Any) -> Any:
    """The value in a response. Raises ValueError, KeyError and TypeError for unexpected JSON."""
    result = told["result"]
    if result["status"] is not True:
        raise ValueError("its status is not true")
    return result["value"]


def _token(told: Any) -> Token | None:
    """The token in the response of POST /auth, None if the response is a challenge."""
    value = _value(told)
    if value is False or (isinstance(value, dict) and not value.get("token")):
        return None
    text = value["token"]
    if not isinstance(text, str) or not text.isascii():
        raise ValueError("the token is no text")
    ends, now = (claims_of(text) or {}).get("exp"), told.get("time")
    known = isinstance(ends, (int, float)) and isinstance(now, (int, float))
    return Token(text, max(float(ends - now), 1.0) if known else _USUAL_SECONDS)


def _at(told: Mapping[str, Any]) -> datetime | None:
    now = told.get("time")
    return datetime.fromtimestamp(now, UTC) if isinstance(now, (int, float)) and 0 < now < _LAST else None


def _realms(told: Any) -> dict[str, dict[str, Any]]:
    value = _value(told)
    if not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
        raise ValueError("there are no realms")
    return value


def _resolvers(realm: Mapping[str, Any]) -> dict[str, str]:
    listed = realm.get("resolver")
    if not isinstance(listed, list):
        return {}
    return {str(each["name"]): str(each.get("type", "")) for each in listed if isinstance(each, dict) and "name" in each}


def _users(told: Any) -> Rows:
    value = _value(told)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError("there is no list of users")
    return value


def _counted(told: Any) -> Counted:
    value = _value(told)
    return Counted(int(value["count"]), int(value["with_tokens"]))


def _tokens(told: Any) -> tuple[Rows, int | None, int]:
    """The tokens of a page, the number of the next, and how many there are on all pages."""
    value = _value(told)
    rows, following, count = value["tokens"], value["next"], value["count"]
    if not isinstance(rows, list) or not all(isinstance(each, dict) and isinstance(each.get("serial"), str) for each in rows):
        raise ValueError("there is no list of tokens")
    if not (following is None or isinstance(following, int)) or not isinstance(count, int):
        raise ValueError("the number of the next page is none")
    return rows, following, count
