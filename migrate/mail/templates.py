"""The mail templates: finds them, lets an operator's files replace ours, inlines their CSS and compiles them, once each (design §10).

`templates/mail/<kind>/{subject.txt,body.txt,body.html}.j2` use the frame in `templates/mail/_frame/`. An operator's folder
(`mail.templates`) is laid out the same; a file found there takes the place of ours.

Mail programs drop style sheets, so every rule of `_frame/style.css` is written into the `style` attributes of the elements that it selects.
This is done once, in the template's source, with placeholders for its Jinja tags: it costs no time for each letter, and works for an
operator's page as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

import css_inline
import jinja2
from jinja2 import meta, nodes
from jinja2.bccache import Bucket
from jinja2.runtime import Context

from migrate.errors import TemplateError
from migrate.files import texts
from migrate.files.resources import resource
from migrate.mail import guides, sandbox
from migrate.mail.facts import listed
from migrate.mail.languages import Catalogue, Catalogues, languages_in, messages_of, read_catalogue
from migrate.mail.languages import file_of as locale_file
from migrate.mail.overrides import astray, mail_folder, shipped

STYLE: Final = "_frame/style.css"

_COMPILED: Final = 1024
"""Templates whose compiled code is kept."""
_LONGEST: Final = 1 << 18
"""Bytes of a template."""
_TAG: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_MASKED: Final = re.compile(r'<!--jinja(\d+)-->|&lt;!--jinja(\d+)--&gt;|jinja(\d+)x(?:="")?')
_OPEN_TAG: Final = re.compile(r"<[A-Za-z/][^<>]*\Z")


_parsed: Final[dict[tuple[str, str, str], nodes.Template]] = {}
"""Syntax trees by name, path and text. They are shared between composers, so nobody may change one."""


def _tree(env: jinja2.Environment, name: str, path: str, text: str) -> nodes.Template:
    if (found := _parsed.get((name, path, text))) is None:
        if len(_parsed) >= _COMPILED:
            _parsed.clear()
        found = _parsed[name, path, text] = env.parse(text, name, path)
    return found


class Sources:
    """Finds the file of each template and reads it. `texts` has every text that was read, by name; syntax trees are kept as well."""

    def __init__(self, override: Path | None, guide: str = "authenticator-app") -> None:
        self._override = override
        self._guide = guides.file_of(guide)
        self._catalogues = languages_in(override)
        self._folders = (shipped(),) if override is None else (_mail_folder(override), shipped())
        self.texts: dict[str, str] = {}
        self._trees: dict[str, nodes.Template] = {}

    def path(self, name: str) -> Path | None:
        """The file of a template; None if there is none, or if the name leads out of the folders.

        Raises TemplateError for a symbolic link out of the operator's folder: such a file might not be meant for letters.
        """
        if name.startswith("/") or ".." in name:
            return None
        if name.startswith("locale/"):
            found = self._catalogues.get(name.split("/")[1])
        else:
            found = next((found for folder in self._folders if (found := folder / self._in_folder(name)).is_file()), None)
        if found is None or self._override is None or not found.is_relative_to(self._override):
            return found
        meant = found.resolve()
        if not meant.is_relative_to(self._override.resolve()):
            raise TemplateError(f"is a link out of {self._override}, to {meant}.", where=str(found), hint="Copy that file into the folder.")
        return found

    def _in_folder(self, name: str) -> str:
        return self._guide if name == guides.USED else name

    def read(self, name: str) -> str:
        """A template's text. Raises TemplateError if the file is missing, too large or not UTF-8."""
        path = self.path(name)
        if path is None:
            raise TemplateError(
                f"template {name} is missing", where=str(self._folders[0]), hint="`migrate init --templates` writes a full set."
            )
        try:
            if (size := path.stat().st_size) > _LONGEST:
                raise TemplateError(f"has {size:,} bytes, and {_LONGEST:,} are the most.", where=str(path))
            text = texts.read(path)
        except texts.NotTextError as error:
            raise TemplateError(f"{error}.", where=str(path)) from None
        except OSError as error:
            raise TemplateError(f"cannot be read: {error}", where=str(path)) from error
        self.texts[name] = text
        return text

    def tree(self, env: jinja2.Environment, name: str) -> nodes.Template:
        """The syntax tree of a text that was read; it is the same in every environment. Raises TemplateSyntaxError with a line of the
        file."""
        if name not in self._trees:
            self._trees[name] = _tree(env, name, str(self.path(name)), self.texts[name])
        return self._trees[name]

    @property
    def only_ours(self) -> bool:
        """Whether the operator has no folder of templates: then all are ours, and known to compile."""
        return self._override is None

    def own(self) -> tuple[str, ...]:
        """The names of the texts that were read from the operator's folder."""
        given = {name: self.path(name) for name in sorted(self.texts)}
        if self._override is None:
            return ()
        return tuple(self._in_folder(name) for name, path in given.items() if path and path.is_relative_to(self._override))

    def changed(self) -> tuple[str, ...]:
        """The names of the templates that the operator has changed."""
        same = set(self.unchanged())
        return tuple(name for name in self.own() if name.endswith(".j2") and name not in same)

    def catalogues(self, languages: Iterable[str]) -> Catalogues:
        """The catalogues of some languages; the operator's messages win over ours. Raises TemplateError for a file that is no catalogue."""
        return Catalogues(self._catalogue(language) for language in languages)

    def _catalogue(self, language: str) -> Catalogue:
        name = locale_file(language)
        path, text = self.path(name), self.read(name)
        read = read_catalogue(language, path or Path(name), text)
        ours = resource("templates") / name
        if path == ours or not ours.is_file():
            return read
        below = read_catalogue(language, ours, texts.read(ours))
        return Catalogue(language, {**below.messages, **read.messages}, read.plural)

    def untranslated(self, catalogue: Catalogue) -> list[str]:
        """The messages of our templates that a catalogue lacks."""
        template = resource("templates") / "locale" / "mail.pot"
        return [text for text in messages_of(template, texts.read(template)) if text not in catalogue.messages]

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have a catalogue."""
        return tuple(self._catalogues)

    def own_languages(self) -> tuple[str, ...]:
        """The languages whose catalogue is in the operator's folder."""
        return tuple(each for each, path in self._catalogues.items() if self._override and path.is_relative_to(self._override))

    def unchanged(self) -> tuple[str, ...]:
        """The names of the templates whose text is ours, whether read from our folder or from the operator's copy."""
        ours = {name: shipped() / self._in_folder(name) for name in sorted(self.texts) if name.endswith(".j2")}
        same = (name for name, path in ours.items() if path.is_file() and texts.read(path) == self.texts[name])
        return tuple(map(self._in_folder, same))

    def astray(self) -> tuple[tuple[Path, Path | None], ...]:
        """The files in the operator's folder that no letter is made from, each with the path that was probably meant, or None."""
        if self._override is None:
            return ()
        used = {*map(self._in_folder, self.texts), *map(guides.file_of, guides.GUIDES), guides.SHARED}
        return tuple(each for each in astray(self._override, used) if each[0] not in self._catalogues.values())

    def misspelt(self) -> tuple[tuple[Path, Path | None], ...]:
        """The files of `astray` that are templates among the mails, with a name that none of our templates has."""
        home = self._folders[0]
        among = [each for each in self.astray() if each[0].suffix == ".j2" and each[0].is_relative_to(home)]
        return tuple(each for each in among if not (shipped() / each[0].relative_to(home)).is_file())


