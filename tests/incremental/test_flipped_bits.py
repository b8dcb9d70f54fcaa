"""One bit that fell over in what describes the cache: the run goes on as if there were none, and decides the same."""

from __future__ import annotations

import hashlib
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from incremental.test_incremental import remembered, reports
from office import Office
from variants import soak

from migrate.config import load
from migrate.files import MARK, strange
from migrate.incremental import MADE, find
from migrate.run.provenance import beside

pytestmark = pytest.mark.cache

DESCRIPTIONS = ("image.json", "origin.json", MARK)
T30, NEXT, AFTER = "2024-01-02T06:00", "2024-01-03T06:00", "2024-01-04T06:00"


@dataclass(frozen=True)
class Campaign:
    """A campaign after its first run, with changes to come, and what the next run makes of them with nothing amiss."""

    office: Office
    then: dict[str, list[tuple[Any, ...]]]
    said: dict[str, list[dict[str, str]]]

    def copied(self, to: Path) -> Office:
        shutil.copytree(self.office.folder, to, symlinks=True)
        return Office(to, people=dict(self.office.people))


def cache_of(office: Office) -> Path:
    (found,) = (each for each in (office.folder / "migrate.db.image").iterdir() if not each.name.endswith("-told"))
    return found


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    folder = tmp_path_factory.mktemp("campaign")
    office = Office(folder / "office")
    for name in ("ann", "bob", "cem", "dora"):
        office.hire(name)
    office.hire("eve", "totp")
    office.run(T30)
    office.change("ann", mfa="totp")
    office.leave("dora")
    office.hire("fay")
    untouched = Campaign(office, {}, {}).copied(folder / "untouched")
    untouched.run(NEXT)
    return Campaign(office, remembered(untouched), reports(untouched))


def flip(path: Path, byte: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)


def goes_on(campaign: Campaign, folder: Path, name: str, byte: int, bit: int) -> None:
    office = campaign.copied(folder / f"{byte}-{bit}")
    flip(cache_of(office) / name, byte, bit)
    office.run(NEXT)
    assert (remembered(office), reports(office)) == (campaign.then, campaign.said), (name, byte, bit)
    office.run(AFTER)
    shutil.rmtree(office.folder)


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_flipped_bit_in_what_describes_the_cache_changes_nothing(campaign: Campaign, name: str, tmp_path: Path) -> None:
    chance, size = random.Random(name), (cache_of(campaign.office) / name).stat().st_size
    goes_on(campaign, tmp_path, name, chance.randrange(size), chance.randrange(8))
    # No UTF-8 any more.
    goes_on(campaign, tmp_path, name, size // 2, 7)


@pytest.mark.soak
@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_flipped_bit_in_any_byte_of_what_describes_the_cache_changes_nothing(campaign: Campaign, name: str, tmp_path: Path) -> None:
    chance = random.Random(name)
    for byte in range((cache_of(campaign.office) / name).stat().st_size):
        goes_on(campaign, tmp_path, name, byte, chance.randrange(8))


@pytest.mark.parametrize("step", [3, soak(1)])
def test_no_bit_of_what_describes_the_cache_makes_another_cache_of_it_or_another_run(campaign: Campaign, tmp_path: Path, step: int) -> None:
    office = campaign.copied(tmp_path / "office")
    shutil.rmtree(office.folder / "reports")  # the cache alone speaks
    office.write()
    folder, config = cache_of(office), load(office.folder / "config.toml")
    digest = hashlib.sha256((folder / "image.json").read_bytes()).hexdigest()
    (known,) = [trace.of for trace in beside(config)]
    assert find(folder, digest) is not None and strange(folder, MADE) is None
    for name in DESCRIPTIONS:
        for number in range(0, 8 * (folder / name).stat().st_size, step):
            flip(folder / name, *divmod(number, 8))
            if name == "image.json":
                assert find(folder, digest) is None
            elif name == "origin.json":
                assert [trace.of for trace in beside(config)] in ([], [known])
            else:
                strange(folder, MADE)  # whatever it says, without an error
            flip(folder / name, *divmod(number, 8))
