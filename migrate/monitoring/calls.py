"""A call to a web address, in a thread of its own and bounded in time."""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from migrate import __version__
from migrate.monitoring.settings import SCHEMES

_TIMEOUT: Final = 10.0
"""Seconds to wait for each step of a call."""
_TRIES: Final = 2
_LONGEST: Final = _TRIES * _TIMEOUT + 2
"""Seconds after which a call counts as failed, whatever the other side does."""


class Call:
    """One call, made in a thread that nothing has to wait for."""

    def __init__(self, address: SplitResult, suffix: str, facts: Mapping[str, Any] | None = None) -> None:
        url = urlunsplit(address._replace(path=address.path.rstrip("/") + suffix, fragment=""))
        body = json.dumps(facts).encode() if facts is not None else None
        self._failed: str | None = None
        self._given_up_at = time.monotonic() + _LONGEST
        self._thread = threading.Thread(target=self._make, args=(url, body), name="monitoring", daemon=True)
        self._thread.start()

    def failure(self) -> str | None:
        """Waits for the end of the call, for a bounded time. Returns why it failed, in words without the address; None if it did not
        fail."""
        self._thread.join(max(0, self._given_up_at - time.monotonic()))
        return "there was no answer in time" if self._thread.is_alive() else self._failed

    def _make(self, url: str, body: bytes | None) -> None:
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

        again = Retrying(stop=stop_after_attempt(_TRIES), wait=wait_random(0.1, 1), retry=retry_if_exception(_may_pass), reraise=True)
        try:
            again(_ask, url, body)
        except Exception as error:  # noqa: BLE001 - whatever it is, the job does not depend on it
            self._failed = _reason(error)


def _ask(url: str, body: bytes | None) -> None:
    headers = {"User-Agent": f"migrate/{__version__}"} | ({"Content-Type": "application/json"} if body else {})
    # The settings allow http and https alone, and so does the redirect handler.
    request = urllib.request.Request(url, body, headers)  # noqa: S310
    try:
        urllib.request.build_opener(_OnlyTheWeb).open(request, timeout=_TIMEOUT).close()
    except urllib.error.HTTPError as answer:
        answer.close()
        raise


class _ElsewhereError(Exception):
    """A redirect leads to an address that must not be called."""


class _OnlyTheWeb(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https addresses alone, and never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in SCHEMES or (req.type == "https" and scheme != "https"):
            fp.close()
            raise _ElsewhereError
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _may_pass(error: BaseException) -> bool:
    """Whether trying again can help: it cannot where the server understood the request and refused it."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500 or error.code == 429
    return isinstance(error, (OSError, HTTPException))


def _reason(error: Exception) -> str:
    """What went wrong, without the text of the error, which may contain the address."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the answer was {error.code}"
    if isinstance(error, _ElsewhereError):
        return "it leads on to an address that is not called"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "there was no answer in time"
    if isinstance(cause, ssl.SSLError):
        return f"no safe connection ({cause.reason})"
    return cause.strerror if isinstance(cause, OSError) and cause.strerror else type(cause).__name__
