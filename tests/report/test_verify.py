import json
from pathlib import Path

import pytest
from report.conftest import RUN, SUMMARY, FrameChronicle

from migrate.report import evidence
from migrate.report.settings import ReportsSettings
from migrate.report.verify import verify


@pytest.fixture
def folder(chronicle: FrameChronicle, csv_only: ReportsSettings) -> Path:
    found = evidence.write(chronicle, csv_only, SUMMARY)
    assert found is not None
    return found.folder


def test_evidence_as_it_was_written_has_no_problem(folder: Path) -> None:
    assert verify(folder) == []


def test_one_changed_byte_is_found(folder: Path) -> None:
    accounts = folder / "accounts.csv"
    accounts.write_bytes(accounts.read_bytes().replace(b"sms_only", b"migrated", 1))
    assert verify(folder) == ["accounts.csv is not what was written."]


def test_a_shortened_a_missing_and_a_strange_file_are_found(folder: Path) -> None:
    (folder / "changes.csv").write_bytes(b"")
    (folder / "summary.json").unlink()
    (folder / "notes.txt").write_text("mine")
    size = json.loads((folder / "manifest.json").read_bytes())["files"]["changes.csv"]["bytes"]
    assert verify(folder) == [
        f"changes.csv has 0 bytes; {size} were written.",
        "summary.json is missing.",
        "notes.txt is no part of the evidence.",
    ]


def test_a_folder_without_a_readable_manifest_is_no_evidence(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"files": 7}')
    assert len(verify(folder)) == 1
    (folder / "manifest.json").unlink()
    assert verify(folder) == [f"{folder} holds no manifest.json."]


def test_a_predecessor_that_was_changed_is_found(chronicle: FrameChronicle, csv_only: ReportsSettings) -> None:
    from dataclasses import replace

    first = evidence.write(chronicle, csv_only, SUMMARY)
    assert first is not None
    before = replace(RUN, evidence=str(first.folder), manifest_digest=first.manifest_digest, evidence_at=chronicle.evidence_at)
    second = evidence.write(replace(chronicle, run=replace(RUN, seq=4, run_id="r00004"), previous=before), csv_only, SUMMARY)
    assert second is not None
    assert verify(second.folder) == []
    manifest = first.folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"rebuilt": false', b'"rebuilt": true'))
    assert verify(second.folder) == [f"{manifest} is not the manifest that this evidence followed."]
