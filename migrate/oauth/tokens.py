"""One token for everything that a process does: fetched when it is first needed, and again before it expires."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from migrate.oauth.web import NoAnswerError

_EARLY: Final = 300.0
"""Seconds before its end at which a token is renewed; sooner of its end if it is a short one."""
_EARLY_SHARE: Final = 0.2


class Token(NamedTuple):
    """A token, and for how many seconds from its fetching it is good."""

    text: str
    seconds: float


class TokenDeniedError(Exception):
    """The token endpoint said no. `words` are its own, `hint` what to do, without its full stop, `setting` the key it is about.

    `code` is the provider's own number or word for it, if it has one; `again`: it may pass.
    """

    def __init__(self, words: str, hint: str, setting: str, *, code: str = "", again: bool = False) -> None:
        super().__init__(words)
        self.words, self.hint, self.setting, self.code, self.again = words, hint, setting, code, again


Fetch = Callable[[], Token]


class KeptToken:
    """The token at hand. `clock` counts seconds; tests pass their own. Raises TokenDeniedError and NoAnswerError."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._turn = threading.Lock()
        self._token: Token | None = None
        self._fetched_at = 0.0

    def current(self) -> tuple[str, bool]:
        """A token that is good for a while, and whether it was fetched for this call."""
        with self._turn:
            if self._token is not None and self._left() > min(_EARLY, self._token.seconds * _EARLY_SHARE):
                return self._token.text, False
            try:
                return self._renew(), True
            except (TokenDeniedError, NoAnswerError) as error:
                # The one at hand is good for some minutes yet, and the endpoint may be back by then.
                passes = isinstance(error, NoAnswerError) or error.again
                if passes and self._token is not None and self._left() > 0:
                    return self._token.text, False
                raise

    def renew(self, refused: str) -> None:
        """Another token in place of one that was refused; the first to hear of the refusal fetches it."""
        with self._turn:
            if self._token is None or self._token.text == refused:
                self._renew()

    def _left(self) -> float:
        assert self._token is not None
        return self._fetched_at + self._token.seconds - self._clock()

    def _renew(self) -> str:
        asked_at = self._clock()
        self._token = self._fetch()
        self._fetched_at = asked_at
        return self._token.text
