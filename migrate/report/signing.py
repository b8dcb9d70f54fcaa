"""Signs the manifest (Ed25519, RFC 8032), for operators who must prove that evidence came from one machine and no other.

The signature is the 64 bytes that `openssl pkeyutl -verify -rawin` checks as well. The cryptographic library is an extra; it is imported
only where a key is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from migrate.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import SecretStr

NAME: Final = "manifest.json.sig"
_WHERE: Final = "[reports] signing_key"
_PUBLIC: Final = "--public-key"
_HOW: Final = "`openssl genpkey -algorithm ed25519 -out evidence-key.pem` makes one."


def ready(key: SecretStr | None) -> None:
    """Raises ConfigError if manifests cannot be signed with the key. It is called before a run, so that no run ends without its
    evidence."""
    if key is not None:
        _private(key)


def sign(key: SecretStr, content: bytes) -> bytes:
    """The signature of some content: 64 bytes, the same at each call. Raises ConfigError as `ready` does."""
    signature: bytes = _private(key).sign(content)
    return signature


def signed_by(public_key: str, content: bytes, signature: bytes) -> bool:
    """Whether the holder of a public key (PEM) signed the content. Raises ConfigError if the key cannot be read."""
    ed25519, serialization = _library(_PUBLIC)
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        key = serialization.load_pem_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ed25519.Ed25519PublicKey):
        hint = "`openssl pkey -in evidence-key.pem -pubout -out evidence-key.pub` writes that of a private key."
        raise ConfigError("is no public key (Ed25519, PEM).", where=_PUBLIC, hint=hint)
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _private(key: SecretStr) -> Any:
    ed25519, serialization = _library(_WHERE)
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        found = serialization.load_pem_private_key(key.get_secret_value().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, ed25519.Ed25519PrivateKey):
        raise ConfigError("is no private key (Ed25519, PEM, without a password).", where=_WHERE, hint=_HOW)
    return found


def _library(where: str) -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        what = "signatures need the library cryptography, which is not installed."
        raise ConfigError(what, where=where, hint="Type: pip install 'sms-migrate[sign]'.") from error
    return ed25519, serialization
