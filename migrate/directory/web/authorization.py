"""What a call says of who asks: the value of its header `Authorization`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from migrate.errors import MigrateError
from migrate.oauth.tokens import KeptToken, TokenDeniedError
from migrate.oauth.web import NoAnswerError


class Authorization(Protocol):
    """Who asks."""

    def current(self) -> str:
        """The value of the header for a call that is made now."""

    def renewed(self, refused: str) -> bool:
        """True if there is another value in place of one that was refused."""


class Fixed:
    """The same value for every call, such as an API key."""

    def __init__(self, value: str) -> None:
        self._value = value

    def current(self) -> str:
        return self._value

    def renewed(self, refused: str) -> bool:  # noqa: ARG002 - there is no other
        return False


class Renewed:
    """A token that is fetched, and renewed before it ends and when it is refused; `scheme` stands before it, such as `Bearer `.

    `checked` looks at each new token, and `told` turns what the endpoint says into the error that ends the read.
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
