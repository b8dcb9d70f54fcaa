"""A small disk that really gets full. A pytest plugin, as `peers`: the fixture `disk`."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from peers import missing

_SIZE = 48 << 20
_SHARED = Path("/dev/shm")


@dataclass(frozen=True)
class Disk:
    """A folder on a disk of its own, and a file beside it that fills what is left."""

    folder: Path
    _filler: Path

    def leave(self, room: int) -> None:
        """Fills the disk but for so many bytes (whole pages)."""
        self.empty()
        with self._filler.open("wb") as file:
            while (more := self.room() - room) > 0:
                with contextlib.suppress(OSError):  # somebody else was quicker, and took some of it
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, more)

    def room(self) -> int:
        """Bytes that are left."""
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def empty(self) -> None:
        """Makes room."""
        self._filler.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def _small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tmpfs, mounted where that is allowed; or the shared memory of a container, which is small."""
    place = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=700", "small", str(place)]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        subprocess.run(mount, check=True, capture_output=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)
        return
    if not _SHARED.is_dir() or shutil.disk_usage(_SHARED).total > 4 * _SIZE:
        missing("no small disk: a tmpfs may not be mounted here, and there is no small /dev/shm; run the tests as root")
    with tempfile.TemporaryDirectory(dir=_SHARED) as name:
        yield Path(name)


@pytest.fixture
def disk(_small_disk: Path) -> Iterator[Disk]:
    """An empty disk."""
    with tempfile.TemporaryDirectory(dir=_small_disk) as name:
        made = Disk(Path(name), _small_disk / "filler")
        try:
            yield made
        finally:
            made.empty()
