"""Prefilled letters: the fast way to a letter (docs/decisions/0008)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Final

from migrate.mail.addresses import invited_as
from migrate.mail.facts import Facts
from migrate.mail.plain import PlainLetters, UnrenderableError, Wanted
from migrate.mail.prefilled.blanks import only_prints
from migrate.mail.prefilled.skeleton import Filled, Skeleton, fits, marked, missing, slot, steady

_KEPT: Final = 2000
"""Skeletons that are kept, those that were used last: more than the ways in which the letters of a day differ in most companies. One takes
about 20 KB and the time of a hundred letters."""
_PERSONAL: Final = frozenset({"username", "display_name", "given_name", "phone"})
"""The facts that become personal values. Letters that share a skeleton agree in all other facts; of the locale, in what is worded by it."""
_shared_facts: Final = attrgetter(*(fact.name for fact in fields(Facts) if fact.name not in _PERSONAL | {"locale"}))


class PrefilledLetters:
    """Fills personal values into skeletons, which it makes with `plain` when the first letter needs one.

    Nothing but speed depends on it: `letter` gives the bytes that `plain.letter` would give.
    """

    def __init__(self, plain: PlainLetters) -> None:
        self._plain = plain
        self._only_print: dict[str, bool] = {}
        self._skeletons: OrderedDict[Hashable, Skeleton | None] = OrderedDict()
        self._today = lru_cache(maxsize=16)(plain.campaign.today)

    def letter(self, wanted: Wanted) -> Filled | None:
        """The letter; None if it must be written the plain way."""
        person = wanted.person
        if wanted.rehearsal_for or not (self.fills(wanted.kind) and fits(person)):
            return None
        is_steady = steady(person)
        now, cutoff = wanted.now, wanted.cutoff
        shared = (_shared_facts(wanted.facts), self._plain.wording(wanted.facts.locale), invited_as(wanted.facts.username) is not None)
        key = (wanted.kind, missing(person), is_steady, shared, self._today(now), cutoff, now >= cutoff)
        try:
            skeleton = self._skeletons[key]
            self._skeletons.move_to_end(key)
        except KeyError:  # also if another thread has just dropped it
            skeleton = self._skeletons[key] = self._skeleton(wanted, is_steady=is_steady)
            if len(self._skeletons) > _KEPT:
                self._skeletons.popitem(last=False)
        return skeleton.fill(wanted) if skeleton else None

    def fills(self, kind: str) -> bool:
        """Whether letters of a kind can be filled in: whether its templates only print personal values. Worked out once."""
        if kind not in self._only_print:
            self._only_print[kind] = only_prints(self._plain.trees(kind))
        return self._only_print[kind]

    def _skeleton(self, wanted: Wanted, *, is_steady: bool) -> Skeleton | None:
        """The skeleton of all letters that differ from this one in personal values alone; None if its templates cannot be rendered."""
        person = wanted.person
        try:
            rendered = self._plain.rendered(wanted, marked(person, html=False), marked(person, html=True))
        except UnrenderableError:
            return None  # the plain way tells what is wrong, for each letter
        headers = self._plain.headers(wanted._replace(address=slot("address"), reference=slot("reference"), occasion=slot("occasion")))
        return Skeleton.of(headers, rendered, is_steady=is_steady)
