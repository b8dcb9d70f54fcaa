"""The operator's own templates (`mail.templates`): where they belong, and the languages there are texts in. Loads no template."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from migrate.core.kinds import KINDS
from migrate.files import texts
from migrate.files.resources import resource
from migrate.mail.languages import languages_in, nearest

PARTS: Final = ("subject.txt.j2", "body.txt.j2", "body.html.j2")
"""The texts of a kind of mail, each a file in the folder of that name."""
LANGUAGE: Final = "en"
"""What our texts are written in."""

_FRAME: Final = "_frame"
_TAG: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_SHOWN: Final = 3


def shipped() -> Path:
    """Our templates of mail."""
    return resource("templates") / "mail"


def mail_folder(override: Path) -> Path:
    """Where the mails are in an operator's folder: in its `mail/`, as in ours, or in the folder itself if it has none."""
    return override / "mail" if (override / "mail").is_dir() else override


def written_in(language: str, catalogues: Collection[str]) -> str:
    """The language of letters when `[campaign] language` is accepted: English of any region, one that there is a catalogue of, else the
    operator's own."""
    return nearest(language, frozenset({LANGUAGE, *catalogues})) or language


def no_texts(language: str, override: Path | None) -> str | None:
    """Why letters cannot be written in a language, as the end of a sentence; None if they can.

    Ours are English, and there are catalogues of other languages, of ours and of the operator's. Letters are in one more if an operator
    says so who has every text of every kind in words of his own.
    """
    there = languages_in(override)
    if written_in(language, there) in (LANGUAGE, *there):
        return None
    if not _TAG.fullmatch(language):
        return "is no language tag, such as 'en', 'en-GB' or 'de'"
    ours = shipped()
    names = [f"{kind}/{part}" for kind in KINDS for part in PARTS]
    lacking = names if override is None else [name for name in names if not _own(mail_folder(override) / name, ours / name)]
    if not lacking:
        return None
    more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
    still = f"; not there, or still ours: {', '.join(lacking[:_SHOWN])}{more}" if override else ""
    return (
        f"has no texts: there are those of {', '.join(map(repr, (LANGUAGE, *there)))} (and their regions, such as 'en-GB'). To write in "
        f"another language, have a catalogue, or {', '.join(PARTS[:-1])} and {PARTS[-1]} of every kind, in the folder of [mail] templates "
        f"(docs/write-mail.md){still}"
    )


def _own(path: Path, ours: Path) -> bool:
    """Whether a file is there and does not merely repeat ours, however an editor has saved it."""
    try:
        return texts.read(path) != texts.read(ours)
    except texts.NotTextError:
        return True  # which whoever reads it to make letters will say
    except OSError:
        return False


def astray(override: Path, used: Collection[str]) -> Iterator[tuple[Path, Path | None]]:
    """The files in an operator's folder that no letter is made from, each with the path at which one would be, if its name tells.

    `used` are the names of all templates that letters are made from. Hidden files are left out.
    """
    home = mail_folder(override)
    for path in sorted(override.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(override).parts)
        if hidden or not path.is_file():
            continue
        if path.is_relative_to(home) and path.relative_to(home).as_posix() in used:
            continue
        name = _meant(path.relative_to(override), used)
        yield path, home / name if name else None


def _meant(path: Path, used: Collection[str]) -> str | None:
    """The template that a file was probably meant to be, by the names of its folder and of itself."""
    folders = get_close_matches(path.parent.name, [*KINDS, _FRAME], n=1, cutoff=0.8)
    files = [name.partition("/")[2] for name in used if folders and name.startswith(f"{folders[0]}/")]
    found = get_close_matches(path.name, files, n=1, cutoff=0.8)
    return f"{folders[0]}/{found[0]}" if found else None
