"""Real mail servers for the tests: Debian's Postfix and Exim, unpacked by `.ci/peers` or installed, each on a loopback port of its own.

A pytest plugin: the fixtures `postfix` and `exim` start a server with settings of its own as often as a test wants one, and `submission`
a Postfix that takes letters over TLS alone, from whoever signs in with a token (XOAUTH2) that Debian's Dovecot has looked at. Nothing of
the machine is touched: Postfix keeps everything in a folder below /tmp and runs as users that every Debian has; Exim runs as `nobody`, or
as whoever runs the tests, and is told of its own user by nss_wrapper. Both take mail for example.com and example.org, for every address
that does not begin with `gone`, and keep what they took.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from peers import UNPACKED, free_port, libraries, listens, missing, nobody, unpacked

HOST = "mx.example.org"


@dataclass(frozen=True)
class MailServer:
    """A running server: its port, and the folder in which each letter that it took is a file."""

    port: int
    _taken: Callable[[], list[bytes]]
    _log: Path

    def letters(self) -> list[bytes]:
        """What it took, without the header lines that are its own; lines end in CR LF."""
        return [_as_sent(letter) for letter in self._taken()]

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


Serving = Callable[..., AbstractContextManager[MailServer]]
"""Starts a server with settings of its own."""


def _as_sent(kept: bytes) -> bytes:
    """The letter from its first own header line on."""
    lines = kept.replace(b"\r\n", b"\n").split(b"\n")
    first = next((n for n, line in enumerate(lines) if line.startswith(b"From: ")), 0)
    return b"\r\n".join(lines[first:])


def _spooled(spool: Path) -> list[bytes]:
    """The letters in Exim's spool: a file of header lines, each behind its length and a letter, and one of what follows them."""
    found = []
    for file in sorted(spool.glob("*-H")):
        heads = file.read_bytes().split(b"\n\n", 1)[1]
        letter = b""
        while match := re.match(rb"(\d{3,})(.) ", heads):
            line = heads[match.end() : match.end() + int(match[1])]
            heads = heads[match.end() + int(match[1]) :]
            letter += line if match[2] != b"*" else b""
        found.append(letter + b"\n" + file.with_name(file.name[:-1] + "D").read_bytes().split(b"\n", 1)[1])
    return found


