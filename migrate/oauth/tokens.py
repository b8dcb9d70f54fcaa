"""One token for a whole process: it is fetched when it is first needed, and renewed before it expires."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from migrate.oauth.web import NoAnswerError

_EARLY: Final = 300.0
"""Seconds before its end at which a token is renewed; or `_EARLY_SHARE` of its time, if that is less."""
_EARLY_SHARE: Final = 0.2


class Token(NamedTuple):
    """A token, and for how many seconds it is valid from the time it is fetched."""

    text: str
    seconds: float


def claims_of(token: str) -> dict[str, Any] | None:
    """The claims of a JSON Web Token (RFC 7519); None for any other text. The signature is not checked here: the server that takes the
    token does that."""
    try:
        part = token.split(".")[1]
        told = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return None
    return told if isinstance(told, dict) else None


class TokenDeniedError(Exception):
    """The token endpoint refused. `words` are the endpoint's own, `hint` is what to do (without a full stop), `setting` the key to look at.

    `code` is the provider's error code, if there is one. `again`: another try may help.
    """

    def __init__(self, words: str, hint: str, setting: str, *, code: str = "", again: bool = False) -> None:
        super().__init__(words)
        self.words, self.hint, self.setting, self.code, self.again = words, hint, setting, code, again


Fetch = Callable[[], Token]


class KeptToken:
    """Keeps one token. `clock` counts seconds; tests pass their own. Methods raise TokenDeniedError and NoAnswerError."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._turn = threading.Lock()
        self._token: Token | None = None
        self._fetched_at = 0.0

    def current(self) -> tuple[str, bool]:
        """A token that is valid for a while yet, and whether it was fetched by this call."""
        with self._turn:
            if self._token is not None and self._left() > min(_EARLY, self._token.seconds * _EARLY_SHARE):
                return self._token.text, False
            try:
                return self._renew(), True
            except (TokenDeniedError, NoAnswerError) as error:
                # The present token is valid for some minutes more. By then the endpoint may answer again.
                passes = isinstance(error, NoAnswerError) or error.again
                if passes and self._token is not None and self._left() > 0:
                    return self._token.text, False
                raise

    def renew(self, refused: str) -> None:
        """Replaces a token that was refused. The first thread that calls this fetches the new one; others find it."""
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
