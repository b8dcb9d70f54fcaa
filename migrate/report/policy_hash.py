"""The hash by which a page's content security policy allows a script or a style that stands in the page."""

from __future__ import annotations

import base64
import hashlib


def source_hash(source: str) -> str:
    """The name of a script or style in a content security policy: its hash."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
