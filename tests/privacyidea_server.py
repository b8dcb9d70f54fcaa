"""A real privacyIDEA server for the tests, from its package, which `.ci/peers` puts into an environment of its own.

A pytest plugin: the fixture `privacyidea` starts one a session, on a loopback port and with files of its own, and forgets it afterwards.
Each test makes a realm of its own, with people and tokens, by the server's API. As a program (`python privacyidea_server.py FOLDER`, which
needs no library) it sets a server up in `FOLDER/seed`, as the server's manual says; the fixture copies that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ADMIN, PASSWORD = "admin", "Adm1n-test"
READER, READING = "reader", "R3ad-test"
"""An administrator, and one who may do in a realm what its policy says."""
_SETTINGS = """\
SUPERUSER_REALM = ["super"]
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/pi.sqlite"
SECRET_KEY = "of the tests"
PI_PEPPER = "of the tests"
PI_ENCFILE = "{folder}/enckey"
PI_AUDIT_KEY_PRIVATE = "{folder}/private.pem"
PI_AUDIT_KEY_PUBLIC = "{folder}/public.pem"
PI_LOGFILE = "{folder}/pi.log"
PI_LOGLEVEL = 30
PI_HASH_ALGO_PARAMS = {{"argon2__rounds": 1, "argon2__memory_cost": 1024}}
"""


def _manage(server: Path, folder: Path) -> tuple[list[str], dict[str, str]]:
    """How the server's own command is called for what is in a folder; its settings are written there."""
    (folder / "pi.cfg").write_text(_SETTINGS.format(folder=folder))
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(folder)}
    return [str(server / "venv" / "bin" / "pi-manage")], environment | {"PRIVACYIDEA_CONFIGFILE": str(folder / "pi.cfg")}


def set_up(server: Path) -> None:
    """A server that knows two administrators and nothing else, in `server/seed`."""
    seed = server / "seed"
    seed.mkdir()
    command, environment = _manage(server, seed)
    for words in (
        ("setup", "create_enckey"),
        ("setup", "create_audit_keys"),
        ("setup", "create_tables"),
        ("admin", "add", "-p", PASSWORD, ADMIN),
        ("admin", "add", "-p", READING, READER),
    ):
        done = subprocess.run([*command, *words], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"privacyIDEA could not be set up ({' '.join(words[:2])}): {done.stdout}{done.stderr}")


