"""A scripted privacyIDEA server, for what a real one does not do on request; and directories that read it.

It answers as privacyIDEA 3.14 does (an older one if told so), silent empties included: of a realm that is not there, for a right that is
missing, and for a parameter that it takes for a field to search for. What it is asked besides reading is a violation.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import pandas as pd
from graph.faults import Fault, Kind

from migrate.core.accounts import words_of
from migrate.directory import Directory, open_directory, settings_model
from migrate.directory.testing import read_all

PASSWORD = "R3ad-test"
_FIELDS = {"userid", "username", "email", "givenname", "surname", "mobile", "realm", "resolver", "user"}
BEGAN = 1_800_000_000.0
"""The server's time when its clock is at 0."""


def person(number: int, **more: Any) -> dict[str, Any]:
    """A user as the server lists one."""
    told = {
        "userid": str(1000 + number), "username": f"user{number}", "email": f"user{number}@example.test", "givenname": "User",
        "surname": str(number), "mobile": f"+1555{number:07}", "phone": "", "realm": "staff", "resolver": "ldap1", "editable": False,
        "description": "",
    }  # fmt: skip
    return told | more


def token(owner: dict[str, Any] | None, kind: str, **more: Any) -> dict[str, Any]:
    """A token as the server lists one."""
    info = {"creation_date": "2026-11-24T03:59:35+00:00", "tokenkind": "software"} | more.pop("info", {})
    whose = {"username": "", "user_id": "", "user_realm": "", "resolver": ""}
    if owner is not None:
        whose = {"username": owner["username"], "user_id": owner["userid"], "user_realm": "staff", "resolver": owner["resolver"]}
    told = {"active": True, "revoked": False, "locked": False, "rollout_state": "enrolled", "tokentype": kind, "realms": ["staff"]}
    return told | whose | {"info": info} | more


