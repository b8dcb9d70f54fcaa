"""Certificates of an authority of our own, and of others."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


@cache
def authority() -> trustme.CA:
    return trustme.CA(organization_name="Our Authority")


def ca_file(folder: Path) -> Path:
    path = folder / "ca.pem"
    authority().cert_pem.write_to_path(str(path))
    return path


def server_context(*names: str, not_after: datetime | None = None) -> ssl.SSLContext:
    """TLS of a server whose certificate is of our authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(*(names or ("localhost", "127.0.0.1")), not_after=not_after).configure_cert(context)
    return context


def self_signed(folder: Path, name: str = "localhost") -> ssl.SSLContext:
    pem = folder / "self.pem"
    pem.write_text(key_and_certificate(name))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@cache
def key_and_certificate(name: str = "migrate", *, rsa_key: bool = False) -> str:
    """A private key and its self-signed certificate, as one PEM text."""
    key = rsa.generate_private_key(65537, 2048) if rsa_key else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=10))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private.decode() + certificate.public_bytes(serialization.Encoding.PEM).decode()
