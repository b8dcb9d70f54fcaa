"""What this program made is known by its mark; everything else stays as it is."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from migrate import files
from migrate.files import MARK, NotOursError

DAY = 24 * 3600


def put(final: Path, text: str = "first") -> None:
    with files.making(final, "dry run") as side:
        with side.create(side.path / "plan.csv") as file:
            file.write(text.encode())
        with side.create(side.folder("previews") / "reminder.html") as file:
            file.write(b"<p>")
        side.replace()


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every name with its mode, and its bytes or where it links to."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found


def test_a_folder_that_was_replaced_holds_the_new_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    put(tmp_path / "plan")
    put(tmp_path / "plan", "second")
    assert (tmp_path / "plan" / "plan.csv").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]
    assert {path.stat().st_mode & 0o77 for path in [tmp_path / "plan", *(tmp_path / "plan").rglob("*")]} == {0}


def test_an_empty_folder_that_was_made_is_part_of_what_may_be_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        with files.making(tmp_path / "plan", "dry run") as side:
            side.create(side.path / "plan.csv").close()
            side.folder("previews")
            side.replace()
    assert sorted(path.name for path in (tmp_path / "plan").iterdir()) == [MARK, "plan.csv", "previews"]


def other_file(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")


def other_file_deeper(folder: Path) -> None:
    (folder / "previews" / "notes.txt").write_text("mine")


def empty_folder(folder: Path) -> None:
    (folder / "attachments").mkdir()


def link(folder: Path) -> None:
    (folder / "link").symlink_to("/etc")


def link_for_a_file(folder: Path) -> None:
    (folder / "plan.csv").rename(folder.with_name("kept.csv"))
    (folder / "plan.csv").symlink_to(folder.with_name("kept.csv"))


def edited(folder: Path) -> None:
    with (folder / "plan.csv").open("a") as file:
        file.write("x")


def same_size(folder: Path) -> None:
    (folder / "plan.csv").write_text("FIRST")


def missing(folder: Path) -> None:
    (folder / "previews" / "reminder.html").unlink()


def no_mark(folder: Path) -> None:
    (folder / MARK).unlink()


def broken_mark(folder: Path) -> None:
    (folder / MARK).write_text('{"made": "dry run", "name": "plan", "random": "", "files": ["plan.csv"]}')


def linked_mark(folder: Path) -> None:
    (folder / MARK).rename(folder.with_name("mark"))
    (folder / MARK).symlink_to(folder.with_name("mark"))


def mark_that_never_ends(folder: Path) -> None:
    (folder / MARK).unlink()
    os.mkfifo(folder / MARK)


def mark_of_another_name(folder: Path) -> None:
    mark = json.loads((folder / MARK).read_text()) | {"name": "plan-2"}
    (folder / MARK).write_text(json.dumps(mark))


def mark_of_a_cache(folder: Path) -> None:
    mark = json.loads((folder / MARK).read_text()) | {"made": "image"}
    (folder / MARK).write_text(json.dumps(mark))


@pytest.mark.parametrize(
    "touched",
    [
        other_file, other_file_deeper, empty_folder, link, link_for_a_file, edited, same_size, missing, no_mark, broken_mark, linked_mark,
        mark_that_never_ends, mark_of_another_name, mark_of_a_cache,
    ],
)  # fmt: skip
def test_a_folder_of_ours_that_somebody_touched_is_never_replaced(tmp_path: Path, touched: Callable[[Path], None]) -> None:
    plan = tmp_path / "plan"
    put(plan)
    touched(plan)
    before = tree(tmp_path)
    assert files.strange(plan, "dry run")
    with pytest.raises(NotOursError):
        put(plan, "second")
    assert tree(tmp_path) == before


def test_a_folder_of_another_user_is_never_replaced_not_even_by_the_superuser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "plan")
    before = tree(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert str(files.strange(tmp_path / "plan", "dry run")).startswith("belongs to another user")
    with pytest.raises(OSError):
        put(tmp_path / "plan", "second")
    monkeypatch.undo()
    assert tree(tmp_path) == before


def test_a_folder_of_another_user_is_named_unless_it_is_the_superusers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.other_owner(tmp_path) is None
    assert files.other_owner(Path("/")) is None
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path: os.stat_result([*real(path)[:4], 54321, *real(path)[5:]]))
    assert files.other_owner(tmp_path) == "number 54321"


def test_a_folder_that_was_renamed_is_no_longer_ours_and_its_name_is_free(tmp_path: Path) -> None:
    put(tmp_path / "plan")
    (tmp_path / "plan").rename(tmp_path / "approved")
    with pytest.raises(NotOursError, match="was made as plan and has another name now"):
        put(tmp_path / "approved")
    put(tmp_path / "plan", "second")
    assert (tmp_path / "approved" / "plan.csv").read_text() == "first"


def test_a_name_with_every_letter_is_a_place(tmp_path: Path) -> None:
    for name in ("a b", "tmp-0123456789abcdef", "ünï", "x" * 255, "line\nbreak", ".hidden"):
        put(tmp_path / name)
        put(tmp_path / name, "second")
        assert (tmp_path / name / "plan.csv").read_text() == "second"


def test_of_many_at_once_the_last_one_stays_whole(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(put, tmp_path / "plan", f"number {n}") for n in range(120)]:
            done.result()
    assert (tmp_path / "plan" / "plan.csv").read_text().startswith("number")
    assert files.strange(tmp_path / "plan", "dry run") is None
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]


def test_what_changed_while_it_was_taken_away_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from migrate.files import sides

    plan, look, edits = tmp_path / "plan", sides.look, iter(["mine"])
    put(plan)

    def edit_afterwards(*asked: object) -> object:
        found = look(*asked)
        for text in edits:
            (plan / "plan.csv").write_text(text)
        return found

    monkeypatch.setattr(sides, "look", edit_afterwards)
    with pytest.raises(NotOursError, match="changed since it was written"):
        put(plan, "second")
    assert (plan / "plan.csv").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]


def test_a_failure_gives_the_folder_back_that_was_to_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from migrate.files import sides

    put(tmp_path / "plan")
    before = tree(tmp_path)

    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(sides.Side, "_put", fails)
    with pytest.raises(OSError, match="Input/output error"):
        put(tmp_path / "plan", "second")
    assert tree(tmp_path) == before


def dead(folder: Path, work: str) -> int:
    """A process that runs `work` in a folder, and is killed by it."""
    program = "import os, signal\nfrom pathlib import Path\nfrom migrate import files\nfrom migrate.files import sides\n"
    program += f"base = Path({str(folder)!r})\n"
    return subprocess.run([sys.executable, "-c", program + textwrap.dedent(work)], check=False).returncode


WRITING = """
with files.making(base / "plan", "dry run") as side:
    with side.create(side.path / "plan.csv") as file:
        file.write(b"half")
    (side.scratch / "spool").write_bytes(b"rows")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path: Path) -> None:
    assert dead(tmp_path, WRITING) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert (left / "content" / "plan.csv").read_text() == "half"
    put(tmp_path / "another")
    assert [path.name for path in tmp_path.iterdir()] == ["another"]


