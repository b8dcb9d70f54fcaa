"""Composing: a notice's facts become a letter (design §10). Templates are loaded once, letters that
differ in nothing but their persons are rendered once, and one is then made in the fraction of a millisecond."""

from __future__ import annotations

import hashlib
import json
import re
import traceback
from collections.abc import Hashable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import jinja2

from migrate import outside
from migrate.core.campaign import CampaignSettings
from migrate.core.kinds import KINDS
from migrate.errors import MigrateError, TemplateError
from migrate.mail import budget
from migrate.mail.addresses import invited_as, wire
from migrate.mail.blanks import OF_ACCOUNT, OF_LETTER, only_prints
from migrate.mail.facts import BY_PHONE, Facts, label, one
from migrate.mail.languages import Catalogues, Wording, nearest, wording
from migrate.mail.letter import Letter, assemble
from migrate.mail.moments import is_last_day, last_moment, moment_text
from migrate.mail.overrides import LANGUAGE, PARTS, written_in
from migrate.mail.sample import Sample, samples
from migrate.mail.settings import MailSettings
from migrate.mail.skeleton import Filled, Person, Skeleton, fits, marked, missing, slot, steady
from migrate.mail.templates import Sources, compiled, environment, trees
from migrate.outside import HeaderText, LetterText

_WEAK: Final = ("email_otp", "unknown", "other")
"""Methods that no letter tells people to go on with if they have another one."""
_UNDEFINED: Final = re.compile(r"'([^']+)' is undefined|has no (?:attribute|element) '?([^']+?)'?$")
_LONGEST_USERNAME: Final = 254
_SKELETONS: Final = 1000
"""How many are kept: many more than the ways in which accounts of one day differ."""


class UnrenderableError(MigrateError):
    """A letter cannot be composed from its facts; only that account is concerned. `overrun`: its template makes too much, or takes too
    long."""

    exit_code = 2

    def __init__(self, what: str, *, where: str | None = None, variable: str | None = None, overrun: bool = False) -> None:
        super().__init__(what, where=where)
        self.variable, self.overrun = variable, overrun


