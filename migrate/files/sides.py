"""A folder that is written in a work folder first, and moved to its place in one step when all of it is on the disk."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO, Final

from migrate.files.marks import FOLDER, MARK, NEW, NotOursError, digest, entered, look, placed, sealed, seen, state, walk
from migrate.files.placing import make_folder
from migrate.files.work import CONTENT, OLD, SCRATCH, Work, work_folder

_TAKEN: Final = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)
_TRIES: Final = 100


class Side:
    """A folder while it is written. `path`: the folder to come. `scratch`: a folder for files that are needed only meanwhile."""

    def __init__(self, work: Work, made: str, name: str, stack: ExitStack, *, private: bool) -> None:
        self._work, self._made, self._name, self._stack = work, made, name, stack
        self._private = private
        self.path = work.path / CONTENT
        self.scratch = work.path / SCRATCH
        self._folders: dict[Path, int] = {}
        for path in (self.path, self.scratch):
            self._enter(path, work.fd)

    def _enter(self, path: Path, holder: int) -> None:
        os.mkdir(path.name, 0o700 if self._private else 0o777, dir_fd=holder)
        self._folders[path] = os.open(path.name, FOLDER, dir_fd=holder)
        self._stack.callback(os.close, self._folders[path])

    def folder(self, name: str) -> Path:
        """A new folder within the one to come."""
        path = self.path / name
        self._enter(path, self._folders[path.parent])
        return path

    def create(self, path: Path) -> BinaryIO:
        """A new file in `path`, `scratch` or a folder made by `folder`."""
        self._note(path)
        mode = 0o600 if self._private else 0o666
        return os.fdopen(os.open(path.name, NEW, mode, dir_fd=self._folders[path.parent]), "w+b")

    def take(self, source: Path, name: str) -> None:
        """Takes a file from elsewhere into the folder to come: by a hard link if the disk allows one, else as a copy."""
        self._note(self.path / name)
        source.chmod(0o600)
        try:
            os.link(source, name, dst_dir_fd=self._folders[self.path], follow_symlinks=False)
        except OSError:  # another disk, or one without links
            with source.open("rb") as whole, self.create(self.path / name) as file:
                shutil.copyfileobj(whole, file)

    def drop(self, name: str) -> None:
        """Removes a file that was made in the folder to come."""
        os.unlink(name, dir_fd=self._folders[self.path])

    def _note(self, path: Path) -> None:
        if path.is_relative_to(self.path):
            self._work.note(str(path.relative_to(self.path)))

    def place(self, name: str | None = None) -> None:
        """Flushes the folder to the disk and moves it to its place, under its name or the given one. Raises NotOursError if the name is
        taken; an empty folder is replaced."""
        name = name or self._name
        self._flush()
        self._put(name)
        os.fsync(self._work.base)

    def replace(self, *, compared: bool = True) -> None:
        """Like `place`, but with a mark, and replaces a folder that an earlier `replace` put there and nobody has changed since. Anything
        else there is a NotOursError, and stays. If two commands do this at once, the last one wins.

        `compared` is false for a cache: it may be replaced later whatever its files contain by then, and is not flushed to the disk.
        """
        content = self._folders[self.path]
        files: dict[str, str | None] = {}
        for at, status, holder in walk(content):
            if stat.S_ISDIR(status.st_mode):
                files[f"{at}/"] = None
            else:
                files[at] = digest(holder, at.rpartition("/")[2]) if compared else None
        with os.fdopen(os.open(MARK, NEW, 0o600, dir_fd=content), "wb") as file:
            file.write(sealed(self._made, self._name, self._work.path.name.rpartition("-")[2], files))
        if compared:
            self._flush()
        for number in range(_TRIES):
            aside = f"{OLD}{number:03}"
            try:
                if self._moved_away(aside) and self._moved_in():
                    return
            except BaseException:
                self._move_back(aside)
                raise
        raise NotOursError(self._work.path.parent / self._name, "is replaced all the time by somebody else")

    def _flush(self) -> None:
        for at, status, holder in walk(self._folders[self.path]):
            if stat.S_ISREG(status.st_mode):
                file = os.open(at.rpartition("/")[2], os.O_RDONLY | os.O_NOFOLLOW, dir_fd=holder)
                try:
                    os.fsync(file)
                finally:
                    os.close(file)
        for folder in (*self._folders.values(), self._work.fd):
            os.fsync(folder)

    def _put(self, name: str) -> None:
        try:
            os.rename(CONTENT, name, src_dir_fd=self._work.fd, dst_dir_fd=self._work.base)
        except OSError as error:
            if error.errno in _TAKEN:
                raise NotOursError(self._work.path.parent / name, "is there already") from None
            raise

    def _moved_away(self, aside: str) -> bool:
        """Moves what is at the place into the work folder, if it may be replaced. False if it changed meanwhile: then look again."""
        base, name = self._work.base, self._name
        try:
            there = look(base, name, self._made)
            if there.why is not None:
                raise NotOursError(self._work.path.parent / name, there.why)
            if not there.state:
                return True
            os.rename(name, aside, src_dir_fd=base, dst_dir_fd=self._work.fd)
        except FileNotFoundError:
            return False
        with entered(self._work.fd, aside) as old:
            if state(old) == there.state:
                return True
        # Another command like this one may have replaced it meanwhile; then that one may be replaced too.
        if look(self._work.fd, aside, self._made, name).why is None:
            return True
        self._move_back(aside)
        return False

    def _moved_in(self) -> bool:
        """Moves the new folder to its place. False if something has appeared there meanwhile."""
        try:
            self._put(self._name)
        except NotOursError:
            return False
        os.fsync(self._work.base)
        return True

    def _move_back(self, aside: str) -> None:
        """Moves the old folder back if the new one did not get its place; under a name with a number if the name is taken by now."""
        base, name = self._work.base, self._name
        if seen(self._work.fd, CONTENT) is not None and seen(self._work.fd, aside) is not None:
            vacant = (each for each in chain([name], (f"{name}-{number}" for number in count(2))) if seen(base, each) is None)
            os.rename(aside, next(vacant), src_dir_fd=self._work.fd, dst_dir_fd=base)


@contextmanager
def making(final: Path, made: str, *, private: bool = True) -> Iterator[Side]:
    """A folder to write (`Side`) that will be at `final`; its parents are made. On exit it is removed, unless `place` or `replace` moved it
    to its place. Raises OSError."""
    parent, name = placed(final)
    if not name:
        raise NotOursError(final, "is the root of the file system")
    make_folder(parent)
    with work_folder(parent, made, name, whole=False) as work, ExitStack() as stack:
        yield Side(work, made, name, stack, private=private)
