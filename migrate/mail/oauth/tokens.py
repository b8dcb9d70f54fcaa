"""The token that the connections of a process share: fetched when it is first needed, and again before it expires."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Final, NamedTuple

from migrate.errors import ConfigError
from migrate.mail.causes import CHECK, NotOpenedError
from migrate.mail.oauth.settings import OAuthSettings
from migrate.mail.oauth.web import NoAnswerError
from migrate.mail.settings import SmtpSettings
from migrate.outside import log

_EARLY: Final = 300.0
"""Seconds before its end at which a token is renewed; sooner of its end if it is a short one."""
_EARLY_SHARE: Final = 0.2
_FETCHERS: Final = {
    "microsoft": ("migrate.mail.oauth.microsoft", "msal"),
    "google": ("migrate.mail.oauth.google", "google"),
}
"""Provider → the module that asks it, and the library without which it cannot be loaded."""


class Token(NamedTuple):
    """A token, and for how many seconds from its fetching it is good."""

    text: str
    seconds: float


class TokenDeniedError(Exception):
    """The token endpoint said no. `words` are its own, `hint` what to do, `setting` the key of `[mail.smtp.oauth]` it is about."""

    def __init__(self, words: str, hint: str, setting: str, *, again: bool = False) -> None:
        super().__init__(words)
        self.words, self.hint, self.setting, self.again = words, hint, setting, again


Fetch = Callable[[], Token]


class Tokens:
    """One token at a time, for every connection of this process. `clock` counts seconds; tests pass their own."""

    def __init__(self, fetch: Fetch, settings: OAuthSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._settings, self._clock = fetch, settings, clock
        self._turn = threading.Lock()
        self._token: Token | None = None
        self._fetched_at = 0.0

    def current(self) -> tuple[str, bool]:
        """A token that is good for a while, and whether it was fetched for this call. Raises NotOpenedError."""
        with self._turn:
            if self._token is not None and self._left() > min(_EARLY, self._token.seconds * _EARLY_SHARE):
                return self._token.text, False
            try:
                return self._renew(), True
            except NotOpenedError as error:
                # The one at hand is good for some minutes yet, and the endpoint may be back by then.
                if error.again and self._token is not None and self._left() > 0:
                    return self._token.text, False
                raise

    def renew(self, refused: str) -> bool:
        """Another token in place of one that the mail server refused; the first connection to hear it fetches it. Raises NotOpenedError."""
        with self._turn:
            if self._token is None or self._token.text == refused:
                self._renew()
            return True

    def _left(self) -> float:
        assert self._token is not None
        return self._fetched_at + self._token.seconds - self._clock()

    def _renew(self) -> str:
        asked_at = self._clock()
        try:
            self._token = self._fetch()
        except TokenDeniedError as error:
            what = f"no token for the mail server could be had: {self._safe(error.words).rstrip('.')}."
            raise NotOpenedError(what, error.hint, again=error.again, setting=error.setting) from None
        except NoAnswerError as error:
            what = f"no token for the mail server could be had: its endpoint gives no answer that can be used ({self._safe(str(error))})."
            hint = f"Look whether this machine may reach {self._endpoint()}, {CHECK}; what is left stays queued."
            raise NotOpenedError(what, hint, again=True, setting="token_url" if self._settings.token_url else "provider") from None
        self._fetched_at = asked_at
        return self._token.text

    def _endpoint(self) -> str:
        return (
            self._settings.token_url
            or {"microsoft": "login.microsoftonline.com", "google": "oauth2.googleapis.com"}[self._settings.provider]
        )

    def _safe(self, text: str) -> str:
        """The words of an endpoint, on one line and without the secret that it was told."""
        secret = self._settings.client_secret.get_secret_value() if self._settings.client_secret else ""
        return log(text.replace(secret, "…") if secret else text)


def open_tokens(settings: SmtpSettings) -> Tokens | None:
    """The tokens to sign in with, if `sign_in` says so. Nothing is fetched yet. Raises ConfigError if a library is not installed."""
    if settings.oauth is None:
        return None
    module, library = _FETCHERS[settings.oauth.provider]
    try:
        fetcher = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != library:
            raise
        extra = settings.oauth.provider
        raise ConfigError(
            f'provider = "{extra}" needs a library that is not installed.',
            where="[mail.smtp.oauth] provider",
            hint=f"Type `pip install 'sms-migrate[{extra}]'`, {CHECK}.",
        ) from error
    fetch: Fetch = fetcher.fetching(settings)
    return Tokens(fetch, settings.oauth)
