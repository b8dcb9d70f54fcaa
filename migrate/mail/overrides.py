"""The operator's own templates (`mail.templates`): where they belong, and in which languages there are texts. Loads no template."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from migrate.core.kinds import KINDS
from migrate.files import texts
from migrate.files.resources import resource
from migrate.mail.languages import ENGLISH, languages_in, nearest

PARTS: Final = ("subject.txt.j2", "body.txt.j2", "body.html.j2")
"""The three templates of a kind of mail, files in the folder with the kind's name."""

_FRAME: Final = "_frame"
_TAG: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_SHOWN: Final = 3


def shipped() -> Path:
    """The folder of our mail templates."""
    return resource("templates") / "mail"


def mail_folder(override: Path) -> Path:
    """The folder of mails in an operator's folder: its `mail/` if there is one, else the folder itself."""
    return override / "mail" if (override / "mail").is_dir() else override


def written_in(language: str, catalogues: Collection[str]) -> str:
    """The language of letters for an accepted `[campaign] language`: "en" for English of any region, else the nearest language with a
    catalogue, else the language itself, in which the operator then writes all templates."""
    return nearest(language, frozenset({ENGLISH, *catalogues})) or language


def no_texts(language: str, override: Path | None) -> str | None:
    """Why letters cannot be written in a language, as the end of a sentence; None if they can.

    They can be in English, in a language with a catalogue (ours or the operator's), and in any language if the operator has written every
    template of every kind.
    """
    there = languages_in(override)
    if written_in(language, there) in (ENGLISH, *there):
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
        f"has no texts: there are those of {', '.join(map(repr, (ENGLISH, *there)))} (and their regions, such as 'en-GB'). To write in "
        f"another language, have a catalogue, or {', '.join(PARTS[:-1])} and {PARTS[-1]} of every kind, in the folder of [mail] templates "
        f"(docs/write-mail.md){still}"
    )


def _own(path: Path, ours: Path) -> bool:
    """Whether a file exists and differs from ours in more than line ends and the like."""
    try:
        return texts.read(path) != texts.read(ours)
    except texts.NotTextError:
        return True  # the composer reports it when it reads the file
    except OSError:
        return False


def astray(override: Path, used: Collection[str]) -> Iterator[tuple[Path, Path | None]]:
    """The files in an operator's folder that no letter is made from, each with the path that its author probably meant, or None.

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
    """The template that a file was probably meant to be, judged by the names of the file and its folder."""
    folders = get_close_matches(path.parent.name, [*KINDS, _FRAME], n=1, cutoff=0.8)
    files = [name.partition("/")[2] for name in used if folders and name.startswith(f"{folders[0]}/")]
    found = get_close_matches(path.name, files, n=1, cutoff=0.8)
    return f"{folders[0]}/{found[0]}" if found else None