class Composer:
    """Everything needed to compose letters of a campaign. Making one raises TemplateError if a template does not compile.

    `sources` are the texts of all templates in use, by name, and under `settings` the values of the configuration that a letter shows
    or is sent with (no secrets); `digest` is their SHA-256. Equal digests and equal arguments give equal letters.
    `files` tells which template came from where, and `language` is what letters are written in.
    With `redirect_to`, in a rehearsal, every letter goes to that address. It says what it would say to the person, whose address the
    subject names.
    """

    def __init__(self, mail: MailSettings, campaign: CampaignSettings, redirect_to: str | None = None) -> None:
        self._campaign = campaign
        self.redirect_to = redirect_to
        self.files = Sources(mail.templates, campaign.guide)
        self._catalogues = Catalogues(iter(()))
        text, html = (environment(self.files, lambda: self._catalogues, html=html) for html in (False, True))
        self._parts = {kind: [(html if ".html" in part else text, f"{kind}/{part}") for part in PARTS] for kind in KINDS}
        self._templates: dict[str, tuple[jinja2.Template, ...]] = {
            kind: tuple(compiled(env, self.files, name) for env, name in parts) for kind, parts in self._parts.items()
        }
        self.language = written_in(campaign.language, self.files.languages)
        self.languages = self._written_languages()
        self._catalogues = self.files.catalogues(each for each in self.files.languages if each in self.languages)
        self._wordings: dict[str | None, Wording] = {}
        self._alike: dict[str, bool] = {}
        self._skeletons: dict[Hashable, Skeleton | None] = {}
        self._campaign_words = _campaign_words(campaign, mail)
        self._brand = mail.brand.model_dump()
        self._from, self._envelope_from = mail.sender_header, mail.envelope_address
        self._reply_to = {"Reply-To": mail.reply_to_header} if mail.reply_to_header else {}
        settings: dict[str, dict[str, Any]] = {
            "mail": _mail_values(mail),
            "campaign": {**self._campaign_words, "timezone": campaign.timezone},
        }
        if redirect_to:
            settings["safety"] = {"redirect_to": redirect_to}
        if self.language != LANGUAGE:
            settings["campaign"]["language"] = self.language
        used = {**self.files.texts, "settings": json.dumps(settings, sort_keys=True)}
        self.sources = dict(sorted(used.items()))
        self.digest = hashlib.sha256(json.dumps(self.sources).encode()).hexdigest()

    @property
    def kept(self) -> str:
        """The `sources` as one text, from which `migrate.mail.recompose` makes an equal composer."""
        return json.dumps(self.sources, sort_keys=True)

    def _written_languages(self) -> frozenset[str]:
        """What letters are written in: all languages that there are texts of. Templates in an operator's own words have none but the
        campaign's language and those that the operator has catalogues of."""
        if self.files.changed():
            return frozenset({self.language, *self.files.own_languages()})
        return frozenset({self.language, LANGUAGE, *self.files.languages})

    def wording(self, tag: str | None) -> Wording:
        """How letters speak to somebody with a BCP 47 tag: in the nearest language there is, else in the campaign's."""
        if tag not in self._wordings:
            language = nearest(tag, self.languages) or self.language
            self._wordings[tag] = wording(self._catalogues.of(language), tag)
        return self._wordings[tag]

    def compose(
        self,
        kind: str,
        facts: Facts,
        *,
        to: str,
        reference: str,
        message_id: str,
        occasion: str,
        now: datetime,
        cutoff: datetime | None = None,
    ) -> Letter:
        """The letter of one notice to one address; in a rehearsal it goes to another one.

        `now` and `cutoff` (the account's own if it has one, else the campaign's) are UTC instants; days left are counted from `now`.
        UnrenderableError if a template asks for something unknown, or makes a subject that is empty or of several lines.
        """
        cutoff = cutoff or self._campaign.cutoff_at
        address, person = _one_address(to), _person(facts, to, reference)
        marks = outside.header(reference), outside.header(occasion)
        language = self.wording(facts.locale).language
        skeleton = self._skeleton(kind, facts, person, now, cutoff) if self._is_alike(kind) and fits(person) else None
        if skeleton is None:
            context = self._context(kind, facts, person, now, cutoff)
            written, text, html = (self._render(template, context) for template in self._templates[kind])
            filled = Filled(written, text, html, None)
        else:
            slots = {"address": address, "reference": marks[0], "occasion": marks[1]}
            filled = skeleton.fill(person, slots, message_id=message_id, date=now)
        subject = self._one_line(filled.subject.strip(), f"{kind}/{PARTS[0]}")
        if self.redirect_to:
            subject, address = f"[Rehearsal for {address}] {subject}", _one_address(self.redirect_to)
        message = filled.message
        if message is None:
            headers = self._headers(kind, language, address, *marks)
            message = assemble(headers, subject=subject, text=filled.text, html=filled.html, message_id=message_id, date=now)
        return Letter(
            to=address,
            envelope_from=self._envelope_from,
            subject=subject,
            text=filled.text,
            html=filled.html,
            language=language,
            reference=reference,
            message=message,
            needs_smtputf8=not address.isascii(),
        )

    def _headers(self, kind: str, language: str, address: HeaderText, reference: HeaderText, occasion: HeaderText) -> dict[str, HeaderText]:
        return {
            "From": self._from,
            "To": address,
            **self._reply_to,
            "Auto-Submitted": HeaderText("auto-generated"),
            "X-Auto-Response-Suppress": HeaderText("OOF, AutoReply"),
            "X-Migrate-Campaign": outside.header(self._campaign.name),
            "X-Migrate-Kind": HeaderText(kind),
            "X-Migrate-Occasion": occasion,
            "X-Migrate-Reference": reference,
            "Content-Language": outside.header(language),
        }

    def _is_alike(self, kind: str) -> bool:
        """Whether letters of a kind differ in their persons' values alone; found out when the first of them is composed."""
        if kind not in self._alike:
            read = {name: tree for env, part in self._parts[kind] for name, tree in trees(env, self.files, part).items()}
            self._alike[kind] = self.redirect_to is None and only_prints(read.values())
        return self._alike[kind]

    def _skeleton(self, kind: str, facts: Facts, person: Person, now: datetime, cutoff: datetime) -> Skeleton | None:
        """The skeleton of all letters that agree in everything but their persons' values; None if it cannot be written."""
        said = (
            facts.standing,
            facts.methods,
            facts.default_method,
            facts.change,
            facts.had,
            facts.seen_at,
            facts.locale,
            facts.earlier_cutoff,
            invited_as(facts.username) is not None,
        )
        are_steady = steady(person)
        key = (kind, missing(person), are_steady, said, self._campaign.today(now), cutoff, now >= cutoff)
        try:
            return self._skeletons[key]
        except KeyError:
            pass
        contexts = [self._context(kind, facts, marked(person, html=html), now, cutoff) for html in (False, False, True)]
        try:
            subject, text, html = (self._render(*each) for each in zip(self._templates[kind], contexts, strict=True))
            language = self.wording(facts.locale).language
            headers = self._headers(kind, language, slot("address"), slot("reference"), slot("occasion"))
            subject = self._one_line(subject.strip(), f"{kind}/{PARTS[0]}")
            skeleton: Skeleton | None = Skeleton.of(headers, subject, text, html, are_steady=are_steady)
        except UnrenderableError:
            skeleton = None  # each letter is then written for itself, and its own mistake told
        if len(self._skeletons) >= _SKELETONS:
            self._skeletons.clear()
        self._skeletons[key] = skeleton
        return skeleton

    def try_all(self, *, every_language: bool = False) -> Iterator[tuple[str, Letter]]:
        """A letter for every sample of every kind, with the kind's name; TemplateError names the file, the line and the variable.
        They are in the campaign's language, or in each that letters are written in.

        Also raises for a file in the operator's folder that no letter uses: most likely its name is misspelt, and ours would be sent.
        """
        if unused := self.files.misspelt():
            path, meant = unused[0]
            others = f" Nor is any of these used: {', '.join(str(other) for other, _ in unused[1:])}." if unused[1:] else ""
            hint = f"Letters are made from {meant}." if meant else f"The kinds are {', '.join(KINDS)}."
            raise TemplateError("no letter uses this template.", where=str(path), hint=hint + others)
        for kind, sample in self._samples(every_language=every_language):
            try:
                letter = self._of_sample(kind, sample)
            except UnrenderableError as error:
                raise TemplateError(error.what, where=error.where) from error
            yield kind, letter

    def refuse_overruns(self) -> None:
        """Tries the operator's templates, if there are any: TemplateError, by file and line, for one that makes too much or takes too long.

        Any other mistake holds back the letters that it is in.
        """
        for kind, sample in self._samples(every_language=True) if self.files.own() else ():
            try:
                self._of_sample(kind, sample)
            except UnrenderableError as error:
                if error.overrun:
                    hint = "Type `migrate check` when it is mended."
                    raise TemplateError(error.what, where=error.where, hint=hint) from error

    def untranslated(self) -> dict[str, list[str]]:
        """Language → the texts that its catalogue lacks; languages that lack none are left out."""
        lacking = {say.language: self.files.untranslated(say) for say in self._catalogues if say.language != LANGUAGE}
        return {language: texts for language, texts in lacking.items() if texts}

    def _samples(self, *, every_language: bool) -> Iterator[tuple[str, Sample]]:
        for kind in KINDS:
            for language in (None, *(sorted(self.languages - {self.language}) if every_language else ())):
                for sample in samples(kind, self._campaign):
                    yield kind, sample if language is None else replace(sample, facts=replace(sample.facts, locale=language))

    def _of_sample(self, kind: str, sample: Sample) -> Letter:
        return self.compose(
            kind,
            sample.facts,
            to=sample.to,
            reference=sample.reference,
            message_id=sample.message_id,
            occasion=sample.occasion,
            now=sample.now,
        )

    def _context(self, kind: str, facts: Facts, person: Person, now: datetime, cutoff: datetime) -> dict[str, Any]:
        """What templates are given. Only what is in `person` differs between letters of one skeleton (see `_skeleton`)."""
        formats = self.wording(facts.locale)
        say = formats.catalogue
        moment = last_moment(cutoff, self._campaign, formats)
        by_phone = dict.fromkeys(say.gettext(words) for method in facts.methods for words in BY_PHONE.get(method, ()))
        others = [method for method in facts.methods if method not in BY_PHONE and method != "backup_code"]
        otherwise = [one(method, say) for method in others if method not in _WEAK] or [one(method, say) for method in others]
        return {
            "kind": kind,
            "language": formats.language,
            "direction": formats.direction,
            "brand": self._brand,
            "campaign": self._campaign_words,
            "account": {
                **{name: person[name] for name in OF_ACCOUNT},
                "standing": facts.standing,
                "methods": [label(method, say) for method in facts.methods],
                "default_method": one(facts.default_method, say) if facts.default_method in facts.methods else None,
                "is_guest": invited_as(facts.username) is not None,
                "has_second_step": any(method != "backup_code" for method in facts.methods),
                "by_phone": list(by_phone) or [say.gettext("text message")],
                "otherwise": otherwise or [one("other", say)],
            },
            "change": self._change(facts) if facts.change else None,
            "moved": self._moved(facts.earlier_cutoff, cutoff, facts.locale) if facts.earlier_cutoff else None,
            "cutoff": {
                "day": moment.day,
                "on": moment.on,
                "until": moment.until,
                "is_today": is_last_day(cutoff, self._campaign, now),
                "has_passed": now >= cutoff,
            },
            "days_left": (self._campaign.today(cutoff) - self._campaign.today(now)).days,
            **{name: person[name] for name in OF_LETTER},
        }

    def _moved(self, earlier: datetime, cutoff: datetime, locale: str | None) -> dict[str, Any]:
        """What a correction corrects: the last usable moment that was told before, and whether there is more time now."""
        return {"told": last_moment(earlier, self._campaign, self.wording(locale)).until, "later": cutoff > earlier}

    def _change(self, facts: Facts) -> dict[str, Any]:
        words = self.wording(facts.locale)
        return {
            "name": facts.change,
            "seen": moment_text(facts.seen_at, self._campaign, words) if facts.seen_at else None,
            "gained": [label(method, words.catalogue) for method in facts.methods if method not in facts.had],
            "lost": [label(method, words.catalogue) for method in facts.had if method not in facts.methods],
        }

    def _render(self, template: jinja2.Template, context: dict[str, Any]) -> str:
        try:
            with budget.one_text():
                return template.render(context)
        except budget.TooMuchError as error:
            raise UnrenderableError(f"{error.message}.", where=_place(error, template), overrun=True) from error
        except (RecursionError, OverflowError, MemoryError) as error:
            said = f"{type(error).__name__}: {error}"
            raise UnrenderableError(said, where=_place(error, template), overrun=True) from error
        except jinja2.UndefinedError as error:
            named = _UNDEFINED.search(error.message or "")
            variable = (named[1] or named[2]) if named else None
            raise UnrenderableError(f"{error.message}", where=_place(error, template), variable=variable) from error
        except Exception as error:
            # What an operator's template computes can fail in any way; it must hold this letter back and not stop the run.
            raise UnrenderableError(f"{type(error).__name__}: {error}", where=_place(error, template)) from error

    def _one_line(self, subject: str, name: str) -> str:
        if subject and outside.is_one_line(subject):
            return subject
        where = str(self.files.path(name))
        if not subject:
            raise UnrenderableError("the subject is empty", where=where, variable="subject")
        raise UnrenderableError("the subject has a line break or a control character in it", where=where, variable="subject")


