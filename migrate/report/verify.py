"""Checking evidence: are these still the files that were written, and is the evidence before them still the one they followed?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from migrate.files.digests import file_digest
from migrate.report import manifest


def verify(folder: Path) -> list[str]:
    """What is wrong with an evidence folder, a sentence each; nothing if it is as it was written.

    Its predecessor is checked as well where it stands beside it; that it was moved away is no fault.
    """
    try:
        known: dict[str, Any] = json.loads((folder / manifest.NAME).read_bytes())
        files: dict[str, dict[str, Any]] = known["files"]
        previous: dict[str, str] | None = known["previous"]
    except FileNotFoundError:
        return [f"{folder} holds no {manifest.NAME}."]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return [f"{folder / manifest.NAME} cannot be read: {error}."]
    problems = []
    for name, facts in sorted(files.items()):
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing.")
        elif path.stat().st_size != facts["bytes"]:
            problems.append(f"{name} has {path.stat().st_size} bytes; {facts['bytes']} were written.")
        elif file_digest(path) != facts["sha256"]:
            problems.append(f"{name} is not what was written.")
    strange = {path.name for path in folder.iterdir()} - {*files, manifest.NAME}
    problems += [f"{name} is no part of the evidence." for name in sorted(strange)]
    if previous:
        before = folder.parent / previous["folder"] / manifest.NAME
        if before.is_file() and file_digest(before) != previous["sha256"]:
            problems.append(f"{before} is not the manifest that this evidence followed.")
    return problems
