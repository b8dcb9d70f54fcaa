"""What one person may do about their second step on a day. Pure: a user, a mood and a random generator in; what happened and the changed
user out.

How likely somebody is to switch depends on who they are (`_TEMPERAMENTS`), on how lately they were mailed, and on how near the cutoff is.
The result looks like a real campaign: many switch after each mail and at the end, and some never do until the cutoff.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from random import Random
from typing import Final, Literal

from migrate.demo.calendar import MAIL_DAYS
from migrate.demo.config import CAMPAIGN
from migrate.demo.people import APP, CODES, KEY, MODERN, PUSH, SMS, TELEPHONE, WORDS, User, fictional_number, moment

What = Literal[
    "switched", "set_up", "changed_default", "dropped_sms", "back_to_sms", "replaced_phone", "turned_off", "moved_to_sso", "joined", "left",
    "id_reused", "disabled", "enabled", "married", "moved_domain", "vanished", "came_back", "cut_off",
]  # fmt: skip

PHRASES: Final[dict[What, str]] = {  # each follows a number
    "switched": "switched from text messages to an authenticator",
    "set_up": "set up an authenticator, having had no second step",
    "changed_default": "had both, and made the authenticator their default",
    "dropped_sms": "removed text messages, having an authenticator",
    "back_to_sms": "went back to text messages",
    "replaced_phone": "replaced a phone and set their authenticator up again",
    "turned_off": "turned two-step verification off",
    "moved_to_sso": "moved to single sign-on",
    "joined": "joined",
    "left": "left",
    "id_reused": "joined under the id of somebody who had left",
    "disabled": "disabled",
    "enabled": "enabled again",
    "married": "changed their name and address",
    "moved_domain": "moved to another mail domain",
    "vanished": "missing from a faulty export",
    "came_back": "back in the next export",
    "cut_off": "lost text messages at the cutoff",
}


@dataclass(frozen=True, slots=True)
class Mood:
    """What a day is like for everybody: `eagerness` multiplies the chance to switch, `pace` the chance of anything (1 on a working day)."""

    day: date
    eagerness: float
    pace: float


def mood(day: date) -> Mood:
    """The mood of a day: livelier just after a mail and near the cutoff, slower at weekends and on holidays."""
    since_mail = min(((day - mailed).days for mailed in MAIL_DAYS if mailed <= day), default=99)
    eagerness = {0: 5.0, 1: 3.0, 2: 2.0}.get(since_mail, 1.0)
    if 0 < (CAMPAIGN.cutoff_date - day).days <= 3:
        eagerness *= 2.0
    quiet = day.weekday() >= 5 or (day.month, day.day) in ((12, 24), (12, 25), (12, 26), (12, 31), (1, 1))
    return Mood(day, eagerness, 0.4 if quiet else 1.0)


_TEMPERAMENTS: Final = ((28, 0.030), (36, 0.014), (22, 0.006), (14, 0.0))
"""(share of the people, chance to switch on an ordinary day). The last group never switches."""


def _willingness(user: User) -> float:
    """A person's own chance to switch on an ordinary day. It never changes, whatever their row says."""
    return _nature(user.id, user.login)


@lru_cache(maxsize=4096)
def _nature(account_id: str, login: str) -> float:
    nature = Random(f"{account_id}:{login}")
    return nature.choices([chance for _, chance in _TEMPERAMENTS], [share for share, _ in _TEMPERAMENTS])[0]


def daily(user: User, mood: Mood, random: Random) -> tuple[What, User] | None:
    """What a person did on a day and their row after it, or None: on most days people do nothing."""
    if not user.human:
        return None
    if not user.active:
        return ("enabled", replace(user, active=True)) if random.random() < 0.004 * mood.pace else None
    if random.random() < 0.00015 * mood.pace:
        return "disabled", replace(user, active=False)
    if user.sso:
        return None
    at = moment(mood.day, random)
    if not user.methods & MODERN:
        return _without_authenticator(user, mood, random, at)
    if user.methods & TELEPHONE:
        return _with_both(user, mood, random, at)
    return _with_authenticator(user, mood, random, at)


def _without_authenticator(user: User, mood: Mood, random: Random, at: str) -> tuple[What, User] | None:
    chance = _willingness(user) * mood.eagerness * mood.pace
    if not user.methods - {CODES}:
        # nothing to switch from: before the cutoff few see a reason, after it the missing second step is felt at every sign-in
        chance *= 3.0 if mood.day >= CAMPAIGN.cutoff_date else 0.3
    elif not user.methods & TELEPHONE:
        return None
    if random.random() >= chance:
        return ("turned_off", user.using(frozenset(), None, at)) if random.random() < 0.0001 * mood.pace else None
    new = random.choices((APP, PUSH, KEY), (75, 20, 5))[0]
    if not user.methods & TELEPHONE:
        return "set_up", user.using(user.methods | {new}, new, at)
    draw = random.random()
    if draw < 0.30:
        return "switched", user.using(user.methods - TELEPHONE | {new}, new, at)
    default = new if draw < 0.82 else user.mfa_default
    return "switched", user.using(user.methods | {new}, default, at)


def _with_both(user: User, mood: Mood, random: Random, at: str) -> tuple[What, User] | None:
    new = next(word for word in WORDS if word in user.methods & MODERN)
    if user.mfa_default not in TELEPHONE:
        return ("dropped_sms", user.using(user.methods - TELEPHONE, new, at)) if random.random() < 0.012 * mood.pace else None
    if random.random() >= _willingness(user) * mood.eagerness * mood.pace:
        return None
    if random.random() < 0.5:
        return "changed_default", replace(user, mfa_default=new, last_login=at)
    return "dropped_sms", user.using(user.methods - TELEPHONE, new, at)


def _with_authenticator(user: User, mood: Mood, random: Random, at: str) -> tuple[What, User] | None:
    draw = random.random() / mood.pace
    if draw < 0.0007:
        return "replaced_phone", user.using(user.methods, user.mfa_default, at)
    if draw < 0.0012 and mood.day < CAMPAIGN.cutoff_date:
        number = user.mobile or fictional_number(random)
        kept = user.methods if random.random() < 0.4 else user.methods - MODERN
        return "back_to_sms", replace(user.using(kept | {SMS}, SMS, at), mobile=number)
    if draw < 0.0013:
        return "turned_off", user.using(frozenset(), None, at)
    return None
