"""Evidence that somebody touched is found, whatever byte, file or folder it was."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from report.conftest import RUN, SUMMARY, FrameChronicle

from migrate.errors import ConfigError
from migrate.report import evidence, signing
from migrate.report.settings import ReportsSettings
from migrate.report.verify import verify


def wrong(*places: Path, public_key: str | None = None) -> list[str]:
    """What is wrong, each with the name of its folder."""
    return [f"{each.folder.name}: {each.what}" for each in verify(places, public_key).problems]


def key_pair() -> tuple[str, str]:
    def openssl(*arguments: str, given: str = "") -> str:
        return subprocess.run(["openssl", *arguments], input=given, capture_output=True, text=True, check=True).stdout

    private = openssl("genpkey", "-algorithm", "ed25519")
    return private, openssl("pkey", "-pubout", given=private)


@pytest.fixture(scope="module")
def keys() -> tuple[str, str]:
    return key_pair()


@pytest.fixture
def folder(chronicle: FrameChronicle, csv_only: ReportsSettings) -> Path:
    found = evidence.write(chronicle, csv_only, SUMMARY)
    assert found is not None
    return found.folder


def lived(reports: ReportsSettings, runs: int) -> list[Path]:
    """The evidence of some runs, one after the other."""
    found: list[Path] = []
    before = None
    for seq in range(1, runs + 1):
        run = replace(RUN, seq=seq, run_id=f"r{seq:05}", read=seq, counts={"ledger": {"id": "1" * 32, "nonce": "2" * 16}})
        written = evidence.write(FrameChronicle(run=run, previous=before), reports, SUMMARY)
        assert written is not None
        found.append(written.folder)
        before = replace(run, evidence=str(written.folder), manifest_digest=written.manifest_digest, evidence_at=RUN.as_of)
    return found


@pytest.fixture
def chain(csv_only: ReportsSettings) -> list[Path]:
    return lived(csv_only, 5)


def test_evidence_as_it_was_written_has_no_problem(folder: Path) -> None:
    assert wrong(folder) == []


def test_a_shortened_a_missing_and_a_strange_file_are_found(folder: Path) -> None:
    (folder / "changes.csv").write_bytes(b"")
    (folder / "summary.json").unlink()
    (folder / "notes.txt").write_text("mine")
    size = json.loads((folder / "manifest.json").read_bytes())["files"]["changes.csv"]["bytes"]
    assert wrong(folder) == [
        f"{folder.name}: changes.csv has 0 bytes; {size} were written.",
        f"{folder.name}: summary.json is missing.",
        f"{folder.name}: notes.txt is no part of the evidence.",
    ]


def test_a_folder_without_a_readable_manifest_is_no_evidence(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"files": 7}')
    assert wrong(folder) == [f"{folder.name}: manifest.json is not what was written: it cannot be read."]
    (folder / "manifest.json").unlink()
    assert wrong(folder) == [f"{folder.name}: manifest.json is missing."]
    (folder / "SHA256SUMS").unlink()
    assert wrong(folder) == [f"{folder.name}: manifest.json is missing."]


@pytest.mark.parametrize(
    "changed",
    [
        {"ledger": "x"},
        {"previous": {"folder": [], "sha256": []}},
        {"previous": {"folder": "2024-01-02-r00001", "sha256": 7}},
        {"rows": {"changes": "7"}},
        {"rows": 7},
        {"schema_version": True},
    ],
)
def test_a_manifest_whose_values_are_of_another_kind_is_named_and_no_bug(changed: dict[str, Any], folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    assert wrong(folder) == [f"{folder.name}: manifest.json is not what was written: it cannot be read."]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_byte_changed_in_any_file_is_found_and_the_file_named(folder: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(1, 255)) ^ whole[at]
    path.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
    try:
        assert any(path.name in each for each in wrong(folder))
    finally:
        path.write_bytes(whole)


def test_a_chain_as_it_was_written_has_no_problem_wherever_it_is_looked_at(chain: list[Path]) -> None:
    assert wrong(chain[0].parent) == []
    assert [each.run_id for each in verify([chain[0].parent]).evidence] == ["r00001", "r00002", "r00003", "r00004", "r00005"]
    assert wrong(*chain) == []
    assert wrong(chain[3]) == []


def test_a_rebuilt_report_beside_the_evidence_is_no_link_of_the_chain(csv_only: ReportsSettings, chain: list[Path]) -> None:
    again = evidence.rebuild(FrameChronicle(run=replace(RUN, seq=2, run_id="r00002"), previous=None), csv_only, SUMMARY)
    assert again is not None
    assert wrong(csv_only.dir) == []


def test_a_folder_that_was_removed_is_missed_by_the_one_that_followed(chain: list[Path]) -> None:
    shutil.rmtree(chain[1])
    assert wrong(chain[0].parent) == [f"{chain[2].name}: the evidence that it followed is not here: {chain[1].name} was removed."]


def test_the_first_and_the_newest_folder_cannot_be_removed_either(chain: list[Path]) -> None:
    shutil.rmtree(chain[0])
    shutil.rmtree(chain[4])
    assert wrong(chain[1].parent) == [
        f"{chain[1].name}: the evidence that it followed is not here: {chain[0].name} was removed.",
        f"{chain[4].name}: the folder is not here, and latest points to it: it was removed.",
    ]


def test_evidence_that_was_moved_elsewhere_is_found_where_both_places_are_named(chain: list[Path], tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    for each in chain[:2]:
        each.rename(archive / each.name)
    assert wrong(chain[2].parent, archive) == []


def test_two_folders_that_were_exchanged_are_found(chain: list[Path]) -> None:
    chain[1].rename(chain[0].parent / "aside")
    chain[2].rename(chain[1])
    (chain[0].parent / "aside").rename(chain[2])
    found = wrong(chain[0].parent)
    assert f"{chain[1].name}: the folder's name is not that of run r00003, whose evidence it holds: it was renamed or exchanged." in found
    assert f"{chain[2].name}: the folder's name is not that of run r00002, whose evidence it holds: it was renamed or exchanged." in found


def test_a_renamed_folder_is_found(chain: list[Path]) -> None:
    chain[1].rename(chain[0].parent / "old")
    assert wrong(chain[0].parent) == [
        "old: the folder's name is not that of run r00002, whose evidence it holds: it was renamed or exchanged.",
        f"old: was called {chain[1].name} when {chain[2].name} followed it: it was renamed.",
    ]


def forge(folder: Path, old: bytes, new: bytes) -> None:
    """Edits a table and makes the manifest and the sums anew, as somebody would who knows how."""
    from migrate.files.digests import file_digest
    from migrate.report import manifest, sums

    path = folder / "accounts.csv"
    path.write_bytes(path.read_bytes().replace(old, new))
    known = json.loads((folder / "manifest.json").read_bytes())
    known["files"]["accounts.csv"] = {"sha256": file_digest(path), "bytes": path.stat().st_size}
    (folder / "manifest.json").write_bytes(manifest.canonical(known))
    (folder / "SHA256SUMS").write_bytes(sums.text(known["files"], {"manifest.json": file_digest(folder / "manifest.json")}))


def test_a_forged_folder_does_not_fit_the_one_that_followed(chain: list[Path]) -> None:
    forge(chain[2], b"sms_only", b"migrated")
    assert wrong(chain[2]) == []  # by itself it is flawless
    assert wrong(chain[2].parent) == [f"{chain[2].name}: is not the evidence that {chain[3].name} followed: it was changed or exchanged."]


def test_a_chain_that_is_cut_off_and_begun_anew_is_found(chain: list[Path]) -> None:
    from migrate.files.digests import file_digest
    from migrate.report import manifest, sums

    known = json.loads((chain[4] / "manifest.json").read_bytes()) | {"previous": None}
    (chain[4] / "manifest.json").write_bytes(manifest.canonical(known))
    (chain[4] / "SHA256SUMS").write_bytes(sums.text(known["files"], {"manifest.json": file_digest(chain[4] / "manifest.json")}))
    assert wrong(chain[4].parent) == [f"{chain[4].name}: manifest.json says that no evidence was before it, and {chain[0].name} was."]


def test_a_place_without_evidence_is_said(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match=r"holds no evidence|is no folder"):
            verify([place])


def test_a_folder_of_a_dry_run_is_passed_over(chain: list[Path]) -> None:
    (chain[0].parent / "dry-run-2024-01-02").mkdir()
    (chain[0].parent / "dry-run-2024-01-02" / "plan.json").write_text("{}")
    assert wrong(chain[0].parent) == []


def signed(chronicle: FrameChronicle, reports: ReportsSettings, key: str) -> Path:
    found = evidence.write(chronicle, reports.model_copy(update={"signing_key": SecretStr(key)}), SUMMARY)
    assert found is not None
    return found.folder


def test_a_signed_manifest_is_known_by_its_public_key(
    chronicle: FrameChronicle, csv_only: ReportsSettings, keys: tuple[str, str], tmp_path: Path
) -> None:
    folder = signed(chronicle, csv_only, keys[0])
    assert wrong(folder) == []
    assert wrong(folder, public_key=keys[1]) == []
    assert wrong(folder, public_key=key_pair()[1]) == [f"{folder.name}: manifest.json.sig is no signature of manifest.json by that key."]
    (tmp_path / "key.pub").write_text(keys[1])
    asked = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(tmp_path / "key.pub"), "-rawin"]
    asked += ["-in", str(folder / "manifest.json"), "-sigfile", str(folder / "manifest.json.sig")]
    assert "Verified Successfully" in subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    done = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=True)
    assert "manifest.json.sig: OK" in done.stdout


def test_a_forged_folder_keeps_no_signature(chronicle: FrameChronicle, csv_only: ReportsSettings, keys: tuple[str, str]) -> None:
    folder = signed(chronicle, csv_only, keys[0])
    forge(folder, b"sms_only", b"migrated")
    assert f"{folder.name}: manifest.json.sig is no signature of manifest.json by that key." in wrong(folder, public_key=keys[1])
    (folder / "manifest.json.sig").unlink()
    assert wrong(folder) == []
    assert wrong(folder, public_key=keys[1]) == [f"{folder.name}: manifest.json.sig is missing: nobody signed this."]


@pytest.mark.parametrize("text", ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_public_key_is_said(chronicle: FrameChronicle, csv_only: ReportsSettings, keys: tuple[str, str], text: str) -> None:
    folder = signed(chronicle, csv_only, keys[0])
    with pytest.raises(ConfigError, match="is no public key"):
        verify([folder], text)


@pytest.mark.parametrize("kind", ["damaged", "public"])
def test_a_key_that_cannot_sign_is_said_before_a_run(keys: tuple[str, str], kind: str) -> None:
    text = keys[1] if kind == "public" else "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    with pytest.raises(ConfigError, match=r"\[reports\] signing_key"):
        signing.ready(SecretStr(text))
