"""The token that all connections of a process share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Final

from migrate.errors import ConfigError
from migrate.mail.causes import CHECK, NotOpenedError
from migrate.mail.oauth_settings import OAuthSettings
from migrate.mail.settings import SmtpSettings
from migrate.oauth.tokens import Fetch, KeptToken, TokenDeniedError
from migrate.oauth.web import NoAnswerError
from migrate.outside import log

_FETCHERS: Final = {
    "microsoft": ("migrate.mail.oauth.microsoft", "msal"),
    "google": ("migrate.mail.oauth.google", "google"),
}
"""Provider → the module that fetches its tokens, and the library that this module needs."""


class MailServerToken:
    """Keeps one token for every connection of this process. `clock` counts seconds; tests pass their own."""

    def __init__(self, fetch: Fetch, settings: OAuthSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept, self._settings = KeptToken(fetch, clock), settings

    def current(self) -> tuple[str, bool]:
        """A token that is valid for a while yet, and whether it was fetched by this call. Raises NotOpenedError."""
        with self._told():
            return self._kept.current()

    def renew(self, refused: str) -> None:
        """Replaces a token that the mail server refused; the first connection that calls this fetches the new one. Raises
        NotOpenedError."""
        with self._told():
            self._kept.renew(refused)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns the errors of an endpoint into a NotOpenedError about the mail server."""
        try:
            yield
        except TokenDeniedError as error:
            what = f"no token for the mail server could be had: {self._safe(error.words).rstrip('.')}."
            raise NotOpenedError(what, f"{error.hint}; {CHECK}.", again=error.again, setting=error.setting) from None
        except NoAnswerError as error:
            what = f"no token for the mail server could be had: its endpoint gives no answer that can be used ({self._safe(str(error))})."
            hint = f"Look whether this machine may reach {self._endpoint()}, {CHECK}; what is left stays queued."
            raise NotOpenedError(what, hint, again=True, setting="token_url" if self._settings.token_url else "provider") from None

    def _endpoint(self) -> str:
        return (
            self._settings.token_url
            or {"microsoft": "login.microsoftonline.com", "google": "oauth2.googleapis.com"}[self._settings.provider]
        )

    def _safe(self, text: str) -> str:
        """An endpoint's words on one line, without the secret: an endpoint may repeat it."""
        secret = self._settings.client_secret.get_secret_value() if self._settings.client_secret else ""
        return log(text.replace(secret, "…") if secret else text)


def open_tokens(settings: SmtpSettings) -> MailServerToken | None:
    """The tokens to sign in with; None if `sign_in` is not "xoauth2". Nothing is fetched yet. Raises ConfigError if a library is not
    installed."""
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
    return MailServerToken(fetch, settings.oauth)
