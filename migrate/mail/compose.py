"""Composing: a notice's facts become a letter (design §10). The fast way (`prefilled`) goes first; where it gives none, the plain way
does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from migrate import outside
from migrate.core.campaign import CampaignSettings
from migrate.core.kinds import KINDS
from migrate.errors import TemplateError
from migrate.mail.addresses import wire
from migrate.mail.facts import Facts
from migrate.mail.languages import ENGLISH, Catalogues, Wording, nearest, wording
from migrate.mail.letter import Letter
from migrate.mail.overrides import written_in
from migrate.mail.person import person_of
from migrate.mail.plain import PlainLetters, UnrenderableError, Wanted
from migrate.mail.prefilled import PrefilledLetters
from migrate.mail.sample import Sample, samples
from migrate.mail.settings import MailSettings
from migrate.mail.templates import Sources
from migrate.mail.values import campaign_words
from migrate.outside import HeaderText

__all__ = ["Composer", "UnrenderableError"]

_TAGS: Final = 1024
"""Language tags whose wordings are kept. A directory has some dozens; a column with other things in it has any number."""


class Composer:
    """Composes the letters of a campaign. Making it raises TemplateError if a template does not compile.

    `sources` holds the texts of all templates in use, by name, and under `settings` the values of the configuration that a letter shows
    or is sent with (no secrets). `digest` is their SHA-256: equal digests and equal arguments give equal letters.
    `files` knows which template came from where, and `language` is the campaign's.
    With `redirect_to`, in a rehearsal, every letter goes to that address; its text is the person's, and its subject names the person's
    address.
    """

    def __init__(self, mail: MailSettings, campaign: CampaignSettings, redirect_to: str | None = None) -> None:
        self._campaign = campaign
        self.redirect_to = redirect_to
        self.files = Sources(mail.templates, campaign.guide)
        self.wording = lru_cache(maxsize=_TAGS)(self._wording_of)
        """The wording for a reader with a BCP 47 tag (`_wording_of`); those of the tags used last are kept."""
        self._catalogues = Catalogues(iter(()))
        self._plain = PlainLetters(mail, campaign, self.files, catalogues=lambda: self._catalogues, wording=self.wording)
        self._prefilled = PrefilledLetters(self._plain)
        self.language = written_in(campaign.language, self.files.languages)
        self.languages = self._written_languages()
        self._catalogues = self.files.catalogues(each for each in self.files.languages if each in self.languages)
        self._different_wordings: dict[tuple[str, str], Wording] = {}
        self._envelope_from = mail.envelope_address
        settings: dict[str, dict[str, Any]] = {
            "mail": _mail_values(mail),
            "campaign": {**campaign_words(campaign, mail), "timezone": campaign.timezone},
        }
        if redirect_to:
            settings["safety"] = {"redirect_to": redirect_to}
        if self.language != ENGLISH:
            settings["campaign"]["language"] = self.language
        used = {**self.files.texts, "settings": json.dumps(settings, sort_keys=True)}
        self.sources = dict(sorted(used.items()))
        self.digest = hashlib.sha256(json.dumps(self.sources).encode()).hexdigest()

    @property
    def kept(self) -> str:
        """The `sources` as one text, from which `migrate.mail.recompose` makes an equal composer."""
        return json.dumps(self.sources, sort_keys=True)

    def _written_languages(self) -> frozenset[str]:
        """The languages of letters: all that there are texts in. If an operator changed a template, our catalogues no longer fit it: then
        only the campaign's language is left, and those that the operator has catalogues of."""
        if self.files.changed():
            return frozenset({self.language, *self.files.own_languages()})
        return frozenset({self.language, ENGLISH, *self.files.languages})

    def _wording_of(self, tag: str | None) -> Wording:
        """The wording for a reader with a BCP 47 tag: the nearest language there is, else the campaign's.

        Tags that lead to the same language and the same formats have one wording.
        """
        language = nearest(tag, self.languages) or self.language
        found = wording(self._catalogues.of(language), tag)
        return self._different_wordings.setdefault((found.language, str(found.formats)), found)

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
        Raises UnrenderableError if a template asks for something unknown, or makes a subject that is empty or of several lines.
        """
        address, rehearsal_for = _one_address(to), None
        if self.redirect_to:
            address, rehearsal_for = _one_address(self.redirect_to), address
        wanted = Wanted(
            kind=kind,
            facts=facts,
            person=person_of(facts, to, reference),
            address=address,
            rehearsal_for=rehearsal_for,
            reference=outside.header(reference),
            occasion=outside.header(occasion),
            message_id=message_id,
            now=now,
            cutoff=cutoff or self._campaign.cutoff_at,
        )
        return Letter(
            to=address,
            envelope_from=self._envelope_from,
            content=self._prefilled.letter(wanted) or self._plain.letter(wanted),
            language=self.wording(facts.locale).language,
            reference=reference,
            needs_smtputf8=not address.isascii(),
        )

    def try_all(self, *, every_language: bool = False) -> Iterator[tuple[str, Letter]]:
        """A letter for every sample of every kind, with the kind's name, in the campaign's language or in every one that there is.

        Raises TemplateError with the file, the line and the variable. Raises it as well for a file in the operator's folder that no letter
        uses: its name is most likely misspelt, and our template would be sent instead.
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
        """Tries the operator's templates. Raises TemplateError, with file and line, for one that makes too much text or takes too long.

        Any other mistake in a template only holds back the letters that it concerns.
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
        lacking = {say.language: self.files.untranslated(say) for say in self._catalogues if say.language != ENGLISH}
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


def _one_address(to: str) -> HeaderText:
    try:
        address = wire(to)
    except ValueError as error:
        raise UnrenderableError(f"the address has an impossible domain: {error}", variable="to") from error
    if not address.isprintable():
        raise UnrenderableError("the address has a line break or a control character in it", variable="to")
    return outside.header(address)


def _mail_values(mail: MailSettings) -> dict[str, Any]:
    brand = mail.brand.model_dump(exclude_none=True)
    return {"from": mail.sender, "envelope_from": mail.envelope_address, "reply_to": mail.reply_to} | ({"brand": brand} if brand else {})