def test_scratch_folders_of_the_dead_are_swept_by_the_next(tmp_path: Path) -> None:
    scratch = "with files.scratch(base) as mine:\n    (mine / 'rows').write_bytes(b'rows')\n    os.kill(os.getpid(), signal.SIGKILL)"
    assert dead(tmp_path, scratch) == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    with files.scratch(tmp_path) as mine:
        assert list(tmp_path.iterdir()) == [mine]
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_put_into_the_folder_of_a_killed_process_is_kept(tmp_path: Path) -> None:
    assert dead(tmp_path, WRITING) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    (left / "content" / "thesis.txt").write_text("years of work")
    before = tree(left)
    put(tmp_path / "plan")
    assert tree(left) == before


def test_a_folder_in_which_somebody_is_at_work_is_not_swept(tmp_path: Path) -> None:
    with files.making(tmp_path / "plan", "dry run") as side:
        os.utime(side.path.parent / MARK, (0, 0))
        put(tmp_path / "another")
        side.create(side.path / "plan.csv").close()
        side.replace()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another", "plan"]


def test_a_copy_of_a_killed_processs_folder_and_one_made_by_hand_stay(tmp_path: Path) -> None:
    assert dead(tmp_path, WRITING) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    copy = tmp_path / ".plan.tmp-0123456789abcdef"
    shutil.copytree(left, copy)
    backup, linked = tmp_path / ".thesis.tmp-backup", tmp_path / ".thesis.tmp-fedcba9876543210"
    backup.mkdir()
    (backup / "thesis.txt").write_text("years of work")
    linked.symlink_to(left.name)
    for each in (copy, backup):
        os.utime(each, (0, 0))
    before = tree(copy), tree(backup)
    put(tmp_path / "another")
    assert (tree(copy), tree(backup)) == before
    assert linked.is_symlink() and not left.exists()


