"""One read of a realm: all users, all tokens, and checks that the two lists are complete and fit together, before any row is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from migrate.directory.method_words import MethodWords
from migrate.directory.privacyidea.people import frame_of_owners, frame_of_users, key_of, name_of
from migrate.directory.privacyidea.rights import TOKENS, lacking, missing, policy
from migrate.directory.privacyidea.server import CHOOSES, PrivacyIdea, Realm, Rows
from migrate.directory.privacyidea.settings import PrivacyIdeaSettings
from migrate.directory.privacyidea.tokens import Key, Owned, Tokens
from migrate.directory.web.budget import Clock
from migrate.errors import DirectoryError
from migrate.outside import log

if TYPE_CHECKING:
    import pandas as pd

CHUNK: Final = 10_000
"""How many rows a frame has."""
_CUT: Final = {"sqlresolver": (100,), "ldapresolver": (500, 1000)}
"""Type of a resolver → the numbers of users at which it may cut off its list without an error, by default."""


class Reading:
    """One read of a realm; `frames` gives the users, and `caveats` is complete after the last of them."""

    def __init__(self, settings: PrivacyIdeaSettings, words: MethodWords, clock: Clock, watch: Callable[[int], None]) -> None:
        self.caveats: list[str] = []
        self._settings, self._words, self._watch = settings, words, watch
        self._server = PrivacyIdea(settings, clock)

    def frames(self) -> Iterator[pd.DataFrame]:
        """All users, or all owners of tokens, as raw frames. Raises DirectoryError."""
        with ExitStack() as stack:
            stack.callback(self._server.close)
            self._server.sign_in()
            realm = self._server.realm()
            users = self._listed(realm) if self._settings.users else None
            tokens = self._tokens(realm)
            owners = tokens.owners()
            if users is not None:
                users = self._everybody(users, owners, realm)
        if users is None:
            yield from self._owners(owners)
        else:
            self._look_at(users, realm, tokens.orphans())
            yield from self._users(users, owners, realm)
        if strangers := sum(bool(one.username) and key[0] not in realm.resolvers for key, one in owners.items()):
            who = "person is" if strangers == 1 else "people are"
            self.caveats.append(
                f"{strangers:,} {who} left out, with tokens of realm {self._settings.realm} and in a resolver that is not in it"
            )
        if orphans := tokens.orphans().total():
            whose = "is of somebody" if orphans == 1 else "are of people"
            self.caveats.append(f"{_counted(orphans, 'token')} {whose} whom no resolver of privacyIDEA knows any more, and left out")

    def _listed(self, realm: Realm) -> Rows:
        users = self._server.users(realm)
        self._watch(len(users))
        return users

    def _tokens(self, realm: Realm) -> Tokens:
        """All tokens. Raises DirectoryError if there are fewer than the server says, or if there are none and that is not certain."""
        tokens = Tokens(self._settings.realm, self._words, realm.at)
        for page in self._server.tokens():
            tokens.add(page)
            self._watch(len(page))
        if len(tokens) < self._server.expected:
            raise DirectoryError(
                f"privacyIDEA says that realm {self._settings.realm} has {self._server.expected:,} tokens, and gives {len(tokens):,}. "
                "Nothing was changed.",
                where="[directory] realm",
                hint="Try again later.",
            )
        if not len(tokens):
            self._none_at_all()
        if broken := tokens.unresolved & set(realm.resolvers):
            names = ", ".join(map(log, sorted(broken)))
            raise DirectoryError(
                f"privacyIDEA could not look up the owners of tokens in the resolver {names}. Nothing was changed.",
                where="[directory] realm",
                hint="Test the resolver in privacyIDEA under Config, Users; then try again.",
            )
        return tokens

    def _none_at_all(self) -> None:
        """Checks that a realm without tokens has none: the server gives the same answer if we have no right to list them."""
        server, settings = self._server, self._settings
        if server.rights is not None and TOKENS in missing(server.rights, settings):
            raise lacking(TOKENS, settings, server.who)
        counted = server.counted() if settings.users else None
        if counted is None or counted.with_tokens:
            raise DirectoryError(
                f"privacyIDEA lists no token in realm {settings.realm}, which is also what it says to an administrator who may list the "
                "tokens of another realm only. Nothing was changed.",
                where="[directory] realm",
                hint=f"{policy(settings, server.who)}; then type `migrate check`.",
            )
        self.caveats.append(f"nobody in realm {settings.realm} of privacyIDEA has a token")

    def _everybody(self, users: Rows, owners: Mapping[Key, Owned], realm: Realm) -> Rows:
        """The users, once every owner of a token is among them. If one is missing, users are listed again: somebody may have come
        meanwhile."""
        if _unlisted(users, owners, realm):
            users = self._listed(realm)
        if unlisted := _unlisted(users, owners, realm):
            resolvers, number = ", ".join(map(log, sorted(unlisted))), unlisted.total()
            raise DirectoryError(
                f"{_counted(number, 'person', 'people')} with a token in realm {self._settings.realm} {'is' if number == 1 else 'are'} not "
                f"among the users that privacyIDEA lists, so that others may be missing, too: the list of {resolvers} is cut off, or may "
                "not be seen. Nothing was changed.",
                where="[directory] realm",
                hint="Raise the limit of the resolver in privacyIDEA (Size Limit of LDAP, Limit of SQL) above the number of its users; "
                f"and look at the policy of {self._server.who}: it names no resolver and no user (docs/privacyidea.md).",
            )
        return users

    def _look_at(self, users: Rows, realm: Realm, orphans: Mapping[str, int]) -> None:
        """Looks for signs that the list of users is cut off, and for configured names that no user has. Raises DirectoryError."""
        each = Counter(key_of(user, realm.resolvers)[0] for user in users)
        for name, kind in realm.resolvers.items():
            if not each[name] and orphans.get(name):
                number = orphans[name]
                raise DirectoryError(
                    f"the resolver {log(name)} of privacyIDEA lists nobody, though {_counted(number, 'token')} "
                    f"{'is' if number == 1 else 'are'} of its users: it may be down. Nothing was changed.",
                    where="[directory] realm",
                    hint="Test it in privacyIDEA under Config, Users; one that is no longer used is taken out of the realm.",
                )
            if not each[name]:
                self.caveats.append(f"the resolver {log(name)} of realm {self._settings.realm} lists nobody")
            elif each[name] in _CUT.get(kind, ()):
                self.caveats.append(
                    f"the resolver {log(name)} lists {each[name]:,} users, the number at which such a list is cut off if nobody has set "
                    "another limit: if there are more, they are missing"
                )
        if realm.version < CHOOSES and len(realm.resolvers) > 1:
            self.caveats.append("this version of privacyIDEA does not say whether a resolver could not be asked")
        present = {name for user in users for name in user}
        for ours, column in self._settings.columns.items():
            if column.theirs not in present:
                near = get_close_matches(column.theirs, present, n=1)
                raise DirectoryError(
                    f"no user of realm {self._settings.realm} has an attribute {column.theirs!r}.",
                    where=f"[directory.columns] {ours}",
                    hint=f"Did you mean {near[0]!r}?" if near else "The attributes are those that the resolver maps, under Config, Users.",
                )

    def _users(self, users: Rows, owners: Mapping[Key, Owned], realm: Realm) -> Iterator[pd.DataFrame]:
        for first in range(0, len(users), CHUNK):
            some = users[first : first + CHUNK]
            keys = [key_of(user, realm.resolvers) for user in some]
            yield frame_of_users(some, keys, owners, self._settings, first + 1)

    def _owners(self, owners: Mapping[Key, Owned]) -> Iterator[pd.DataFrame]:
        each = [(key, one) for key, one in owners.items() if one.username]
        for first in range(0, len(each), CHUNK):
            yield frame_of_owners(each[first : first + CHUNK], first + 1)


def _unlisted(users: Sequence[Mapping[str, Any]], owners: Mapping[Key, Owned], realm: Realm) -> Counter[str]:
    """By resolver, how many owners of tokens are missing from the list of users. Two kinds do not count: owners whose username is listed
    (of two users with one name the server lists only the first), and those of a resolver that is no longer in the realm."""
    keys, names = {key_of(user, realm.resolvers) for user in users}, {name_of(user) for user in users}
    others = (key for key, one in owners.items() if one.username and key not in keys and one.username.casefold() not in names)
    return Counter(resolver for resolver, _ in others if resolver in realm.resolvers)


def _counted(number: int, one: str, several: str = "") -> str:
    return f"{number:,} {one if number == 1 else several or one + 's'}"
