"""SHA256SUMS: the digests of the files in the manifest, and of the manifest itself, in the format of `sha256sum -c`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

NAME: Final = "SHA256SUMS"
SINCE: Final = 4
"""Evidence has the file from this schema version on."""


def text(files: Mapping[str, Mapping[str, Any]], besides: Mapping[str, str]) -> bytes:
    """The contents of the file. `files` are as the manifest has them, `besides` is further names → SHA-256; in order of their names."""
    digests = {name: str(facts["sha256"]) for name, facts in files.items()} | dict(besides)
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())).encode()
