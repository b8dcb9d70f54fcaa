"""The languages of letters: gettext catalogues in `templates/locale/<language>/LC_MESSAGES/mail.po`, read with Babel (design §10).

The templates themselves are English. An operator's folder may have catalogues in its `locale/`; their messages win over ours. Catalogues
are read from text (.po), not from compiled files, so that the text can be kept with the templates that a letter was made from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from gettext import c2py
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from babel import Locale, UnknownLocaleError

from migrate.errors import TemplateError
from migrate.files.resources import resource

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

ENGLISH: Final = "en"
"""The language of our templates."""
DOMAIN: Final = "mail"
PLACES: Final = re.compile(r"%(?:%|\((\w+)\)s|(.?))")
"""A place for a value in a message, `%(name)s`; or `%%`, a per cent sign. Any other `%` is a mistake."""

_INTERNATIONAL: Final = "150"
"""Europe (UN M.49): CLDR's English for it writes the day before the month, and hours up to 24."""
_MOST: Final = 2
"""How often a translation may name a value."""
_RIGHT_TO_LEFT: Final = "right-to-left"


def file_of(language: str) -> str:
    """Where a folder of templates has a language's catalogue."""
    return f"locale/{language}/LC_MESSAGES/{DOMAIN}.po"


def languages_in(override: Path | None) -> dict[str, Path]:
    """Language → the file of its catalogue: the operator's if there is one, else ours. Reads no file."""
    found: dict[str, Path] = {}
    for folder in (resource("templates"), override):
        for path in sorted(folder.glob(file_of("*"))) if folder is not None else ():
            found[path.parent.parent.name] = path
    return found


def nearest(tag: str | None, languages: Mapping[str, object] | frozenset[str]) -> str | None:
    """The language for a BCP 47 tag. The tag is cut from its end until a language fits (RFC 4647 §3.4); None if none does."""
    known = {language.lower().replace("_", "-"): language for language in languages}
    parts = (tag or "").lower().replace("_", "-").split("-")
    return next((known[cut] for n in range(len(parts), 0, -1) if (cut := "-".join(parts[:n])) in known), None)


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The messages of one language. A message that it lacks comes out in English."""

    language: str
    messages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    plural: str = "(n != 1)"

    def gettext(self, message: str) -> str:
        return self.messages.get(message, (message,))[0]

    def ngettext(self, one: str, several: str, count: int) -> str:
        forms = self.messages.get(one)
        if forms is None:
            return one if count == 1 else several
        return forms[min(_plural(self.plural)(count), len(forms) - 1)]

    @property
    def locale(self) -> Locale:
        """How the language writes lists, dates and numbers; English conventions if Babel does not know the language."""
        try:
            return Locale.parse(self.language.replace("_", "-"), sep="-")
        except (UnknownLocaleError, ValueError):
            return Locale(ENGLISH)


@lru_cache(maxsize=64)
def _plural(expression: str) -> Callable[[int], int]:
    return c2py(expression)


def _parsed(path: Path, text: str) -> Catalog:
    from babel.messages.pofile import PoFileError, read_po

    try:
        return read_po(StringIO(text), locale=None, abort_invalid=True)
    except (PoFileError, ValueError) as error:
        raise TemplateError(f"is no catalogue: {error}.", where=str(path)) from None


def messages_of(path: Path, text: str) -> list[str]:
    """The messages in a .pot or .po file, each in its singular."""
    return [first for message in _parsed(path, text) if (first := _forms(message.id)[0])]


def _forms(text: str | Iterable[str | None] | None) -> tuple[str, ...]:
    """All forms, singular and plural, of a message or a translation. Babel gives one text, or several."""
    several = (text,) if text is None or isinstance(text, str) else text
    return tuple(each or "" for each in several)


def read_catalogue(language: str, path: Path, text: str) -> Catalogue:
    """The catalogue in a .po file. Raises TemplateError, with the line, if it is no .po file or a translation names other values than its
    message: rendering would fail, or the translation would do more with a value than print it."""
    read = _parsed(path, text)
    messages: dict[str, tuple[str, ...]] = {}
    for message in read:
        ids, said = _forms(message.id), _forms(message.string)
        if not ids[0] or message.fuzzy or not all(said):
            continue
        for form in said:
            if wrong := _other_values(ids, form):
                where = f"{path}, line {message.lineno}"
                raise TemplateError(f"{wrong} in the translation of {ids[0][:60]!r}.", where=where, hint="Name each value as it does.")
        messages[ids[0]] = said
    return Catalogue(language, messages, read.plural_expr)


def _other_values(ids: tuple[str, ...], form: str) -> str | None:
    meant = {name for text in ids for name, _ in PLACES.findall(text) if name}
    named = PLACES.findall(form)
    if any(odd for _, odd in named) or "%" in PLACES.sub("", form):
        return "a % that begins no %(name)s"
    used = [name for name, _ in named if name]
    if unknown := set(used) - meant:
        return f"%({min(unknown)})s"
    return next((f"%({name})s too often" for name in used if used.count(name) > _MOST), None)


def only_places(message: str) -> bool:
    """Whether a message has no `%` but in `%(name)s` and `%%`, which only print."""
    return not any(odd for _, odd in PLACES.findall(message)) and "%" not in PLACES.sub("", message)


@dataclass(frozen=True, eq=False)
class Wording:
    """The language of a letter, and the formats of the region that its reader's tag names. A composer has one for all tags that it reads
    alike, so two of them are the same if they are one object."""

    catalogue: Catalogue
    formats: Locale

    @property
    def language(self) -> str:
        return self.catalogue.language

    @property
    def direction(self) -> str:
        """The writing direction, as a value of HTML's `dir`."""
        return "rtl" if self.formats.character_order == _RIGHT_TO_LEFT else "ltr"


def wording(catalogue: Catalogue, tag: str | None) -> Wording:
    """A language with the formats of a BCP 47 tag's region. English without a region gets international formats."""
    own = catalogue.locale
    try:
        region = Locale.parse((tag or own.language).replace("_", "-"), sep="-").territory
    except (UnknownLocaleError, ValueError):
        region = None
    if own.language == ENGLISH:
        region = region or _INTERNATIONAL
    try:
        return Wording(catalogue, Locale(own.language, region or own.territory, own.script))
    except UnknownLocaleError:
        return Wording(catalogue, Locale(ENGLISH, _INTERNATIONAL) if own.language == ENGLISH else own)


class Catalogues:
    """The catalogues of all languages that letters may be in."""

    def __init__(self, found: Iterator[Catalogue]) -> None:
        self._known = {ENGLISH: Catalogue(ENGLISH)} | {catalogue.language: catalogue for catalogue in found}

    def of(self, language: str) -> Catalogue:
        """The catalogue of a language. It is empty for a language in which an operator has written all templates."""
        return self._known.get(language) or Catalogue(language)

    def __iter__(self) -> Iterator[Catalogue]:
        return iter(self._known.values())
