"""What `migrate check` says of a realm before it is read: missing rights and what fails without them, and the cost of a read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from migrate.directory.interface import Outlook
from migrate.directory.privacyidea.rights import lacking, missing, policy, writing
from migrate.directory.privacyidea.server import CHOOSES, PAGE, Counted, PrivacyIdea
from migrate.directory.privacyidea.settings import PrivacyIdeaSettings
from migrate.directory.web.budget import Clock
from migrate.errors import DirectoryError, NotConsentedError

_SLOWLY: Final = 55
"""How many tokens a server before 3.14 lists in a second: it asks the resolver for the owner of each (100,000 took half an hour)."""
_QUICKLY: Final = 1000
_SOON: Final = timedelta(days=14)
_NAMED: Final = 5


def outlook(settings: PrivacyIdeaSettings, clock: Clock) -> Outlook:
    """Signs in, looks for the realm, and counts. Raises DirectoryError if not even that is possible."""
    server = PrivacyIdea(settings, clock)
    try:
        server.sign_in()
        wrong: list[DirectoryError] = []
        if server.rights is not None:
            wrong += [lacking(need, settings, server.who) for need in missing(server.rights, settings)]
        said = f"privacyIDEA at {settings.host} lets {server.who} in"
        warnings = [*_of_the_token(server), *_of_rights(server)]
        if wrong:
            return Outlook(said, tuple(warnings), tuple(wrong))
        realm = server.realm()
        try:
            counted = server.counted() if settings.users else None
            tokens = server.token_count()
        except NotConsentedError as error:
            return Outlook(said, tuple(warnings), (error,))
        price, minutes = priced(settings, counted, tokens, slow=realm.version < CHOOSES)
        if settings.timeout and minutes * 60 > settings.timeout:
            warnings.append(f"a read may take {minutes:,} minutes, and [directory] timeout allows {settings.timeout // 60:,}: raise it.")
        return Outlook(f"{said}; a read of realm {settings.realm} costs {price}", tuple(warnings))
    finally:
        server.close()


def priced(settings: PrivacyIdeaSettings, counted: Counted | None, tokens: int, *, slow: bool) -> tuple[str, int]:
    """The cost of a read in words, and the minutes that it takes at most."""
    pages = ceil(tokens / PAGE) or 1
    parts = [(1, "to sign in")] * (settings.token is None) + [(1, "for the realm")] + [(1, "for all users")] * settings.users
    parts += [(pages, "for pages of tokens"), (pages - 1, "to look up the last token of a page again")]
    minutes = max(ceil(tokens / (_SLOWLY if slow else _QUICKLY) / 60), 1)
    who = f"{_counted(counted.users, 'user')} and " if counted is not None else ""
    listed, calls = ", ".join(f"{count:,} {what}" for count, what in parts), sum(count for count, _ in parts)
    return f"{calls:,} calls for {who}{_counted(tokens, 'token')} ({listed}) and about {_counted(minutes, 'minute')}", minutes


def _counted(number: int, one: str) -> str:
    return f"{number:,} {one}{'s' * (number != 1)}"


def _of_the_token(server: PrivacyIdea) -> list[str]:
    if server.settings.token is None or server.ends is None or server.ends - datetime.now(UTC) > _SOON:
        return []
    ends = f"the token ends on {server.ends:%Y-%m-%d %H:%M} UTC, and every read after that fails"
    return [f"{ends}: set username and password in its place, with which one is fetched for each read."]


def _of_rights(server: PrivacyIdea) -> list[str]:
    """A warning if the administrator has rights to do more than read."""
    if not (more := writing(server.rights or ())):
        return []
    named = ", ".join(more[:_NAMED]) + (f" and {len(more) - _NAMED} more" if len(more) > _NAMED else "")
    return [f"{server.who} may do more than read, which is never needed: {named}. {policy(server.settings, server.who)}, and no other."]
