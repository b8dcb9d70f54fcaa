"""Graph and its token endpoint on loopback, of one tenant or several; every call and every answer is held against the description.

    with Fake(believable(3000)) as fake:
        …a directory of kind entra with graph_url and login_url = fake.url…
    assert fake.violations == []

It refuses what Graph refuses: unknown `$select` and `$top`, a call without its permission or licence, too many calls, an expired page
token, a token that has ended or is for Exchange Online. `fake.fail(…)` lets calls go wrong. A mail server may ask `takes`, or the address
`introspection` (RFC 7662), which tokens are good for `mailbox`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from .control import changed
from .description import GRAPH, SIGN_IN
from .faults import Fault, Kind, Throttle
from .tenant import ROLES, Person, Tenant

READING = (
    "User.Read.All", "AuditLog.Read.All", "Domain.Read.All", "Policy.Read.All", "GroupMember.Read.All", "RoleManagement.Read.Directory",
)  # fmt: skip
DETAILS = ("UserAuthenticationMethod.Read.All",)
_NO_PREMIUM = (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant")
_USER = GRAPH.properties("microsoft.graph.user") - {"@odata.type", "deletedDateTime", "manager"}
_REPORT = GRAPH.properties("microsoft.graph.userRegistrationDetails") - {"defaultMfaMethod"}


class RefusalError(Exception):
    def __init__(self, status: int, code: str, message: str = "Example", headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message, "innerError": {"date": "2026-05-04T06:00:00", "request-id": "e0"}}}


class Fake:
    """`client_id`, and the proofs that the registration has. `clock` counts the seconds of throttling and of tokens."""

    client_id = "b0000000-0000-4000-8000-000000000001"

    def __init__(self, *tenants: Tenant, clock: Callable[[], float] = time.monotonic, port: int = 0, page_token_life: float = 1e9) -> None:
        self.tenants = list(tenants)
        self.consented: dict[str, set[str]] = {each.id: {*READING, *DETAILS} for each in tenants}
        self.secret = "hunter2~" + secrets.token_hex(4)
        self.certificate: Any = None
        self.federated = ""
        self.mailbox: str | None = None
        """The address as which the application may send letters."""
        self.token_seconds = 3600
        self.wrong_tid: str | None = None
        self.inner_counts = False
        self.throttle = Throttle()
        self.violations: list[str] = []
        self.calls: list[str] = []
        self.batches: list[int] = []
        self.tokens_given = 0
        self.numbers_shown = 0
        self._page_token_life = page_token_life
        self._clock, self._faults = clock, list[Fault]()
        self._tokens: dict[str, tuple[str, float, bool]] = {}
        self._listings: dict[str, tuple[str, list[Any], int, int, float, Any]] = {}
        self._turn = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def tenant(self) -> Tenant:
        return self.tenants[0]

    def fail(self, path: str, kind: Kind, times: int = 1, after: int = 0, retry_after: int | None = 3) -> None:
        self._faults.append(Fault(path, kind, times, after, retry_after))

    def grant(self, *permissions: str) -> None:
        self.consented[self.tenant.id] = set(permissions)

    def end_tokens(self) -> None:
        """Tokens given so far are good for nothing any more."""
        self._tokens.clear()

    def settings(self, **more: Any) -> dict[str, Any]:
        """The `[directory]` table with which it can be read."""
        told = {"kind": "entra", "tenant": self.tenant.domain, "client_id": self.client_id, "graph_url": self.url, "login_url": self.url}
        proofs = {"certificate", "client_secret", "federated_token_file", "managed_identity"} & more.keys()
        return told | ({} if proofs else {"client_secret": self.secret}) | more

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    # The sign-in.

    def sign_in(self, method: str, path: str, body: str) -> tuple[int, Any]:
        found = SIGN_IN.operation(method, path)
        if found is None:
            return 404, {"error": "not_found"}
        operation, named = found[1], unquote(path.split("/")[1]).lower()
        tenant = next((each for each in self.tenants if named in (each.id, *each.domains)), None)
        if method == "GET":
            if tenant is None:
                return 400, {"error": "invalid_tenant"}
            at = f"{self.url}/{tenant.id}"
            told = {
                "issuer": f"{at}/v2.0",
                "authorization_endpoint": f"{at}/oauth2/v2.0/authorize",
                "token_endpoint": f"{at}/oauth2/v2.0/token",
            }
            return 200, self._held(operation, 200, told)
        form = dict(parse_qsl(body, keep_blank_values=True))
        self.violations += [f"POST {path}: {each}" for each in SIGN_IN.request_faults(operation, form, "application/x-www-form-urlencoded")]
        status, told = self._token(tenant, form)
        return status, self._held(operation, status, told)

    def _held(self, operation: Any, status: int, told: Any) -> Any:
        self.violations += [f"sign-in {status}: {each}" for each in SIGN_IN.answer_faults(operation, status, told)]
        return told

    def _token(self, tenant: Tenant | None, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        def denied(status: int, error: str, code: int, words: str) -> tuple[int, dict[str, Any]]:
            return status, {"error": error, "error_description": f"AADSTS{code}: {words} Trace ID: 1 Timestamp: 2", "error_codes": [code]}

        if tenant is None:
            return denied(400, "invalid_request", 90002, "Tenant not found.")
        if form.get("client_id") != self.client_id:
            return denied(400, "unauthorized_client", 700016, "Application was not found in the directory.")
        if tenant.id not in self.consented:
            return denied(401, "invalid_client", 7000229, "The client application is missing service principal in the tenant.")
        if "client_secret" in form and form["client_secret"] != self.secret:
            return denied(401, "invalid_client", 7000215, f"Invalid client secret provided: {form['client_secret']}.")
        if "client_assertion" in form and not self._proven(form["client_assertion"]):
            return denied(401, "invalid_client", 700027, "The certificate is not registered.")
        return 200, self.issue(tenant, for_mail=form.get("scope", "").startswith("https://outlook."))

    def issue(self, tenant: Tenant, *, for_mail: bool = False) -> dict[str, Any]:
        claims = {
            "tid": self.wrong_tid or tenant.id,
            "appid": self.client_id,
            "roles": ["SMTP.SendAsApp"] if for_mail else sorted(self.consented[tenant.id]),
            "n": secrets.token_hex(8),
        }
        parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in ({"alg": "none"}, claims)]
        token = ".".join([*parts, "signature"])
        with self._turn:
            self.tokens_given += 1
            self._tokens[token] = (tenant.id, self._clock() + self.token_seconds, for_mail)
        return {"token_type": "Bearer", "expires_in": self.token_seconds, "ext_expires_in": self.token_seconds, "access_token": token}

    @property
    def introspection(self) -> str:
        """The address that tells of the token behind it whether it is active, and for which mailbox."""
        return f"{self.url}/fake/introspect?token="

    def takes(self, token: str, mailbox: str) -> bool:
        """Whether Exchange Online lets the bearer of a token send as a mailbox."""
        held = self._tokens.get(token)
        return held is not None and held[1] > self._clock() and held[2] and mailbox == self.mailbox

    def _proven(self, assertion: str) -> bool:
        if self.federated:
            return assertion == self.federated
        import jwt

        try:
            jwt.decode(assertion, self.certificate, algorithms=["PS256"], options={"verify_aud": False})
        except Exception:
            return False
        return True

    # Graph.

    def answer(self, method: str, target: str, headers: Any, body: Any) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON of one call."""
        parts = urlsplit(target)
        version, _, rest = parts.path.lstrip("/").partition("/")
        path, query = "/" + unquote(rest), dict(parse_qsl(parts.query, keep_blank_values=True))
        beta = version == "beta"
        with self._turn:
            self.calls.append(f"{method} {version} {path}")
        found = GRAPH.operation(method, path, beta=beta)
        if found is None or version not in ("v1.0", "beta"):
            self.violations.append(f"{method} {target} is not described")
            return 404, {}, RefusalError(404, "Request_ResourceNotFound").body
        template, operation = found
        try:
            tenant = self._signed_in(headers.get("Authorization", ""))
            if wrong := GRAPH.unknown_parameters(operation, query):
                self.violations.append(f"{method} {target}: {'; '.join(wrong)}")
                raise RefusalError(400, "BadRequest", "; ".join(wrong))
            if template == "/$batch":
                told = self._batch(tenant, operation, body, beta)
            else:
                told = self._one(tenant, template, path, query, headers, beta)
            status, more = 200, {}
        except RefusalError as refusal:
            status, more, told = refusal.status, refusal.headers, refusal.body
        self.violations += [f"{method} {target}: answer {status}: {each}" for each in GRAPH.answer_faults(operation, status, told)]
        return status, more, told

    def fault(self, path: str) -> Fault | None:
        with self._turn:
            return next((each for each in self._faults if each.strikes(path)), None)

    def _signed_in(self, value: str) -> Tenant:
        held = self._tokens.get(value.removeprefix("Bearer "))
        if held is None or held[1] <= self._clock():
            raise RefusalError(
                401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.", {"WWW-Authenticate": "Bearer"}
            )
        if held[2]:
            raise RefusalError(401, "InvalidAuthenticationToken", "Access token validation failure. Invalid audience.")
        return next(each for each in self.tenants if each.id == held[0])

    def _batch(self, tenant: Tenant, operation: Any, body: Any, beta: bool) -> dict[str, Any]:
        if faults := GRAPH.request_faults(operation, body, "application/json"):
            self.violations += [f"POST /$batch: {each}" for each in faults]
            raise RefusalError(400, "BadRequest", faults[0])
        if len({each["id"].casefold() for each in body["requests"]}) < len(body["requests"]):
            raise RefusalError(400, "BadRequest", "an id is used twice")
        self.batches.append(len(body["requests"]))
        answers = []
        for each in reversed(body["requests"]):
            path, inner = unquote(each["url"]), None
            answered: dict[str, Any] = {"id": each["id"], "headers": {"Content-Type": "application/json"}}
            found = GRAPH.operation("GET", path, beta=beta)
            try:
                if found is None:
                    raise RefusalError(404, "Request_ResourceNotFound")
                if (fault := self.fault(f"inner {path}")) is not None:
                    raise RefusalError(
                        int(fault.kind),
                        "TooManyRequests",
                        headers={} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)},
                    )
                inner = self._one(tenant, found[0], path, {}, {}, beta, inside=True)
                answered |= {"status": 200, "body": inner}
            except RefusalError as refusal:
                answered |= {"status": refusal.status, "body": refusal.body, "headers": refusal.headers}
            if found is not None:
                self.violations += [
                    f"inner {path}: {fault}" for fault in GRAPH.answer_faults(found[1], answered["status"], answered["body"])
                ]
            answers.append(answered)
        return {"responses": answers}

    def _needs(self, tenant: Tenant, *permissions: str, premium: bool = False, code: str = "Authorization_RequestDenied") -> None:
        if not self.consented[tenant.id] & set(permissions):
            raise RefusalError(403, code, "Insufficient privileges to complete the operation.")
        if premium and not tenant.licensed:
            raise RefusalError(*_NO_PREMIUM)

    def _pace(self, api: str, cost: int = 1) -> None:
        if (seconds := self.throttle.over(api, self._clock(), cost)) is not None:
            raise RefusalError(429, "TooManyRequests", "Please retry again later.", {"Retry-After": str(seconds)})

    def _one(
        self, tenant: Tenant, template: str, path: str, query: dict[str, str], headers: Any, beta: bool, *, inside: bool = False
    ) -> Any:
        match template:
            case "/reports/authenticationMethods/userRegistrationDetails":
                self._pace("reports")
                self._needs(tenant, "AuditLog.Read.All", premium=True, code="Authentication_MSGraphPermissionMissing")
                selected = _selected(query, _REPORT)
                return self._page(path, query, 999, tenant.reported, lambda each: _only(tenant.report_row(each), selected))
            case "/users":
                return self._users(tenant, path, query)
            case "/users/$count":
                self._pace("directory")
                self._needs(tenant, "User.Read.All")
                if headers.get("ConsistencyLevel") != "eventual":
                    raise RefusalError(400, "Request_BadRequest", "$count needs ConsistencyLevel: eventual")
                return len(tenant.people)
            case "/auditLogs/signIns":
                self._pace("reports")
                self._needs(tenant, "AuditLog.Read.All", premium=True, code="Authentication_MSGraphPermissionMissing")
                since = re.search(r"createdDateTime ge ([0-9T:Z-]+)", query.get("$filter", ""))
                begun = datetime.fromisoformat(since[1]) if since else datetime(2026, 1, 1, tzinfo=UTC)
                return self._page(path, query, 1000, lambda: tenant.sign_ins(begun), lambda each: each, default=1000)
            case "/domains":
                self._pace("directory")
                self._needs(tenant, "Domain.Read.All")
                return {"value": [{"id": name, "authenticationType": kind} for name, kind in tenant.domains.items()]}
            case "/policies/authenticationMethodsPolicy":
                self._pace("directory")
                self._needs(tenant, "Policy.Read.All", "Policy.Read.AuthenticationMethod")
                return tenant.policy(beta=beta)
            case "/groups":
                self._pace("directory")
                self._needs(tenant, "GroupMember.Read.All")
                named = re.fullmatch(r"displayName eq '(.*)'", query.get("$filter", ""))
                found = [each for each in tenant.groups.values() if named is None or each.name == named[1].replace("''", "'")]
                return self._page(path, query, 999, lambda: found, lambda each: {"id": each.id, "displayName": each.name})
            case "/groups/{group-id}/transitiveMembers/microsoft.graph.user":
                self._pace("directory", 4)
                self._needs(tenant, "GroupMember.Read.All")
                group = path.split("/")[2]
                if group not in tenant.groups:
                    raise RefusalError(404, "Request_ResourceNotFound")
                return self._page(path, query, 999, lambda: sorted(tenant.members(group)), lambda each: {"id": each})
            case "/roleManagement/directory/roleDefinitions":
                self._pace("directory")
                self._needs(tenant, "RoleManagement.Read.Directory")
                return {"value": [{"id": role, "displayName": name} for name, role in ROLES.items()]}
            case "/roleManagement/directory/roleAssignments":
                self._pace("directory")
                self._needs(tenant, "RoleManagement.Read.Directory")
                return {"value": list(_assigned(tenant, query))}
        return self._of_a_person(tenant, template, path, inside)

    def _users(self, tenant: Tenant, path: str, query: dict[str, str]) -> Any:
        selected = _selected(query, _USER) or []
        activity = "signInActivity" in selected
        self._pace("activity" if activity else "directory", 1 if activity else 2)
        self._needs(tenant, "User.Read.All")
        if activity:
            self._needs(tenant, "AuditLog.Read.All", premium=True)
            query = query | {"$top": str(min(int(query.get("$top", 100)), 500))}
        manager = query.get("$expand", "").startswith("manager")
        return self._page(path, query, 999, tenant.users, lambda each: tenant.user(each, selected, manager=manager))

    def _of_a_person(self, tenant: Tenant, template: str, path: str, inside: bool) -> Any:
        if not inside or self.inner_counts:
            self._pace("directory" if template.endswith("requirements") else "reports")
        person = tenant.people.get(path.split("/")[2])
        if template.endswith("requirements"):
            self._needs(tenant, "Policy.Read.All")
            return {"perUserMfaState": _there(person).per_user_mfa}
        least = ("UserAuthMethod-Phone.Read.All",) if template.endswith("phoneMethods") else ()
        self._needs(tenant, "UserAuthenticationMethod.Read.All", *least, code="accessDenied")
        found = tenant.telephones(_there(person)) if least else tenant.methods(_there(person))
        self.numbers_shown += len(found)
        return {"value": found}

    def _page(
        self, path: str, query: dict[str, str], most: int, every: Callable[[], list[Any]], shown: Callable[[Any], Any], default: int = 100
    ) -> dict[str, Any]:
        """One page of a listing; the rest is remembered under a page token."""
        if token := query.get("$skiptoken"):
            held = self._listings.get(token)
            fault = self.fault(f"token {path}")
            if held is None or held[4] <= self._clock() or (fault is not None and fault.kind == "expired"):
                raise RefusalError(400, "Directory_ExpiredPageToken", "The specified page token value has expired.")
            _, rows, at, size, _, shown = held
        else:
            size, rows, at = int(query.get("$top", default)), every(), 0
            if not 1 <= size <= most:
                raise RefusalError(
                    400, "Request_UnsupportedQuery", f"Invalid page size specified: '{size}'. Must be between 1 and {most} inclusive."
                )
        told: dict[str, Any] = {"@odata.context": f"{self.url}/$metadata", "value": [shown(each) for each in rows[at : at + size]]}
        if at + size < len(rows):
            following = hashlib.sha256(f"{id(rows)}{at + size}{path}".encode()).hexdigest()[:32]
            with self._turn:
                self._listings[following] = (path, rows, at + size, size, self._clock() + self._page_token_life, shown)
            told["@odata.nextLink"] = f"{self.url}/{'beta' if 'signIns' in path else 'v1.0'}{path}?$skiptoken={following}"
        return told


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was hung up on purpose is nothing to tell of."""


def _there(person: Person | None) -> Person:
    if person is None:
        raise RefusalError(404, "Request_ResourceNotFound")
    return person


def _selected(query: dict[str, str], known: frozenset[str]) -> list[str] | None:
    if "$select" not in query:
        return None
    names = query["$select"].split(",")
    if unknown := [name for name in names if name not in known]:
        raise RefusalError(400, "BadRequest", f"Could not find a property named '{unknown[0]}'.")
    return names


def _only(row: dict[str, Any], names: list[str] | None) -> dict[str, Any]:
    return row if names is None else {name: row[name] for name in names}


def _assigned(tenant: Tenant, query: dict[str, str]) -> Any:
    wanted = re.fullmatch(r"roleDefinitionId eq '([0-9a-f-]+)'", query.get("$filter", ""))
    for role, held in tenant.holders.items():
        if wanted is not None and role != wanted[1]:
            continue
        for principal in sorted(held):
            kind = "group" if principal in tenant.groups else "user" if principal in tenant.people else "servicePrincipal"
            yield {
                "id": f"{role}-{principal}", "principalId": principal, "roleDefinitionId": role, "directoryScopeId": "/",
                "principal": {"@odata.type": f"#microsoft.graph.{kind}", "id": principal},
            }  # fmt: skip


def _handler(fake: Fake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer("GET", "")

        def do_POST(self) -> None:
            self._answer("POST", self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

        def _answer(self, method: str, body: str) -> None:
            path = urlsplit(self.path).path
            fault = fake.fault(path)
            if path.startswith("/msi"):
                status, more, told = 200, {}, self._machine()
            elif path.startswith("/fake/"):
                status, more, told = 200, {}, self._control(path)
            elif "/oauth2/" in path or "/.well-known/" in path:
                status, told = fake.sign_in(method, path, body)
                more: dict[str, str] = {}
            else:
                status, more, told = fake.answer(method, self.path, self.headers, json.loads(body) if body else None)
            if fault is not None:
                self._wrong(fault, status, more, told)
            else:
                self._send(status, more, json.dumps(told, ensure_ascii=False).encode())

        def _machine(self) -> dict[str, Any]:
            return {**fake.issue(fake.tenant), "expires_on": str(int(time.time()) + 3600), "resource": "https://graph.microsoft.com"}

        def _control(self, path: str) -> dict[str, Any]:
            asked = dict(parse_qsl(urlsplit(self.path).query))
            if path == "/fake/introspect":
                active = fake.mailbox is not None and fake.takes(asked["token"], fake.mailbox)
                return {"active": active, "email": fake.mailbox}
            return changed(fake.tenant, fake.consented[fake.tenant.id], path.rpartition("/")[2], asked)

        def _wrong(self, fault: Fault, status: int, more: dict[str, str], told: Any) -> None:
            whole = json.dumps(told).encode()
            after = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            match fault.kind:
                case "429" | "503" | "500":
                    self._send(int(fault.kind), after, json.dumps(RefusalError(int(fault.kind), "UnknownError", "").body).encode())
                case "401":
                    fake.end_tokens()
                    self._send(401, {}, json.dumps(RefusalError(401, "InvalidAuthenticationToken").body).encode())
                case "no premium":
                    self._send(403, {}, json.dumps(RefusalError(*_NO_PREMIUM).body).encode())
                case "break off":
                    self._send(200, {}, whole[: len(whole) // 2])
                case "hang up":
                    self.close_connection = True
                    self.connection.close()
                case "html":
                    self._send(200, {}, b"<html>Sign in to the hotel's network</html>")
                case "huge":
                    self._send(200, {}, b"[" + b" " * (40 << 20) + b"]")
                case "empty page":
                    self._send(200, {}, json.dumps({"value": [], "@odata.nextLink": f"{fake.url}{self.path}&$count=true"}).encode())
                case "same page":
                    self._send(200, {}, json.dumps(told | {"@odata.nextLink": f"{fake.url}{self.path}&$count=true"}).encode())
                case "same link":
                    self._send(200, {}, json.dumps(told | {"@odata.nextLink": f"{fake.url}{self.path}"}).encode())
                case "other host":
                    self._send(200, {}, json.dumps(told | {"@odata.nextLink": "https://graph.example.net/v1.0/users"}).encode())
                case "expired":
                    self._send(400, {}, json.dumps(RefusalError(400, "Directory_ExpiredPageToken").body).encode())

        def _send(self, status: int, more: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **more, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
