"""The manifest: the list of the files of evidence, by which anybody can check later that they are unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from migrate import outside
from migrate.files.digests import file_digest
from migrate.ledger.identity import manifest_facts
from migrate.report.chronicle import Chronicle
from migrate.report.tables import SCHEMA_VERSION

NAME: Final = "manifest.json"


def build(chronicle: Chronicle, folder: Path, rows: Mapping[str, int], digests: Mapping[str, str], *, rebuilt: bool) -> dict[str, Any]:
    """The manifest of the files in `folder`; `rows` counts the rows of each table. `digests` are the SHA-256 of files that were digested
    while they were written; the other files are read."""
    run, before = chronicle.run, chronicle.previous
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "migrate", "version": run.tool_version},
        "campaign": chronicle.terms.campaign,
        "rebuilt": rebuilt,
        "evidence_at": instant(chronicle.evidence_at),
        **manifest_facts(run),
        "directory": {
            "source": run.directory,
            "fingerprint": run.directory_fingerprint,
            "read_at": instant(run.directory_read_at),
            "rows": run.read,
            "rejected": run.rejected,
            "caveats": list(run.counts.get("caveats", ())),
        },
        "configuration_digest": run.config_digest,
        "templates_digest": run.mail_digest,
        "previous": before and {"run_id": before.run_id, "folder": Path(before.evidence or "").name, "sha256": before.manifest_digest},
        "rows": dict(rows),
        "files": {
            path.name: {"sha256": digests.get(path.name) or file_digest(path), "bytes": path.stat().st_size}
            for path in sorted(folder.iterdir())
        },
    }


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON with the same bytes for the same values: sorted keys, indented by two spaces, UTF-8, one line end at the end."""
    return (outside.json_text(value, sort_keys=True) + "\n").encode()


def instant(moment: datetime) -> str:
    """An instant as all reports write it: `2024-01-30T14:00:00Z`, with microseconds only where they are not zero."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
