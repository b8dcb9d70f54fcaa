"""One call to a token endpoint. It carries what proves the application's identity, so it never follows a redirect to another address."""

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
"""Seconds for the whole of it."""
_OK: Final = 200
_USUAL_SECONDS: Final = 3600
_TOKEN: Final = re.compile(r"[!-~]+")
_SECONDS: Final = re.compile(r"[1-9][0-9]{0,8}")


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

    @property
    def told(self) -> dict[str, str | int] | None:
        """The token or the refusal (RFC 6749 §5) that it is, and no more of it than is used; None if it is neither, or passes.

        The libraries that look at it trust an endpoint to answer as it should.
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
    """A token or a refusal. Raises NoAnswerError if what comes is neither; none of its words has the body in it."""
    answer = _in_time(url, body, headers)
    told = answer.told
    if told is None:
        raise NoAnswerError(f"it answered {answer.status_code}" if answer.status_code != _OK else "what it answered is no token")
    return Answer(answer.status_code, {"Content-Type": "application/json"}, json.dumps(told or {"error": "no reason"}).encode())


def get(url: str, headers: Mapping[str, str]) -> Answer:
    """What is answered there, if it is no more than a token endpoint says. Raises NoAnswerError."""
    return _in_time(url, None, headers)


def _in_time(url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """An endpoint that answers a few letters at a time is not waited for: Python cannot break off the call, but can leave it behind."""
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
    # The settings allow https, and http to this machine.
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
    """Whether a host is this machine, or the one that speaks for it in a cloud (RFC 3927: an address of the link)."""
    return is_loopback(host) or host.startswith("169.254.")


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Calls the address itself, and follows nothing. What is meant for this machine is nothing that a proxy should see."""
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
