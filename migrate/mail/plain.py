"""The plain way to a letter: its templates are rendered for it alone, and EmailMessage puts the message together.

It is slow (half a millisecond and more) and right by construction. `migrate.mail.prefilled` is the fast way, and must give the same bytes.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple

import jinja2
from jinja2 import nodes

from migrate import outside
from migrate.core.campaign import CampaignSettings
from migrate.core.kinds import KINDS
from migrate.errors import MigrateError
from migrate.mail import template_limits
from migrate.mail.facts import Facts
from migrate.mail.languages import Catalogues, Wording
from migrate.mail.letter import assemble
from migrate.mail.overrides import PARTS
from migrate.mail.person import Person
from migrate.mail.settings import MailSettings
from migrate.mail.templates import Sources, compiled, environment, parsed, trees
from migrate.mail.values import TemplateValues
from migrate.outside import HeaderText

_UNDEFINED: Final = re.compile(r"'([^']+)' is undefined|has no (?:attribute|element) '?([^']+?)'?$")


class UnrenderableError(MigrateError):
    """One letter cannot be composed; others still can. `overrun`: its template makes too much text or takes too long."""

    exit_code = 2

    def __init__(self, what: str, *, where: str | None = None, variable: str | None = None, overrun: bool = False) -> None:
        super().__init__(what, where=where)
        self.variable, self.overrun = variable, overrun


class Wanted(NamedTuple):
    """A letter that is to be written. `now` and `cutoff` are UTC instants.

    `address` is where it goes. In a rehearsal `rehearsal_for` is the address where it would go otherwise; the subject then names it.
    """

    kind: str
    facts: Facts
    person: Person
    address: HeaderText
    rehearsal_for: HeaderText | None
    reference: HeaderText
    occasion: HeaderText
    message_id: str
    now: datetime
    cutoff: datetime


class Written(NamedTuple):
    """The content of a letter that was rendered for it alone."""

    subject: str
    text: str
    html: str
    message: bytes


class Rendered(NamedTuple):
    """What a letter's three templates printed. `subject` is one line that is not empty."""

    subject: str
    text: str
    html: str


class PlainLetters:
    """Writes letters one by one. Making it raises TemplateError if a template does not compile.

    `catalogues` and `wording` (the wording for a BCP 47 tag) are first asked when a letter is written.
    """

    def __init__(
        self,
        mail: MailSettings,
        campaign: CampaignSettings,
        files: Sources,
        *,
        catalogues: Callable[[], Catalogues],
        wording: Callable[[str | None], Wording],
    ) -> None:
        self.campaign = campaign
        self._files = files
        self.wording = wording
        self._values = TemplateValues(campaign, mail, wording)
        text, html = (environment(files, catalogues, html=html) for html in (False, True))
        self._parts = {kind: [(html if ".html" in part else text, f"{kind}/{part}") for part in PARTS] for kind in KINDS}
        self._templates: dict[str, tuple[jinja2.Template, ...]] = {}
        for kind, parts in self._parts.items():
            if files.only_ours:  # compiled once a letter needs them: most days need few kinds, or none
                for env, name in parts:
                    parsed(env, files, name)
            else:
                self._compile(kind)
        self._from = mail.sender_header
        self._reply_to = {"Reply-To": mail.reply_to_header} if mail.reply_to_header else {}

    def _compile(self, kind: str) -> tuple[jinja2.Template, ...]:
        """Compiles a kind's templates. Two threads may do so at once: they make the same."""
        self._templates[kind] = tuple(compiled(env, self._files, name) for env, name in self._parts[kind])
        return self._templates[kind]

    def letter(self, wanted: Wanted) -> Written:
        """The letter. Raises UnrenderableError."""
        subject, text, html = self.rendered(wanted, wanted.person, wanted.person)
        if wanted.rehearsal_for:
            subject = f"[Rehearsal for {wanted.rehearsal_for}] {subject}"
        message = assemble(self.headers(wanted), subject=subject, text=text, html=html, message_id=wanted.message_id, date=wanted.now)
        return Written(subject, text, html, message)

    def rendered(self, wanted: Wanted, in_text: Person, in_html: Person) -> Rendered:
        """The letter's templates, rendered with the personal values `in_text` (subject and text) and `in_html`. Raises UnrenderableError
        if a template asks for something unknown, or makes a subject that is empty or of several lines."""
        values = self._values.of(wanted.kind, wanted.facts, in_text, wanted.now, wanted.cutoff)
        html_values = values if in_html is in_text else self._values.of(wanted.kind, wanted.facts, in_html, wanted.now, wanted.cutoff)
        templates = self._templates.get(wanted.kind) or self._compile(wanted.kind)
        each = zip(templates, (values, values, html_values), strict=True)
        subject, text, html = (_render(template, given) for template, given in each)
        return Rendered(self._one_line(subject.strip(), f"{wanted.kind}/{PARTS[0]}"), text, html)

    def headers(self, wanted: Wanted) -> dict[str, HeaderText]:
        """The headers that a letter has besides those that `assemble` writes."""
        return {
            "From": self._from,
            "To": wanted.address,
            **self._reply_to,
            "Auto-Submitted": HeaderText("auto-generated"),
            "X-Auto-Response-Suppress": HeaderText("OOF, AutoReply"),
            "X-Migrate-Campaign": outside.header(self.campaign.name),
            "X-Migrate-Kind": HeaderText(wanted.kind),
            "X-Migrate-Occasion": wanted.occasion,
            "X-Migrate-Reference": wanted.reference,
            "Content-Language": outside.header(self.wording(wanted.facts.locale).language),
        }

    def trees(self, kind: str) -> tuple[nodes.Template, ...]:
        """The syntax trees of everything that a kind's letters are rendered from."""
        read = {name: tree for env, part in self._parts[kind] for name, tree in trees(env, self._files, part).items()}
        return tuple(read.values())

    def _one_line(self, subject: str, name: str) -> str:
        if subject and outside.is_one_line(subject):
            return subject
        where = str(self._files.path(name))
        if not subject:
            raise UnrenderableError("the subject is empty", where=where, variable="subject")
        raise UnrenderableError("the subject has a line break or a control character in it", where=where, variable="subject")


def _render(template: jinja2.Template, values: dict[str, Any]) -> str:
    try:
        with template_limits.one_text():
            return template.render(values)
    except template_limits.TooMuchError as error:
        raise UnrenderableError(f"{error.message}.", where=_place(error, template), overrun=True) from error
    except (RecursionError, OverflowError, MemoryError) as error:
        said = f"{type(error).__name__}: {error}"
        raise UnrenderableError(said, where=_place(error, template), overrun=True) from error
    except jinja2.UndefinedError as error:
        named = _UNDEFINED.search(error.message or "")
        variable = (named[1] or named[2]) if named else None
        raise UnrenderableError(f"{error.message}", where=_place(error, template), variable=variable) from error
    except Exception as error:
        # An operator's template can fail in any way. That holds back this letter and must not stop the run.
        raise UnrenderableError(f"{type(error).__name__}: {error}", where=_place(error, template)) from error


def _place(error: Exception, template: jinja2.Template) -> str:
    """The file and line of a template at which rendering failed."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else str(template.filename)
