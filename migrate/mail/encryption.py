"""TLS with a mail server. If it fails, the error says which `security` the port wants, or what is wrong with the certificate."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from migrate.errors import ConfigError
from migrate.mail.causes import CHECK, NotOpenedError
from migrate.mail.settings import SmtpSettings
from migrate.outside import log

Handshake = Callable[[ssl.SSLContext], ssl.SSLSocket]
"""Makes another connection to the same server, up to its TLS handshake."""

LOOK: Final = 5.0
"""Seconds for each step of finding out what a port speaks."""
_NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python has no name for."""
_EXPIRED, _NOT_YET, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
_NO_AUTHORITY: Final = (2, 18, 19, 20, 21)
"""OpenSSL's codes for certificates of no known authority."""
_TOO_OLD: Final = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW")
_MOST_NAMES: Final = 8


def tls_context(settings: SmtpSettings) -> ssl.SSLContext:
    """A context that trusts the system's authorities and those of `ca_file`. Raises ConfigError if that file cannot be used."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except OSError as error:
            raise ConfigError(
                f"{settings.ca_file} cannot be used: {error.strerror or error}.",
                where="[mail.smtp] ca_file",
                hint="It must be a file of certificates in PEM form.",
            ) from error
    return context


def trusting_anybody() -> ssl.SSLContext:
    """A context that trusts any certificate, to look at a server's. Nothing is ever sent over such a connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def reached(settings: SmtpSettings, seconds: float) -> socket.socket:
    """An open connection to the first address of the server that answers. Raises OSError."""
    failed: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(settings.host.strip("[]"), settings.port, type=socket.SOCK_STREAM):
        line = socket.socket(family, kind, protocol)
        line.settimeout(seconds)
        try:
            line.connect(address)
        except ConnectionResetError:
            return line  # the server hung up at once; its words can still be read
        except OSError as error:
            failed = error
            line.close()
            continue
        with contextlib.suppress(OSError):  # as above
            # The end of the data is sent in a packet of its own; Nagle's algorithm would delay it.
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return line
    raise failed or OSError("it has no address")


def speaks_tls(settings: SmtpSettings) -> bool:
    """Whether the server begins with TLS on this port. Asks over a connection of its own; called when a server has been silent for a
    while."""
    try:
        with reached(settings, LOOK) as line, trusting_anybody().wrap_socket(line):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False


def first_words(settings: SmtpSettings) -> str:
    """The server's unencrypted greeting; empty if it sends none."""
    heard, until = b"", time.monotonic() + LOOK
    try:
        with reached(settings, LOOK) as line:
            while b"\n" not in heard and len(heard) < 1000 and (left := until - time.monotonic()) > 0:
                line.settimeout(left)
                more = line.recv(1000)
                if not more:
                    break
                heard += more
    except OSError:
        pass
    return log(heard.partition(b"\n")[0]) if heard[:3].isdigit() else ""


def begins_with_tls(settings: SmtpSettings) -> NotOpenedError:
    """The port begins with TLS, and `security` says that the connection begins unencrypted."""
    return NotOpenedError(
        f"the server on port {settings.port} speaks TLS from the first byte, and security = '{settings.security}' begins in the clear.",
        f"Set security = 'tls' in [mail.smtp], or port = 587 with security = 'starttls', {CHECK}.",
    )


def not_encrypted(error: OSError, settings: SmtpSettings, handshake: Handshake) -> NotOpenedError:
    """Why there is no encrypted connection. Connects once or twice more, to read the names in the certificate or the unencrypted
    greeting."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(error, settings, _certificate(handshake))
    reason = str(getattr(error, "reason", None) or "").upper()
    if any(old in reason for old in _TOO_OLD):
        return NotOpenedError(
            f"no encrypted connection could be made: the server's TLS is older than 1.2, which is no longer safe ({log(reason)}).",
            f"Whoever runs the server must let it speak TLS 1.2 or newer; or name another host and port, {CHECK}.",
        )
    if settings.security == "tls" and (said := first_words(settings)):
        return NotOpenedError(
            f"no encrypted connection could be made: the server on port {settings.port} begins in the clear; it says: {said}.",
            f"Set security = 'starttls' in [mail.smtp], or port = 465 with security = 'tls', {CHECK}.",
        )
    why = f"no answer to the TLS handshake within {settings.timeout:g} seconds" if isinstance(error, TimeoutError) else reason or str(error)
    return NotOpenedError(
        f"no encrypted connection could be made: {log(why)}.",
        f"security = 'tls' goes with port 465 and security = 'starttls' with port 587. Look at host and port, {CHECK}.",
        again=not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError),
    )


def _untrusted(error: ssl.SSLCertVerificationError, settings: SmtpSettings, certificate: dict[str, Any]) -> NotOpenedError:
    names, what = _names(certificate), "the mail server's certificate is not trusted: "
    for_names = f" (it is for {names})" if names else ""
    if error.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
        return NotOpenedError(
            f"{what}it is for {names or 'other names'}, and not for {settings.host}.",
            f"Write the name that the certificate has as host in [mail.smtp], if that is the server you mean, {CHECK}.",
        )
    if error.verify_code in (_EXPIRED, _NOT_YET):
        expired = error.verify_code == _EXPIRED
        day = _day(certificate, "notAfter" if expired else "notBefore")
        said = f"it {'expired' if expired else 'is not valid yet; it begins'}{f' on {day}' if day else ''}{for_names}"
        hint = f"Whoever runs {settings.host} must renew it; look whether host is the server you mean, and this machine's clock right"
        return NotOpenedError(f"{what}{said}.", f"{hint}, {CHECK}.")
    if error.verify_code in _NO_AUTHORITY:
        issuer = _common_name(certificate, "issuer")
        own = certificate.get("issuer") == certificate.get("subject") and bool(certificate)
        by = (
            "by itself (self-signed)"
            if own
            else f"by {issuer!r}, which this machine does not know"
            if issuer
            else "by nobody this machine knows"
        )
        return NotOpenedError(
            f"{what}it was issued {by}{for_names}.",
            f"Set ca_file in [mail.smtp] to the certificate of the authority that issued it, in PEM form, {CHECK}.",
        )
    return NotOpenedError(
        f"{what}{error.verify_message}{for_names}.",
        f"Write the name that the certificate has as host, or set ca_file to the certificate of the authority that issued it, {CHECK}.",
    )


def _certificate(handshake: Handshake) -> dict[str, Any]:
    """The fields of a certificate that is not trusted; empty if they cannot be read. Python parses trusted certificates only, so this one
    is trusted while it is parsed."""
    try:
        with handshake(trusting_anybody()) as line:
            encoded = line.getpeercert(binary_form=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags = ssl.VerifyFlags(context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME)
        context.load_verify_locations(cadata=encoded or b"")
        with handshake(context) as line:
            return line.getpeercert() or {}
    except (OSError, ValueError, NotOpenedError):
        return {}


def _names(certificate: dict[str, Any]) -> str:
    """The names that a certificate is for."""
    names = [str(name) for kind, name in certificate.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    names = names or [name for name in (_common_name(certificate, "subject"),) if name]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return log(", ".join(names[:_MOST_NAMES]) + more)


def _common_name(certificate: dict[str, Any], whose: str) -> str:
    parts = {key: value for part in certificate.get(whose, ()) for key, value in part}
    return log(str(parts.get("commonName") or parts.get("organizationName") or ""))


def _day(certificate: dict[str, Any], bound: str) -> str:
    text = certificate.get(bound)
    return f"{datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC):%Y-%m-%d}" if text else ""