def test_another_hosts_folder_is_swept_only_after_a_day(tmp_path: Path) -> None:
    assert dead(tmp_path, WRITING) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    first, rest = (left / MARK).read_text().split("\n", 1)
    (left / MARK).write_text(json.dumps(json.loads(first) | {"host": "elsewhere"}) + "\n" + rest)
    put(tmp_path / "plan")
    assert left.exists()
    os.utime(left / MARK, (0, 0))
    put(tmp_path / "plan")
    assert not left.exists()


@pytest.mark.parametrize("call", ["_put", "_moved_in", "_flush", "_moved_away"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_during_a_replacement_leaves_the_old_or_the_new_and_the_next_command_the_new(tmp_path: Path, call: str, when: str) -> None:
    put(tmp_path / "plan")
    kill = f"""
    real = sides.Side.{call}
    def dies(*given):
        if {when!r} == "after":
            real(*given)
        os.kill(os.getpid(), signal.SIGKILL)
    sides.Side.{call} = dies
    with files.making(base / "plan", "dry run") as side:
        with side.create(side.path / "plan.csv") as file:
            file.write(b"second")
        side.replace()
    """
    assert dead(tmp_path, kill) == -signal.SIGKILL
    put(tmp_path / "beside")  # any command that writes there
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beside", "plan"]
    assert (tmp_path / "plan" / "plan.csv").read_text() in ("first", "second")
    assert files.strange(tmp_path / "plan", "dry run") is None
    put(tmp_path / "plan", "third")
    assert (tmp_path / "plan" / "plan.csv").read_text() == "third"


def test_a_file_handed_over_never_takes_anothers_place(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    with files.work_folder(tmp_path, "copy", "kept") as work:
        work.create("new").close()
        with pytest.raises(NotOursError, match="is there already"):
            work.hand_over("new", tmp_path, "kept")
    assert tree(tmp_path) == {"kept": ((tmp_path / "kept").lstat().st_mode, b"mine")}


def test_a_folder_exchanged_for_a_link_while_it_is_written_leads_nowhere(tmp_path: Path) -> None:
    """As somebody who owns the folder above might do: what is written stays in the folder that was made."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "plan.csv").write_text("mine")
    base = tmp_path / "base"
    with contextlib.suppress(OSError), files.making(base / "plan", "dry run") as side:
        work = side.path.parent
        work.rename(base / "away")
        work.symlink_to(victim)
        with side.create(side.path / "plan.csv") as file:
            file.write(b"ours")
        with side.create(side.path / "new.csv") as file:
            file.write(b"ours")
    assert tree(victim) == {"plan.csv": ((victim / "plan.csv").lstat().st_mode, b"mine")}


def test_a_file_is_linked_where_the_disk_allows_it_and_copied_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"records")
    files.link(source, tmp_path / "linked")
    assert (tmp_path / "linked").samefile(source)

    def refuses(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuses)
    files.link(source, tmp_path / "copied")
    assert (tmp_path / "copied").read_bytes() == b"records"
    assert not (tmp_path / "copied").samefile(source)
    assert (tmp_path / "copied").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        files.link(source, tmp_path / "copied")


def test_a_cache_of_an_earlier_version_is_marked_only_if_it_holds_just_its_files(tmp_path: Path) -> None:
    cache = tmp_path / "image"
    cache.mkdir()
    (cache / "rows.arrow").write_bytes(b"rows")
    (cache / "thesis.txt").write_bytes(b"mine")
    before = tree(tmp_path)
    assert not files.adopt(cache, "image", frozenset({"rows.arrow"}))
    assert tree(tmp_path) == before
    (cache / "thesis.txt").unlink()
    assert files.adopt(cache, "image", frozenset({"rows.arrow"}))
    assert files.strange(cache, "image") is None
