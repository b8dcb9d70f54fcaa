"""The one room in which folders and files are made beside what is there already, put in place, replaced and cleared away.

It removes what this program made, and nothing else, wherever a setting or an option points. What it made is known by a mark: a file
`.made-by-migrate` in the folder, which says what the folder is, its own name with a random part, and which files were written into it. A
folder with another file in it, a file that is another one by now, one that was renamed or belongs to another user is nobody's to replace.

Everything is made in a work folder first, `.<name>.tmp-<random>` beside its place, or `migrate-<random>` among the temporary files. Whoever
works in one holds a lock on its mark, so that the next command knows the work folders of the dead, and removes them. No link is followed
on the way into a folder: each is opened once, and what is in it is named from there.
"""

from __future__ import annotations

from migrate.files.marks import MARK, NotOursError, obstacle, other_owner, strange
from migrate.files.placing import adopt, create, free, make_folder, no_link_of_ours, pointed_at, put, stray, take_away
from migrate.files.sides import Side, making
from migrate.files.work import Work, inner, scratch, work_folder

__all__ = [
    "MARK",
    "NotOursError",
    "Side",
    "Work",
    "adopt",
    "create",
    "free",
    "inner",
    "make_folder",
    "making",
    "no_link_of_ours",
    "obstacle",
    "other_owner",
    "pointed_at",
    "put",
    "scratch",
    "strange",
    "stray",
    "take_away",
    "work_folder",
]
