"""Finds what makes a letter look like a phish, and statements that a playbook knows to be wrong (design §10).

It reads finished letters, since a template, a catalogue or a setting may each have caused it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from migrate.core.campaign import CampaignSettings
from migrate.mail.letter import Letter
from migrate.mail.settings import MailSettings

_LINK: Final = re.compile(r"""(?i)<a\b[^>]*\bhref\s*=\s*["']?([^"'\s>]+)""")
_ADDRESS: Final = re.compile(r"(?i)\bhttps?://[^\s<>\"']+")
_FETCHED: Final = re.compile(r"""(?i)<(?:img|iframe|link|script|object|video)\b|\burl\(\s*["']?https?:|\bsrc\s*=""")
_URGENT: Final = re.compile(
    r"(?i)\b(?:act now|urgent(?:ly)?|immediate(?:ly)? action|verify your account|will be suspended|final warning|last chance)\b"
)


def lint(letters: Iterable[tuple[str, Letter]], mail: MailSettings, campaign: CampaignSettings, never_says: Iterable[str]) -> Iterator[str]:
    """What is wrong with letters, a sentence each; the same fault is told once a kind. `letters` are pairs of a kind's name and a letter of
    that kind; `never_says` are words that are wrong in this campaign."""
    allowed = f"https://{campaign.sign_in_address}" if mail.links and campaign.sign_in_address else None
    wrong = re.compile(rf"(?i)\b(?:{'|'.join(map(re.escape, never_says))})\b") if (never_says := tuple(never_says)) else None
    said: set[tuple[str, str]] = set()
    for kind, letter in letters:
        for what in _of(letter, allowed, campaign, wrong):
            if (kind, what) not in said:
                said.add((kind, what))
                yield f"{kind}: {what}"


def _of(letter: Letter, allowed: str | None, campaign: CampaignSettings, wrong: re.Pattern[str] | None) -> Iterator[str]:
    both = f"{letter.subject}\n{letter.text}\n{letter.html}"
    for link in sorted({*_LINK.findall(letter.html), *_ADDRESS.findall(both)} - {allowed}):
        instead = (
            f"[mail] links allows {allowed} alone"
            if allowed
            else "people are told to type the address themselves, and [mail] links is false"
        )
        yield f"has the link {link}; {instead}."
    if _FETCHED.search(letter.html):
        yield "has something that must be fetched; take it away: mail programs block it, and it looks like a tracker."
    if found := _URGENT.search(both):
        yield f"says {found[0]!r}, as a phish does; say the date and what happens on it."
    if campaign.support_email not in letter.text or campaign.support_email not in letter.html:
        yield f"does not name {campaign.support_email}, whom people can ask whether it is genuine."
    if letter.reference not in letter.text or letter.reference not in letter.html:
        yield "does not have its reference, by which it can be told from a forgery."
    if wrong is not None and (found := wrong.search(both)):
        yield f"says {found[0]!r}, which the playbook {campaign.playbook!r} knows to be wrong."
