"""One POST to a token endpoint. It carries what proves the application's identity, so it never follows a redirect to another address."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Final
from urllib.parse import urlsplit

from migrate import __version__
from migrate.mail.loopback import is_loopback

_LONGEST: Final = 1_000_000
_TIMEOUT: Final = 30.0
"""Seconds for each step of the call."""


class NoAnswerError(Exception):
    """The token endpoint could not be reached, or what it answered is no token and no refusal. Trying again may help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a token endpoint answered, in the form in which msal and google-auth both look at it."""

    status_code: int
    headers: Mapping[str, str]
    data: bytes

    @property
    def status(self) -> int:
        return self.status_code

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")

    def raise_for_status(self) -> None:
        """Raises NoAnswerError for anything but a yes."""
        if self.status_code >= 400:
            raise NoAnswerError(f"it answered {self.status_code}")


class _NowhereElse(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        return None


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """What the endpoint answers, whatever it is. Raises NoAnswerError if there is no answer; none of its words has the body in it."""
    # A token for this machine's own endpoint is nothing that a proxy should see.
    handlers = [urllib.request.ProxyHandler({})] if is_loopback(urlsplit(url).hostname or "") else []
    told = {"User-Agent": f"migrate/{__version__}", "Accept": "application/json", **headers}
    # The settings allow https, and http to this machine.
    request = urllib.request.Request(url, body, told, method="POST")  # noqa: S310
    try:
        with urllib.request.build_opener(_NowhereElse, *handlers).open(request, timeout=_TIMEOUT) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read(_LONGEST))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read(_LONGEST))
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception) else error
        reason = "there was no answer in time" if isinstance(cause, TimeoutError) else getattr(cause, "strerror", None) or str(cause)
        raise NoAnswerError(str(reason) or type(cause).__name__) from error
