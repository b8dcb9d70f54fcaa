"""Opens a page in the browser of the person who typed the command."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from migrate.cli.console import Console


def show(console: Console, page: Path) -> None:
    """Opens a page, and says so if no browser could be started."""
    if not webbrowser.open(page.resolve().as_uri()):
        console.need(f"No browser could be started here: open {page} yourself.")
