"""SHA256SUMS: the digests of the manifest, and of the manifest itself, as `sha256sum -c` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

NAME: Final = "SHA256SUMS"
SINCE: Final = 4
"""The schema version of the first evidence that has the file."""


def text(files: Mapping[str, Mapping[str, Any]], besides: Mapping[str, str]) -> bytes:
    """The file: `files` as the manifest names them, `besides` further names → SHA-256; in order of their names."""
    digests = {name: str(facts["sha256"]) for name, facts in files.items()} | dict(besides)
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())).encode()