def _mail_folder(override: Path) -> Path:
    if not override.is_dir():
        raise TemplateError(f"{override} is no folder", where="[mail] templates", hint="`migrate init --templates` writes one.")
    return mail_folder(override)


class _Loader(jinja2.BaseLoader):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        path = self._sources.path(template)
        if path is None:
            raise jinja2.TemplateNotFound(template)
        source = self._sources.read(template)
        if template.endswith(".html.j2"):
            # Parsed before inlining, which may move lines: an error must name the line in the file.
            self._sources.tree(environment, template)
            source = inline(source, self._sources.read(STYLE), where=str(path))
        return source, str(path), None


class _Compiled(jinja2.BytecodeCache):
    """Keeps compiled templates in memory, by their text. A process that makes several composers (the demo, a test) compiles each template
    once."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if (code := self._kept.get(f"{bucket.key} {bucket.checksum}")) is not None:
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        if len(self._kept) >= _COMPILED:
            self._kept.clear()
        self._kept[f"{bucket.key} {bucket.checksum}"] = bucket.bytecode_to_string()


_TEXT, _PAGE = _Compiled(), _Compiled()
"""Two caches: with and without HTML escaping the same text compiles to different code."""


def environment(sources: Sources, catalogues: Callable[[], Catalogues], *, html: bool) -> jinja2.Environment:
    """A sandbox to compile templates in. An unknown name is an error, templates cannot change the values that they are given, and the cost
    of a text is limited (`migrate.mail.template_limits`).

    HTML and text need an environment each, because both use the macros of `_frame/words.j2`. An HTML page takes a macro's output as escaped
    already, so that in HTML the macro itself must escape its values, and in text it must not.
    """
    env = sandbox.Environment(
        loader=_Loader(sources),
        undefined=jinja2.StrictUndefined,
        autoescape=html,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        auto_reload=False,
        cache_size=-1,
        bytecode_cache=_PAGE if html else _TEXT,
    )

    def catalogue(context: Context) -> Catalogue:
        return catalogues().of(str(context.resolve("language")))

    @jinja2.pass_context
    def gettext(context: Context, message: str) -> str:
        return catalogue(context).gettext(message)

    @jinja2.pass_context
    def ngettext(context: Context, one: str, several: str, count: int) -> str:
        return catalogue(context).ngettext(one, several, count)

    @jinja2.pass_context
    def in_words(context: Context, items: Iterable[str], word: str = "and") -> str:
        return listed(items, word, catalogue(context).locale)

    @jinja2.pass_context
    def days(context: Context, count: int) -> str:
        return catalogue(context).ngettext("%(num)s day", "%(num)s days", count) % {"num": count}

    env.install_messages(gettext, ngettext)
    env.add_filter("listed", in_words)
    env.add_filter("days", days)
    return env


def compiled(env: jinja2.Environment, sources: Sources, name: str) -> jinja2.Template:
    """A template, compiled together with all templates that it uses. Raises TemplateError with the file and the line."""
    try:
        template = env.get_template(name)
        for used in _used_by(sources.tree(env, name)):
            if used not in sources.texts:
                compiled(env, sources, used)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"line {error.lineno}: {error.message}", where=error.filename or error.name) from error
    except jinja2.TemplateNotFound as error:
        sources.read(str(error.name))
        raise
    return template


def parsed(env: jinja2.Environment, sources: Sources, name: str) -> None:
    """Reads a template and all templates that it uses, and compiles none."""
    sources.read(name)
    if name.endswith(".html.j2"):
        sources.read(STYLE)
    for used in _used_by(sources.tree(env, name)):
        if used not in sources.texts:
            parsed(env, sources, used)


def trees(env: jinja2.Environment, sources: Sources, name: str) -> dict[str, nodes.Template]:
    """The syntax trees of a compiled template and of all templates that it uses, by name."""
    found: dict[str, nodes.Template] = {}
    waiting = [name]
    while waiting:
        this = waiting.pop()
        if this not in found:
            found[this] = sources.tree(env, this)
            waiting += _used_by(found[this])
    return found


@lru_cache(maxsize=_COMPILED)
def _used_by(tree: nodes.Template) -> tuple[str, ...]:
    return tuple(name for name in meta.find_referenced_templates(tree) if name is not None)


def _charset_first(page: str) -> str:
    """Moves the style sheet to the end of the head: browsers look for the character set in the first 1024 bytes only."""
    return re.sub(r"(<head[^>]*>)(<style>.*?</style>)(.*?)(</head>)", r"\1\3\2\4", page, count=1, flags=re.DOTALL)


def inline(source: str, css: str, *, where: str) -> str:
    """An HTML template's source with the rules of `css` written into `style` attributes. At-rules stay in the `<style>` of a whole page.

    Selectors match elements of the same file only. Jinja tags may stand between elements, in text and in the values of attributes.
    """
    tags: list[str] = []
    masked: list[str] = []
    at = 0
    for found in _TAG.finditer(source):
        masked.append(source[at : found.start()])
        at = found.end()
        inside_an_element = _OPEN_TAG.search("".join(masked))
        statement = found[0].startswith(("{%", "{#")) and not inside_an_element
        masked.append(f"<!--jinja{len(tags)}-->" if statement else f"jinja{len(tags)}x")
        tags.append(found[0])
    masked.append(source[at:])
    page = "".join(masked)
    inliner = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False, extra_css=css)
    is_whole = re.search(r"<html\b", page, re.IGNORECASE) is not None
    styled = _charset_first(inliner.inline(page)) if is_whole else inliner.inline_fragment(page, "")
    seen: list[int] = []

    def unmask(found: re.Match[str]) -> str:
        number = int(next(group for group in found.groups() if group is not None))
        seen.append(number)
        return tags[number]

    unmasked = _MASKED.sub(unmask, styled)
    if seen != list(range(len(tags))):
        lost = next((tags[n] for n in range(len(tags)) if seen.count(n) != 1), tags[0])
        raise TemplateError(
            f"{lost} stands where HTML allows none",
            where=where,
            hint="Put it around whole elements, or inside an attribute's value or a text.",
        )
    return unmasked
