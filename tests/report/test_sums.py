import json
import subprocess

from report.conftest import SUMMARY, FrameChronicle

from migrate.files.digests import file_digest
from migrate.report import evidence
from migrate.report.settings import ReportsSettings


def test_sha256sum_checks_every_file_of_the_evidence(chronicle: FrameChronicle, csv_only: ReportsSettings) -> None:
    found = evidence.write(chronicle, csv_only.model_copy(update={"formats": ("csv", "html", "xlsx", "parquet")}), SUMMARY)
    assert found is not None
    done = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=found.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    checked = {line.partition(":")[0] for line in done.stdout.splitlines()}
    assert checked == {path.name for path in found.folder.iterdir()} - {"SHA256SUMS"}


def test_the_sums_are_those_of_the_manifest_and_the_manifest_s_own(chronicle: FrameChronicle, csv_only: ReportsSettings) -> None:
    found = evidence.write(chronicle, csv_only, SUMMARY)
    assert found is not None
    known = json.loads((found.folder / "manifest.json").read_bytes())["files"]
    lines = dict(line.split("  ")[::-1] for line in (found.folder / "SHA256SUMS").read_text().splitlines())
    assert lines == {name: facts["sha256"] for name, facts in known.items()} | {
        "manifest.json": file_digest(found.folder / "manifest.json")
    }
    assert found.manifest_digest == lines["manifest.json"]