class RefusedByServerError(Exception):
    """The server said no: `status`, and its words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{status} {words}")
        self.status = status


@dataclass
class PrivacyIdeaServer:
    """A running server, as its administrator sees it."""

    url: str
    folder: Path
    token: str = ""
    _names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None) -> Any:
        """The value of an answer. Raises RefusedByServerError."""
        return self.told(method, path, body, token)["result"]["value"]

    def told(self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None) -> Any:
        """A whole answer. Raises RefusedByServerError."""
        headers = {"Authorization": self.token if token is None else token}
        data = None
        if body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers, method=method), timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise RefusedByServerError(error.code, error.read().decode(errors="replace")) from None

    def sign_in(self, name: str = ADMIN, password: str = PASSWORD) -> str:
        """A token of an administrator."""
        answer = self.call("POST", "/auth", {"username": name, "password": password}, token="")
        return str(answer["token"])

    def realm(self, *people: str) -> Realm:
        """A realm of its own with these people, whom the reader may read."""
        made = Realm(self, f"realm{next(self._names)}", list(people))
        made.write()
        self.call("POST", f"/resolver/{made.name}", {"type": "passwdresolver", "fileName": str(made.file)})
        self.call("POST", f"/realm/{made.name}", {"resolvers": made.name})
        made.grant("userlist", "tokenlist")
        return made


@dataclass
class Realm:
    """A realm with a resolver of the same name, whose people are lines of a file."""

    server: PrivacyIdeaServer
    name: str
    people: list[str]
    secrets: dict[str, str] = field(default_factory=dict)
    """What an app has of each token that shows codes, by serial."""
    _ids: dict[str, int] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.server.folder / f"{self.name}.passwd"

    def write(self) -> None:
        """Name, room, two numbers and the address are what the server reads of the fifth field."""
        lines = []
        for name in self.people:
            number = self._ids.setdefault(name, 1001 + len(self._ids))
            mail = f"{name if name.isascii() else number}@example.test"
            lines.append(f"{name}:x:{number}:1000:{name.title()} Example,,+1555010{number},,{mail}:/home/{name}:/bin/sh\n")
        self.file.write_text("".join(lines), encoding="utf-8")

    def grant(self, *actions: str, **scope: str) -> None:
        """What the reader may do here; nothing takes it away."""
        path = f"/policy/{self.name}"
        if not actions:
            self.server.call("DELETE", path)
            return
        policy = {"scope": "admin", "action": ", ".join(actions), "adminuser": READER, "realm": self.name, "active": True}
        self.server.call("POST", path, policy | scope)

    def enrol(self, person: str, kind: str, **more: Any) -> str:
        """A new token; its serial."""
        answer = self.server.told("POST", "/token/init", {"type": kind, "user": person, "realm": self.name} | (more or {"genkey": 1}))
        return self._made(answer["detail"])

    def sms(self, person: str, number: str = "+15550100") -> str:
        return self.enrol(person, "sms", phone=number, genkey=1)

    def app(self, person: str) -> str:
        """An authenticator app is set up as people do it: its secret is drawn by the server, and a code of it is what finishes it."""
        verify = {"scope": "enrollment", "action": "verify_enrollment=totp", "realm": self.name, "active": True}
        self.server.call("POST", f"/policy/{self.name}-verify", verify)
        wanted = {"type": "totp", "user": person, "realm": self.name, "genkey": 1}
        detail = self.server.told("POST", "/token/init", wanted)["detail"]
        serial = self._made(detail)
        self.server.call("POST", "/token/init", {"type": "totp", "serial": serial, "verify": totp(self.secrets[serial])})
        return serial

    def push(self, person: str, *, finished: bool = True) -> str:
        """A push token; once it is finished, the telephone has answered the server with a key of its own."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        action = f"push_firebase_configuration=poll only, push_registration_url={self.server.url}/ttype/push, push_ssl_verify=0"
        policy = {"scope": "enrollment", "action": action, "realm": self.name, "active": True}
        self.server.call("POST", f"/policy/{self.name}-push", policy)
        begun = self.server.told("POST", "/token/init", {"type": "push", "user": person, "realm": self.name, "genkey": 1})["detail"]
        if finished:
            key = rsa.generate_private_key(65537, 2048).public_key()
            der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            answer = {"pubkey": base64.urlsafe_b64encode(der).decode(), "fbtoken": "none"}
            self.server.call("POST", "/ttype/push", {name: begun[name] for name in ("serial", "enrollment_credential")} | answer)
        return str(begun["serial"])

    def signs_in(self, serial: str) -> bool:
        """Whether the code that an app shows now is taken."""
        return bool(self.server.call("POST", "/validate/check", {"serial": serial, "pass": totp(self.secrets[serial])}))

    def _made(self, detail: dict[str, Any]) -> str:
        serial = str(detail["serial"])
        address = detail.get("googleurl", {}).get("value", "")
        if "secret=" in address:
            self.secrets[serial] = address.split("secret=")[1].split("&")[0]
        return serial

    def disable(self, serial: str) -> None:
        self.server.call("POST", f"/token/disable/{serial}", {})

    def delete(self, serial: str) -> None:
        self.server.call("DELETE", f"/token/{serial}")

    def settings(self, **more: Any) -> dict[str, Any]:
        """The `[directory]` that reads it."""
        return {
            "kind": "privacyidea", "url": self.server.url, "realm": self.name, "username": READER, "password": READING,
        } | more  # fmt: skip


def totp(secret: str, at: float | None = None) -> str:
    """The code that an app shows (RFC 6238, six digits, 30 seconds)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    digest = hmac.digest(key, int((time.time() if at is None else at) // 30).to_bytes(8, "big"), hashlib.sha1)
    place = digest[-1] & 15
    return f"{(int.from_bytes(digest[place : place + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


@contextmanager
def run_privacyidea(server: Path) -> Iterator[PrivacyIdeaServer]:
    """A server with files of its own. Nothing of it is left afterwards."""
    from peers import free_port, listens

    folder = Path(tempfile.mkdtemp(prefix="pi", dir="/tmp"))
    shutil.copytree(server / "seed", folder, dirs_exist_ok=True)
    command, environment = _manage(server, folder)
    port = free_port()
    said = folder / "said"
    with said.open("wb") as out:
        serve = [*command, "run", "-h", "127.0.0.1", "-p", str(port)]
        running = subprocess.Popen(serve, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder)
    try:
        listens(port, running, "privacyIDEA", lambda: said.read_text(errors="replace"), seconds=60)
        made = PrivacyIdeaServer(f"http://127.0.0.1:{port}", folder)
        made.token = made.sign_in()
        # The first policy for administrators takes everything from those who have none.
        made.call("POST", "/policy/super", {"scope": "admin", "action": "*", "adminuser": ADMIN, "active": True})
        yield made
    finally:
        running.kill()
        running.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    set_up(Path(sys.argv[1]).resolve())
else:
    import pytest

    @pytest.fixture(scope="session")
    def privacyidea() -> Iterator[PrivacyIdeaServer]:
        """A running server."""
        from peers import UNPACKED, missing

        server = UNPACKED / "privacyidea"
        if not (server / "seed" / "made-by").exists():
            missing("no privacyIDEA server; `.ci/peers` puts one into build/peers")
        with run_privacyidea(server) as running:
            yield running
