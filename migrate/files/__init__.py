"""Makes, replaces and removes folders and files; no other room does.

Only what this program made is ever replaced or removed, wherever a setting or an option points. A folder is recognised by a mark: a file
`.made-by-migrate` in it, which says what kind of folder it is, its name with a random part, and which files were written into it. A folder
is left alone if it holds another file or a changed one, was renamed, or belongs to another user.

Everything is made in a work folder first: `.<name>.tmp-<random>` beside its place, or `migrate-<random>` among the temporary files. A
command holds a lock on the mark of its work folder, so the next command can tell which work folders belong to dead processes, and removes
them. No link inside a folder is followed: a folder is opened once, and what is in it is named relative to its descriptor.
"""

from __future__ import annotations

from migrate.files.marks import MARK, NotOursError, obstacle, other_owner, strange
from migrate.files.placing import adopt, create, free, link, make_folder, no_link_of_ours, pointed_at, put, stray, take_away
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
    "link",
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