def _end(running: subprocess.Popen[bytes]) -> None:
    """A server and every process that it started; it leads a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


_POSTFIX_MAIN = {
    "compatibility_level": "3.6", "mail_owner": "news", "setgid_group": "uucp", "default_privs": "nobody",
    "import_environment": "MAIL_CONFIG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME LD_LIBRARY_PATH",
    "maillog_file_prefixes": "/tmp", "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4", "myhostname": HOST,
    "mydestination": "example.com, example.org", "virtual_mailbox_domains": "", "mynetworks": "127.0.0.0/8", "alias_maps": "",
    "disable_dns_lookups": "yes", "local_transport": "virtual", "virtual_mailbox_maps": "static:kept/", "virtual_uid_maps": "static:65534",
    "virtual_gid_maps": "static:65534", "smtpd_client_event_limit_exceptions": "", "smtpd_error_sleep_time": "0",
    "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
}  # fmt: skip
"""Debian's users that do nothing else (`news`, `uucp`) stand for the ones that the package would make."""
_POSTFIX_SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 discard
defer unix - - n - 0 discard
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
smtp unix - - n - - discard
virtual unix - n n - - virtual
postlog unix-dgram n - n - 1 postlogd
tlsmgr unix - - n 1000? 1 tlsmgr
"""
_QUEUES = (
    "active",
    "incoming",
    "deferred",
    "defer",
    "bounce",
    "corrupt",
    "hold",
    "flush",
    "trace",
    "saved",
    "private",
    "public",
    "maildrop",
)


@contextlib.contextmanager
def run_postfix(installed: Path, **settings: str) -> Iterator[MailServer]:
    """Postfix with `settings` of main.cf; nothing of it is left afterwards. Only the superuser may start it."""
    root = Path(tempfile.mkdtemp(prefix="postfix", dir="/tmp"))
    config, queue, data, kept, log = (root / name for name in ("config", "queue", "data", "mail", "log"))
    for folder in (config, queue, queue / "pid", data, kept, *(queue / name for name in _QUEUES)):
        folder.mkdir()
    root.chmod(0o755)
    for folder in (data, *(queue / name for name in _QUEUES)):
        shutil.chown(folder, "news")
    shutil.chown(kept, 65534, 65534)
    (root / "known").write_text("!/^gone/ yes\n")
    port = free_port()
    places = {
        "daemon_directory": installed / "usr/lib/postfix/sbin", "command_directory": installed / "usr/sbin",
        "shlib_directory": installed / "usr/lib/postfix", "queue_directory": queue, "data_directory": data, "maillog_file": log,
        "virtual_mailbox_base": kept, "local_recipient_maps": f"regexp:{root / 'known'}",
    }  # fmt: skip
    main = _POSTFIX_MAIN | {name: str(place) for name, place in places.items()} | settings
    (config / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in main.items()))
    (config / "master.cf").write_text(_POSTFIX_SERVICES.format(port=port))
    for file in config.iterdir():
        os.utime(file, (0, 0))  # Postfix waits two seconds for a file that was just written
    environment = {"PATH": "/usr/bin:/bin", "TZ": "UTC", "LD_LIBRARY_PATH": ":".join(map(str, libraries(installed)))}
    with (root / "said").open("wb") as out:
        running = subprocess.Popen(
            [places["daemon_directory"] / "master", "-c", config, "-d", "-s"],
            cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    server = MailServer(port, lambda: [file.read_bytes() for file in sorted(kept.glob("kept/new/*"))], log)
    try:
        listens(port, running, "Postfix", lambda: (root / "said").read_text(errors="replace") + server.log())
        yield server
    finally:
        _end(running)
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def postfix() -> Serving:
    """`with postfix(setting="value") as server:` a Postfix with these lines in its main.cf."""
    installed = unpacked("usr/lib/postfix/sbin/master")
    if installed is None:
        missing("no Postfix; `.ci/peers` unpacks Debian's")
    if os.geteuid() != 0:
        missing("Postfix starts for the superuser alone")

    @contextlib.contextmanager
    def serving(**settings: str) -> Iterator[MailServer]:
        with run_postfix(installed, **settings) as server:
            yield server

    return serving


_DOVECOT = """\
base_dir = {root}/run
state_dir = {root}/state
libexec_dir = {installed}/usr/lib/dovecot
log_path = {root}/log
protocols =
ssl = no
default_internal_user = news
default_internal_group = news
default_login_user = uucp
import_environment = TZ LD_LIBRARY_PATH
auth_mechanisms = xoauth2
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {root}/oauth2
}}
userdb {{
  driver = static
  args = uid=news gid=news home=/nonexistent
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""
_INTROSPECTION = (
    "introspection_mode = get\nintrospection_url = {url}\nusername_attribute = email\nactive_attribute = active\nactive_value = true\n"
)


@contextlib.contextmanager
def run_dovecot(installed: Path, introspection: str) -> Iterator[int]:
    """The port at which Dovecot tells a Postfix who may sign in: it asks the address `introspection` about each token (RFC 7662)."""
    root = Path(tempfile.mkdtemp(prefix="dovecot", dir="/tmp"))
    root.chmod(0o755)
    for name in ("run", "state"):
        (root / name).mkdir()
    port = free_port()
    (root / "oauth2").write_text(_INTROSPECTION.format(url=introspection))
    (root / "conf").write_text(_DOVECOT.format(root=root, installed=installed, port=port))
    below = installed / "usr/lib/dovecot"
    places = [below, below / "modules/old-stats", *installed.glob("usr/lib/*-linux-gnu")]
    # `dovecot` itself looks for its `doveconf` in /usr/bin; this is how it calls it.
    read = [installed / "usr/bin/doveconf", "-f", "service=master", "-c", root / "conf", "-m", "master", "-p"]
    with (root / "said").open("wb") as out:
        running = subprocess.Popen(
            [*read, "-e", installed / "usr/sbin/dovecot", "-F", "-c", root / "conf"],
            cwd="/", env={"PATH": "/usr/bin:/bin", "TZ": "UTC", "LD_LIBRARY_PATH": ":".join(map(str, places))},
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        listens(port, running, "Dovecot", lambda: (root / "said").read_text(errors="replace"))
        yield port
    finally:
        _end(running)
        shutil.rmtree(root, ignore_errors=True)


Submission = Callable[..., AbstractContextManager[MailServer]]
"""Starts a server for whoever signs in: the address of the introspection, the mailbox it is for, and settings of its own."""


@pytest.fixture(scope="session")
def submission(postfix: Serving) -> Submission:
    """`with submission(fake.introspection, "noreply@contoso.com", setting="value") as server:` Postfix and Dovecot; its certificate is of
    the tests' own authority."""
    from mail.authority import authority  # trustme takes its time, and few tests need it

    installed = unpacked("usr/lib/dovecot/auth")
    if installed is None:
        missing("no Dovecot; `.ci/peers` unpacks Debian's")

    @contextlib.contextmanager
    def serving(introspection: str, mailbox: str, **settings: str) -> Iterator[MailServer]:
        with run_dovecot(installed, introspection) as port, tempfile.TemporaryDirectory() as folder:
            chain = Path(folder) / "chain.pem"
            authority().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(chain))
            signing_in = {
                "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": f"inet:127.0.0.1:{port}",
                "smtpd_tls_security_level": "encrypt", "smtpd_tls_auth_only": "yes", "smtpd_tls_chain_files": str(chain),
                "smtpd_sender_login_maps": f"inline:{{{mailbox}={mailbox}}}", "smtpd_sender_restrictions": "reject_sender_login_mismatch",
                "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
            }  # fmt: skip
            with postfix(**signing_in | settings) as server:
                yield server

    return serving


_EXIM = """\
primary_hostname = {host}
spool_directory = {root}/spool
log_file_path = {root}/log/%s
exim_user = {user}
exim_group = {group}
never_users =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
host_lookup =
rfc1413_query_timeout = 0s
queue_only = true
queue_only_override = false
tls_advertise_hosts =
keep_environment = LD_PRELOAD : LD_LIBRARY_PATH : ^NSS_WRAPPER
message_body_newlines = true
domainlist local_domains = {domains}
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
{settings}
begin acl
acl_rcpt:
{rcpt}
  accept domains = +local_domains
    endpass
    verify = recipient
  deny message = relay not permitted
acl_data:
{data}
  accept
begin routers
{routers}
known:
  driver = accept
  domains = +local_domains
  local_parts = {known}
  transport = kept
begin transports
{transports}
kept:
  driver = appendfile
  file = {root}/mail
"""
_EXIM_PARTS = {"domains": "example.com : example.org", "known": "!^gone : *", "rcpt": "", "data": "", "routers": "", "transports": ""}
"""What stands first in the ACLs for RCPT and for the data, among the routers and the transports; which domains and people are its own."""


@contextlib.contextmanager
def run_exim(installed: Path, wrapper: Path, **settings: str) -> Iterator[MailServer]:
    """Exim with `settings`; those named in _EXIM_PARTS stand in their own places. Nothing of it is left afterwards."""
    root = Path(tempfile.mkdtemp(prefix="exim", dir="/tmp"))
    for name in ("spool", "log", "lib"):
        (root / name).mkdir()
    program = shutil.copyfile(installed / "usr/sbin/exim4", root / "exim")  # a copy is not set-uid
    program.chmod(0o755)
    for found in [wrapper, *(file for place in libraries(installed) for file in place.glob("lib*.so*"))]:
        shutil.copyfile(found, root / "lib" / found.name)
    how = nobody(root)
    user, group = how.get("user", os.geteuid()), how.get("group", os.getegid())
    (root / "passwd").write_text(Path("/etc/passwd").read_text() + f"Debian-exim:x:{user}:{group}::/:/bin/false\n")
    (root / "group").write_text(Path("/etc/group").read_text() + f"Debian-exim:x:{group}:\n")
    port = free_port()
    parts = {name: settings.get(name, usual) for name, usual in _EXIM_PARTS.items()}
    more = "\n".join(f"{name} = {value}" for name, value in settings.items() if name not in _EXIM_PARTS)
    (root / "conf").write_text(_EXIM.format(host=HOST, root=root, user=user, group=group, port=port, settings=more, **parts))
    if "user" in how:
        for place in (root / "spool", root / "log"):
            os.chown(place, user, group)
    how["env"] = how["env"] | {
        "LD_LIBRARY_PATH": str(root / "lib"), "LD_PRELOAD": str(root / "lib" / wrapper.name),
        "NSS_WRAPPER_PASSWD": str(root / "passwd"), "NSS_WRAPPER_GROUP": str(root / "group"),
    }  # fmt: skip
    with (root / "said").open("wb") as out:
        running = subprocess.Popen(
            [program, "-C", root / "conf", "-bdf"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, **how
        )
    try:
        listens(port, running, "Exim", lambda: (root / "said").read_text(errors="replace"))
        yield MailServer(port, lambda: _spooled(root / "spool" / "input"), root / "log" / "main")
    finally:
        _end(running)
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def exim() -> Serving:
    """`with exim(rcpt="  deny message = …", setting="value") as server:` an Exim with these lines in its configuration."""
    installed = unpacked("usr/sbin/exim4")
    wrapper = next((found for root in (UNPACKED, Path("/")) for found in root.glob("usr/lib/*-linux-gnu/libnss_wrapper.so")), None)
    if installed is None or wrapper is None:
        missing("no Exim, or no nss_wrapper; `.ci/peers` unpacks Debian's")

    @contextlib.contextmanager
    def serving(**settings: str) -> Iterator[MailServer]:
        with run_exim(installed, wrapper, **settings) as server:
            yield server

    return serving
