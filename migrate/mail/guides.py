"""The guides: the set-up steps that a letter prints, and the sentences that go with them (design §10).

A guide is added by one file, `templates/mail/_guides/<name>.j2`, and one line here.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

GUIDES: Final[dict[str, str]] = {
    "authenticator-app": "an authenticator app of one's choice: scan a QR code, enter the code that the app shows",
    "entra-passkey": "a passkey in Microsoft Entra ID, by way of Security info",
    "entra-authenticator": "the Microsoft Authenticator app in Microsoft Entra ID, by way of Security info",
}
"""Name → what people set up with it."""

USED: Final = "_guides/used.j2"
"""The name by which templates import the campaign's guide, whichever it is."""

SHARED: Final = "_guides/_entra.j2"
"""The template that the guides for Entra ID share."""


def file_of(guide: str) -> str:
    """The template that a guide's texts are in."""
    return f"_guides/{guide}.j2"


def checked_guide(name: str) -> str:
    """The name unchanged, if there is such a guide. Raises ValueError, which names the near one or lists them all."""
    if name in GUIDES:
        return name
    near = get_close_matches(name, GUIDES, n=1)
    raise ValueError("is no guide; " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(GUIDES)}"))
