"""The value of the header `Authorization` of a call: fixed, or a token that is renewed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from migrate.errors import MigrateError
from migrate.oauth.tokens import KeptToken, TokenDeniedError
from migrate.oauth.web import NoAnswerError


class Authorization(Protocol):
    """Gives the value of the header `Authorization`."""

    def current(self) -> str:
        """The value for a call that is made now."""

    def renewed(self, refused: str) -> bool:
        """Replaces a value that was refused; False if there is no other value."""


class Fixed:
    """The same value for every call, such as an API key."""

    def __init__(self, value: str) -> None:
        self._value = value

    def current(self) -> str:
        return self._value

    def renewed(self, refused: str) -> bool:  # noqa: ARG002 - there is no other
        return False


class Renewed:
    """A token that is fetched, and renewed before it expires and when it is refused. `scheme` is put before it, such as `Bearer `.

    `checked` is called with each new token. `told` turns an error of the token endpoint into the error that ends the read.
    """

    def __init__(
        self,
        kept: KeptToken,
        told: Callable[[TokenDeniedError | NoAnswerError], MigrateError],
        checked: Callable[[str], None] = lambda _: None,
        scheme: str = "Bearer ",
    ) -> None:
        self._kept, self._told, self._checked, self._scheme = kept, told, checked, scheme

    def current(self) -> str:
        try:
            token, fresh = self._kept.current()
        except (TokenDeniedError, NoAnswerError) as error:
            raise self._told(error) from None
        if fresh:
            self._checked(token)
        return self._scheme + token

    def renewed(self, refused: str) -> bool:
        try:
            self._kept.renew(refused.removeprefix(self._scheme))
        except (TokenDeniedError, NoAnswerError) as error:
            raise self._told(error) from None
        now = self.current()
        self._checked(now.removeprefix(self._scheme))
        return now != refused