def _person(facts: Facts, to: str, reference: str) -> Person:
    return {
        "name": facts.greeting_name,
        "username": outside.letter(invited_as(facts.username) or facts.username, _LONGEST_USERNAME),
        "phone": outside.shared_letter(facts.phone) if facts.phone else None,
        "reference": LetterText(reference),
        "to": outside.letter(to, _LONGEST_USERNAME),
    }


def _one_address(to: str) -> HeaderText:
    try:
        address = wire(to)
    except ValueError as error:
        raise UnrenderableError(f"the address has an impossible domain: {error}", variable="to") from error
    if not address.isprintable():
        raise UnrenderableError("the address has a line break or a control character in it", variable="to")
    return outside.header(address)


def _place(error: Exception, template: jinja2.Template) -> str:
    """The file and line of a template at which rendering failed."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else str(template.filename)


def _campaign_words(campaign: CampaignSettings, mail: MailSettings) -> dict[str, Any]:
    return {
        "name": campaign.name,
        "organization": campaign.organization,
        "product": campaign.product,
        "settings_path": list(campaign.settings_path),
        "support_email": campaign.support_email,
        "support_phone": campaign.support_phone,
        "at_cutoff": campaign.at_cutoff,
        "guide": campaign.guide,
        "steps": list(campaign.steps),
        "sign_in_address": campaign.sign_in_address,
        "sign_in_link": f"https://{campaign.sign_in_address}" if mail.links and campaign.sign_in_address else None,
    }


def _mail_values(mail: MailSettings) -> dict[str, Any]:
    brand = mail.brand.model_dump(exclude_none=True)
    return {"from": mail.sender, "envelope_from": mail.envelope_address, "reply_to": mail.reply_to} | ({"brand": brand} if brand else {})
