"""One HTTP call to a token endpoint. It carries the application's secret, so it never follows a redirect."""

from __future__ import annotations

import http.client
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from migrate import __version__
from migrate.oauth.loopback import is_loopback

_LONGEST: Final = 1_000_000
_TIMEOUT: Final = 30.0
"""Seconds for each step of the call."""
_LONGEST_CALL: Final = 60.0
"""Seconds for the whole call."""
_OK: Final = 200
_USUAL_SECONDS: Final = 3600
_TOKEN: Final = re.compile(r"[!-~]+")
_SECONDS: Final = re.compile(r"[1-9][0-9]{0,8}")


class NoAnswerError(Exception):
    """The token endpoint could not be reached, or its answer is neither a token nor a refusal. Another try may help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a token endpoint, with the attributes that msal and google-auth read."""

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
        """Raises NoAnswerError if the status is not a success."""
        if self.status_code >= 400:
            raise NoAnswerError(f"it answered {self.status_code}")

    @property
    def told(self) -> dict[str, str | int] | None:
        """The fields of a token or a refusal (RFC 6749 §5), only those that are used. None if the answer is neither, or a temporary fault.

        This is checked here because msal and google-auth do not check what an endpoint answers.
        """
        try:
            told = json.loads(self.data)
        except (ValueError, RecursionError):
            return None
        if self.status_code == 429 or self.status_code >= 500 or not isinstance(told, dict):
            return None
        if "error" in told:
            return {name: str(told[name]).encode("utf-8", "replace").decode() for name in ("error", "error_description") if told.get(name)}
        token, seconds = told.get("access_token"), str(told.get("expires_in", _USUAL_SECONDS))
        if self.status_code != _OK or not isinstance(token, str) or not _TOKEN.fullmatch(token) or not _SECONDS.fullmatch(seconds):
            return None
        return {"token_type": "Bearer", "access_token": token, "expires_in": int(seconds)}


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Sends a request for a token. Returns a token or a refusal; raises NoAnswerError for anything else. No error repeats the body."""
    answer = _in_time(url, body, headers)
    told = answer.told
    if told is None:
        raise NoAnswerError(f"it answered {answer.status_code}" if answer.status_code != _OK else "what it answered is no token")
    return Answer(answer.status_code, {"Content-Type": "application/json"}, json.dumps(told or {"error": "no reason"}).encode())


def get(url: str, headers: Mapping[str, str]) -> Answer:
    """Sends a GET request; the answer, of which at most `_LONGEST` bytes are read. Raises NoAnswerError."""
    return _in_time(url, None, headers)


def _in_time(url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """Makes the call in a thread that is left behind after `_LONGEST_CALL`: an endpoint may send a few bytes at a time for ever, and Python
    cannot interrupt the call."""
    call: Future[Answer] = Future()

    def ask() -> None:
        try:
            call.set_result(_answered(url, body, headers))
        except BaseException as error:  # noqa: BLE001 - whoever waits for the call is told, whatever it is
            call.set_exception(error)

    threading.Thread(target=ask, name="token", daemon=True).start()
    try:
        return call.result(_LONGEST_CALL)
    except TimeoutError as error:
        raise NoAnswerError("there was no answer in time") from error


def _answered(url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    told = {"User-Agent": f"migrate/{__version__}", "Accept": "application/json", **headers}
    # The settings allow only https, or http to this machine.
    request = urllib.request.Request(url, body, told, method="GET" if body is None else "POST")  # noqa: S310
    try:
        with _opener(url).open(request, timeout=_TIMEOUT) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read(_LONGEST))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read(_LONGEST))
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception) else error
        reason = "there was no answer in time" if isinstance(cause, TimeoutError) else getattr(cause, "strerror", None) or str(cause)
        raise NoAnswerError(str(reason) or type(cause).__name__) from error


def _near(host: str) -> bool:
    """Whether a host is this machine, or its cloud's metadata service (a link-local address, RFC 3927)."""
    return is_loopback(host) or host.startswith("169.254.")


def _opener(url: str) -> urllib.request.OpenerDirector:
    """An opener that follows no redirect. Calls to this machine do not go through a proxy."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({} if _near(urlsplit(url).hostname or "") else None),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
