"""Calls one server over HTTP: within its rate limits, with retries, bounded in size and time, and never any other host."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from migrate import __version__
from migrate.directory.bounds import ANSWER, MIB
from migrate.directory.web.authorization import Authorization
from migrate.directory.web.budget import CLOCK, Budget, Clock, StoppedError, too_long
from migrate.errors import DirectoryError, UnreachableError
from migrate.oauth.loopback import is_loopback
from migrate.outside import log

TRIES: Final = 10
"""How often a call is tried if it fails for a passing reason."""
LONGEST_WAIT: Final = 900.0
"""How many seconds a server may ask us to wait between two calls."""
_FIRST_WAIT: Final = 1.0
_LONGEST_BACKOFF: Final = 60.0
"""Without a Retry-After, a call waits up to the first of these seconds before its second try, then twice as long, up to the second."""
_TIMEOUT: Final = httpx.Timeout(30.0, read=120.0)
_PATIENCE: Final = 1.0
"""Seconds that the other calls have to end after one has failed."""
_LONGEST_ANSWER: Final = 600.0
"""Seconds that the body of one response may take."""
_BELIEVED: Final = 3
"""How many times a refusal with a doubted code must come until it is believed."""
_DOUBT: Final = 2.0
"""Seconds before such a call is made again; twice as many before the third time."""
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

_T = TypeVar("_T")


class RefusedError(Exception):
    """The server refused the call for good: its `status`, its error `code` if it has one, and its message on one line."""

    def __init__(self, status: int, code: str, words: str) -> None:
        super().__init__(f"{status} {code}".strip())
        self.status, self.code, self.words = status, code, words


class PassingError(Exception):
    """A call failed for a passing reason; `after`: the seconds that the server asked us to wait."""

    def __init__(self, said: str, after: float | None = None) -> None:
        super().__init__(said)
        self.after = after


@dataclass(frozen=True, slots=True)
class Server:
    """A server. `name`: its name in errors. `base`: its address. `where`: the setting with the address. `explained`: gets the code and the
    message from the JSON of a refusal. `doubted`: codes that count as a refusal only if they come three times. `answer`: how many bytes a
    response has at most."""

    name: str
    base: str
    where: str
    explained: Callable[[Any], tuple[str, str]]
    doubted: frozenset[str] = frozenset()
    answer: int = ANSWER

    @property
    def origin(self) -> tuple[str, str, int | None]:
        return origin(self.base)


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(parts.scheme)


class Client:
    """Makes the calls of a read; `close` ends all calls that wait."""

    def __init__(self, server: Server, authorization: Authorization, clock: Clock = CLOCK) -> None:
        self.server, self.clock = server, clock
        self.stop = threading.Event()
        self._authorization = authorization
        here = is_loopback(server.origin[1])
        self._http = httpx.Client(
            headers={"User-Agent": f"migrate/{__version__}", "Accept": "application/json"},
            timeout=_TIMEOUT,
            follow_redirects=False,
            verify=ssl.create_default_context(),
            trust_env=not here,  # calls to this machine do not go through a proxy
        )

    def close(self) -> None:
        """Ends every call that waits."""
        self.stop.set()
        self._http.close()

    @contextmanager
    def ending(self, running: Collection[Future[Any]]) -> Iterator[None]:
        """A context that, if it fails, ends the calls that are `running` through this client, and waits a little for them to end."""
        try:
            yield
        except BaseException:
            self.stop.set()
            wait(running, _PATIENCE)
            raise

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        budget: Budget,
        shape: Callable[[Any], _T],
        cost: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> _T:
        """Gets a URL: the result of `shape` for the JSON of the response. If `shape` raises ValueError the response counts as broken.
        Raises RefusedError and DirectoryError."""
        return self.call("GET", url, params, budget=budget, shape=shape, cost=cost, headers=headers)

    def call(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        budget: Budget,
        shape: Callable[[Any], _T],
        cost: int = 1,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> _T:
        """Like `get`, with any HTTP method and a JSON body."""
        self._only_there(url)
        retrying = Retrying(
            retry=retry_if_exception_type(PassingError),
            stop=stop_after_attempt(TRIES),
            wait=self._wait,
            sleep=lambda seconds: self.clock.wait(seconds, self.stop),
            before_sleep=lambda state: _pause(budget, state),
            reraise=True,
        )
        try:
            made: _T = retrying(self._believed, method, url, params, budget, shape, cost, headers, body)
        except PassingError as error:
            raise UnreachableError(
                f"{self.server.name} gives no answer that can be used ({log(str(error))}), tried {TRIES} times. Nothing was changed.",
                where=self.server.where,
                hint="Look whether this machine may reach it, and try later.",
            ) from error
        return made

    def _believed(self, *call: Any) -> Any:
        """`_tried`, repeated if the refusal has a doubted code."""
        for tries in range(1, _BELIEVED):
            try:
                return self._tried(*call)
            except RefusedError as error:
                if error.code not in self.server.doubted:
                    raise
            self.clock.wait(_DOUBT * tries, self.stop)
        return self._tried(*call)

    def _tried(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        budget: Budget,
        shape: Callable[[Any], _T],
        cost: int,
        headers: Mapping[str, str] | None,
        body: Any,
    ) -> _T:
        budget.take(self.stop, cost)
        signed = self._authorization.current()
        status, answered, content = self._answer(method, url, params, {**(headers or {}), "Authorization": signed}, body)
        if status == 401 and self._authorization.renewed(signed):
            budget.take(self.stop, cost)
            signed = self._authorization.current()
            status, answered, content = self._answer(method, url, params, {**(headers or {}), "Authorization": signed}, body)
        if status in _PASSING:
            raise PassingError(f"it answered {status}", self._asked_for(answered))
        try:
            told = json.loads(content) if content else None
        except (ValueError, RecursionError):
            told = None
            if 200 <= status < 300:
                raise PassingError("what it answered is no JSON, or breaks off") from None
        if not 200 <= status < 300:
            raise RefusedError(status, *self.server.explained(told))
        try:
            return shape(told)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise PassingError(f"what it answered is not what was asked for: {log(str(error))}") from None

    def _answer(
        self, method: str, url: str, params: Mapping[str, str] | None, headers: Mapping[str, str], body: Any
    ) -> tuple[int, httpx.Headers, bytes]:
        try:
            with self._http.stream(method, url, params=params, headers=headers, json=body) as answer:
                return answer.status_code, answer.headers, self._content(answer)
        except httpx.InvalidURL as error:
            raise PassingError(f"the address of a page is none: {error}") from None
        except httpx.TimeoutException:
            raise PassingError("there was no answer in time") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise UnreachableError(
                    f"{self.server.name} shows a certificate that is not trusted here: {log(str(error))}.",
                    where=self.server.where,
                    hint="Let the system trust the authority that issued it, or name its file in the environment as SSL_CERT_FILE.",
                ) from error
            raise PassingError(str(error) or type(error).__name__) from None
        except RuntimeError:
            if self.stop.is_set():  # the client was closed meanwhile
                raise StoppedError from None
            raise

    def _content(self, answer: httpx.Response) -> bytes:
        """The whole body of a response. Raises PassingError or DirectoryError if it is too large or too slow."""
        begun, content = self.clock.now(), bytearray()
        for part in answer.iter_bytes():
            content += part
            if len(content) > self.server.answer:
                raise DirectoryError(
                    f"{self.server.name} answers with more than {self.server.answer // MIB} MiB, which is no page. Nothing was changed.",
                    where=self.server.where,
                    hint="Look what answers there.",
                )
            if self.clock.now() - begun > _LONGEST_ANSWER:
                raise PassingError("its answer does not come to an end")
        return bytes(content)

    def _only_there(self, url: str) -> None:
        """Raises DirectoryError for a URL of another server: our credentials go to one server only."""
        if origin(url) != self.server.origin:
            raise DirectoryError(
                f"{self.server.name} names {log(urlsplit(url).netloc)} for the next page, which is another host. Nothing was changed.",
                where=self.server.where,
                hint="Look what answers there: a proxy may have put its own address in.",
            )

    def _asked_for(self, headers: httpx.Headers) -> float | None:
        """The seconds in a header Retry-After."""
        try:
            seconds = float(headers.get("Retry-After", ""))
        except ValueError:
            return None
        if seconds > LONGEST_WAIT:
            raise too_long(self.server.name, seconds)
        return max(seconds, 0.0) if seconds == seconds else None

    def _wait(self, state: RetryCallState) -> float:
        """The seconds before the next try: as the server asked, else exponential backoff with jitter, up to a minute."""
        import secrets

        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, PassingError) and error.after is not None:
            return error.after
        longest: float = min(_FIRST_WAIT * 2 ** (state.attempt_number - 1), _LONGEST_BACKOFF)
        return longest * (500 + secrets.randbelow(501)) / 1000


def _pause(budget: Budget, state: RetryCallState) -> None:
    """If the server asked one call to wait, makes all calls wait."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, PassingError) and error.after is not None:
        budget.pause(error.after)