class Fake:
    """One server with the realm `staff`."""

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.people: list[dict[str, Any]] = []
        self.realms: dict[str, list[str]] = {"staff": ["ldap1"]}
        self.kinds = {"ldap1": "ldapresolver"}
        self.version = "3.14"
        self.rights = ["userlist", "tokenlist"]
        self.scope = "staff"
        """The realm that the rights are for."""
        self.role, self.challenge, self.skipped = "admin", False, list[str]()
        self.token_seconds, self.tokens_given = 3600.0, 0
        self.largest_page = 1000
        self.calls: list[str] = []
        self.violations: list[str] = []
        self.meanwhile: dict[int, Callable[[], None]] = {}
        """After so many calls of the list of tokens, something happens."""
        self._clock, self._tokens, self._made = clock, list[dict[str, Any]](), 0
        self._faults: list[Fault] = []
        self._pages = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805
                self._answer(handler)

            do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

            def log_message(handler, *_: Any) -> None:  # noqa: N805
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # of calls that are hung up
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def has(self, owner: dict[str, Any] | None, *kinds: str, **more: Any) -> None:
        """Makes tokens of somebody, or of nobody."""
        for kind in kinds:
            self._made += 1
            self._tokens.append({"id": self._made, "serial": f"T{self._made:06}"} | token(owner, kind, **more))

    def delete(self, serial: str) -> None:
        self._tokens = [each for each in self._tokens if each["serial"] != serial]

    def fail(self, path: str, kind: Kind, times: int = 1, after: int = 0, retry_after: int | None = 3) -> None:
        self._faults.append(Fault(path, kind, times, after, retry_after))

    def settings(self, **more: Any) -> dict[str, Any]:
        return {"url": self.url, "realm": "staff", "username": "reader", "password": PASSWORD} | more

    def jwt(self, **more: Any) -> str:
        """A token of an administrator. Nobody signs it."""
        self.tokens_given += 1
        claims = {
            "username": "reader",
            "role": self.role,
            "rights": self.rights,
            "exp": self.now + self.token_seconds,
            "n": self.tokens_given,
        }
        return f"eyJ.{base64.urlsafe_b64encode(json.dumps(claims | more).encode()).decode().rstrip('=')}.x"

    @property
    def now(self) -> float:
        return BEGAN + self._clock()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.calls.append(f"{handler.command} {handler.path}")
        fault = next((each for each in self._faults if each.strikes(parts.path)), None)
        kind = fault.kind if fault is not None else None
        if handler.command != "GET" and not parts.path.endswith("/auth"):
            self.violations.append(f"{handler.command} {parts.path}")
        if kind == "hang up":
            handler.close_connection = True
            handler.connection.close()
            return
        if kind in ("429", "503", "500", "401"):
            assert fault is not None
            wait = {"Retry-After": str(fault.retry_after)} if kind == "429" and fault.retry_after is not None else {}
            self._send(handler, int(kind), {"result": {"status": False, "error": {"code": 4304, "message": "no"}}}, wait)
            return
        if kind == "html":
            self._send(handler, 200, b"<html>Maintenance</html>")
            return
        if kind == "huge":
            self._send(handler, 200, b" " * (257 << 20))
            return
        status, told = self._told(handler, parts.path, asked, body, kind)
        data = json.dumps(told | {"id": 1, "jsonrpc": "2.0", "time": self.now, "versionnumber": self.version}).encode()
        self._send(handler, status, data[: len(data) // 2] if kind == "break off" else data, length=len(data))

    def _send(self, handler: BaseHTTPRequestHandler, status: int, told: Any, more: dict[str, str] | None = None, length: int = 0) -> None:
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        handler.send_response(status)
        for name, value in ({"Content-Length": str(length or len(data))} | (more or {})).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    def _told(
        self, handler: BaseHTTPRequestHandler, path: str, asked: dict[str, str], body: bytes, kind: Kind | None
    ) -> tuple[int, dict[str, Any]]:
        if path == "/auth":
            return self._let_in(json.loads(body))
        if handler.headers.get("Content-Type") and handler.command == "GET":
            return 400, {}  # as the real one does: it looks for the JSON that was announced
        if path.startswith("/ui/"):
            return refused(404, 0, "not found")
        claims = self._claims(handler.headers.get("Authorization", ""))
        if claims is None or claims["exp"] <= self.now:
            return refused(401, 4304, "Authentication failure. Your token has expired.")
        mine = asked.get("realm") == self.scope
        if path == "/realm/":
            shown = {name: {"resolver": [self._resolver(each) for each in names]} for name, names in self.realms.items()}
            return value({name: each for name, each in shown.items() if name == self.scope or not self.rights})
        if path == "/user/":
            if "userlist" not in self.rights or not mine:
                return refused(403, 303, "Admin actions are defined, but the action userlist is not allowed!")
            return 200, {"detail": self._detail(), "result": {"status": True, "value": self._users(asked)}}
        if path == "/user/count" and self.version >= "3.14":
            lacking = next((right for right in ("userlist", "tokenlist") if right not in self.rights), None)
            if lacking is not None or not mine:
                return refused(403, 303, f"Admin actions are defined, but it requires the action {lacking or 'tokenlist'}!")
            owners = {each["user_id"] for each in self._tokens}
            users = self._users({"realm": asked["realm"]})
            return value({"count": len(users), "with_tokens": sum(each["userid"] in owners for each in users)})
        if path == "/token/":
            return value(self._page(asked, kind))
        return refused(404, 0, "not found")

    def _let_in(self, told: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if told != {"username": "reader", "password": PASSWORD}:
            return refused(401, 4031, "Authentication failed.")
        if self.challenge:
            return 200, {"detail": {"multi_challenge": []}, "result": {"status": True, "value": False}}
        return value({"token": self.jwt(), "role": self.role})

    @staticmethod
    def _claims(text: str) -> dict[str, Any] | None:
        try:
            part = text.split(".")[1]
            return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))  # type: ignore[no-any-return]
        except (IndexError, ValueError):
            return None

    def _resolver(self, name: str) -> dict[str, Any]:
        return {"name": name, "type": self.kinds[name], "node": "", "priority": None}

    def _detail(self) -> dict[str, Any] | None:
        return {"skipped_resolvers": self.skipped} if self.skipped and self.version >= "3.14" else None

    def _users(self, asked: dict[str, str]) -> list[dict[str, Any]]:
        known = _FIELDS | ({"attributes"} if self.version >= "3.14" else set())
        if set(asked) - known or asked["realm"] not in self.realms:
            return []
        here = [each for each in self.people if each["resolver"] not in self.skipped]
        if not (wanted := asked.get("attributes")):
            return here
        return [{name: each[name] for name in wanted.split(",") if name in each} for each in here]

    def _page(self, asked: dict[str, str], kind: Kind | None) -> dict[str, Any]:
        if asked.get("sortby") != "id" or "page" not in asked:
            self.violations.append(f"tokens in another order: {asked}")
        size, number = min(int(asked["pagesize"]), self.largest_page), int(asked["page"])
        self._pages += 1
        shown = self._tokens if "tokenlist" in self.rights and asked["tokenrealm"] == self.scope else []
        first = 0 if kind == "same page" else (number - 1) * size
        rows = [] if kind == "empty page" else shown[first : first + size]
        told = {"count": len(shown), "prev": None, "next": number + 1 if number * size < len(shown) else None, "tokens": rows}
        told = json.loads(json.dumps(told))
        if (then := self.meanwhile.pop(self._pages, None)) is not None:
            then()
        return told  # type: ignore[no-any-return]


def value(told: Any) -> tuple[int, dict[str, Any]]:
    return 200, {"detail": None, "result": {"status": True, "value": told}}


def refused(status: int, code: int, words: str) -> tuple[int, dict[str, Any]]:
    return status, {"detail": None, "result": {"status": False, "error": {"code": code, "message": words}}}


def directory(fake: Fake, **more: Any) -> Directory:
    return open_directory(settings_model("privacyidea")(**fake.settings(**more)))


def accounts(fake: Fake, **more: Any) -> pd.DataFrame:
    """Everybody, by name."""
    rows, _ = read_all(directory(fake, **more))
    assert fake.violations == []
    return rows.assign(methods=rows["methods"].map(words_of)).set_index("username")
