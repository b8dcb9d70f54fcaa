"""Files that ship with the tool: found in the installed wheel or, in a checkout, at the repository's root."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def resource(name: str) -> Path:
    """The path of a shipped file or folder, such as `templates` or `config.example.toml`; FileNotFoundError if there is none."""
    for root in (_PACKAGE / "_resources", _PACKAGE.parent):
        if (path := root / name).exists():
            return path
    raise FileNotFoundError(f"{name} is missing from this installation of migrate")
