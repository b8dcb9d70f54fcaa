"""The registered methods of accounts: from Graph's report, or, without the licence for it, read account by account."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from migrate.directory.entra.graph import Graph
from migrate.directory.entra.ids import found, packed
from migrate.directory.entra.permissions import REPORT
from migrate.directory.method_words import MethodWords, spelling
from migrate.directory.profiles.entra import first_choice

PATH: Final = "/reports/authenticationMethods/userRegistrationDetails"
_PAGE: Final = "999"

TELEPHONES: Final = (
    "mobilePhone",
    "alternateMobilePhone",
    "officePhone",
    "sms",
    "mobileSMS",
    "mobileCall",
    "alternateMobileCall",
    "smsSignIn",
)
"""All words that the report has used for a telephone."""
_TELEPHONES: Final = frozenset(map(spelling, TELEPHONES))
_SIGN_IN: Final = spelling("smsSignIn")
_THIS_DEVICE: Final = frozenset(map(spelling, ("windowsHelloForBusiness", "macOsSecureEnclaveKey")))
"""Passkeys that work only on the device they were made on."""


class Registration(NamedTuple):
    """The registered methods of one account: `words` as Entra ID spells them, the `default` in its words or None, and whether the account
    is an `admin`."""

    words: tuple[str, ...]
    default: str | None = None
    admin: bool | None = None

    @property
    def has_telephone(self) -> bool:
        return any(spelling(word) in _TELEPHONES for word in self.words)

    @property
    def signs_in_by_sms(self) -> bool:
        return any(spelling(word) == _SIGN_IN for word in self.words)

    def only_on_this_device(self, known: MethodWords) -> bool:
        """Whether the account has registered passkeys that work on one device only, and nothing else but telephones."""
        real = [word for word in self.words if known.method(word) not in (None, "none", "phone", "sms", "voice", "email_otp")]
        return bool(real) and all(spelling(word) in _THIS_DEVICE for word in real)

    def with_telephones(self, telephones: Iterable[str]) -> Registration:
        """The same registration with other telephones."""
        others = [word for word in self.words if spelling(word) not in _TELEPHONES]
        return self._replace(words=tuple(dict.fromkeys([*others, *telephones])))


class Registered(Protocol):
    """Gives the registered methods of accounts."""

    def of(self, ids: np.ndarray, enabled: Sequence[bool]) -> list[Registration | str | None]:
        """The registration of each account; None where there is none; a text, the reason, if its rows contradict each other."""


class Report:
    """The report in memory: 40 bytes for each row, and each distinct registration once.

    `oldest`: when Microsoft refreshed the oldest row, as it is written there, or None. `of` also counts the rows that were asked for.
    """

    def __init__(self) -> None:
        self.oldest: str | None = None
        self._ids: list[np.ndarray] = []
        self._codes: list[np.ndarray] = []
        self._known: dict[Registration, int] = {}
        self._each: list[Registration] = []
        self._ordered = packed([])
        self._order = np.zeros(0, "int32")
        self._met = np.zeros(0, bool)

    def add(self, page: list[dict[str, Any]], words: MethodWords) -> None:
        """Adds a page. Raises ValueError for rows that are not as documented."""
        codes = [self._code(row, words) for row in page]
        self._ids.append(packed([row.get("id") for row in page]))
        self._codes.append(np.array(codes, "int32"))
        for row in page:
            at = row.get("lastUpdatedDateTime")
            if isinstance(at, str) and (self.oldest is None or at < self.oldest):
                self.oldest = at

    def close(self) -> None:
        """Sorts the rows; only then can `of` be called."""
        ids, codes = np.concatenate([packed([]), *self._ids]), np.concatenate([np.zeros(0, "int32"), *self._codes])
        order = np.lexsort((codes, ids))
        self._ordered, self._order = ids[order], codes[order]
        self._met = np.zeros(len(ids), bool)
        self._ids, self._codes = [], []

    def of(self, ids: np.ndarray, enabled: Sequence[bool]) -> list[Registration | str | None]:  # noqa: ARG002 - it has no others
        at = found(self._ordered, ids)
        self._met[at[at >= 0]] = True
        return [None if place < 0 else self._at(int(place)) for place in at]

    def _at(self, place: int) -> Registration | str:
        code, following = int(self._order[place]), place + 1
        while following < len(self._ordered) and self._ordered[following] == self._ordered[place]:
            if int(self._order[following]) != code:
                return "the report has two rows of this account, and they differ"
            following += 1
        return self._each[code]

    def unmet(self) -> int:
        """How many accounts of the report are not among the users."""
        return len(np.unique(self._ordered)) - int(self._met.sum())

    def with_telephone(self) -> list[str]:
        """The ids of accounts that have a telephone registered."""
        codes = [code for code, each in enumerate(self._each) if each.has_telephone]
        return [each.decode() for each in np.unique(self._ordered[np.isin(self._order, codes)])]

    def replace_telephones(self, telephones: dict[str, list[str]]) -> None:
        """Replaces the telephones of accounts; `telephones` is by id."""
        if not telephones:
            return
        ids = packed(list(telephones))
        for place, words in zip(found(self._ordered, ids), telephones.values(), strict=True):
            following = int(place)
            while 0 <= following < len(self._ordered) and self._ordered[following] == self._ordered[place]:
                self._order[following] = self._coded(self._each[int(self._order[following])].with_telephones(words))
                following += 1

    def _code(self, row: dict[str, Any], words: MethodWords) -> int:
        listed = row.get("methodsRegistered")
        if listed is not None and not isinstance(listed, list):
            raise ValueError("methodsRegistered is no list")
        registered = tuple(str(word) for word in listed or () if word is not None)
        admin = row.get("isAdmin")
        return self._coded(Registration(registered, _default(row, words), admin if isinstance(admin, bool) else None))

    def _coded(self, registration: Registration) -> int:
        if (code := self._known.get(registration)) is None:
            code = self._known[registration] = len(self._each)
            self._each.append(registration)
        return code


def _default(row: dict[str, Any], words: MethodWords) -> str | None:
    """Entra ID's word for the method that is asked for first; see `first_choice`."""
    system = row.get("systemPreferredAuthenticationMethods")
    listed = json.dumps([word for word in system if word is not None]) if isinstance(system, list) else None
    return first_choice(
        words,
        row.get("isSystemPreferredAuthenticationMethodEnabled"),
        listed,
        row.get("userPreferredMethodForSecondaryAuthentication") or None,
    )


def report(graph: Graph, words: MethodWords, watch: Callable[[int], None]) -> Report:
    """The whole report. Raises DirectoryError, NoLicenceError without P1 or P2."""
    reports = [Report()]
    for page in graph.listing(PATH, {"$top": _PAGE}, REPORT, budget=graph.reports, anew=lambda: reports.append(Report())):
        reports[-1].add(page, words)
        watch(len(page))
    reports[-1].close()
    return reports[-1]
