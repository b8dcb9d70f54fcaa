"""`migrate preview`: what a mail looks like, for a sample account or a real one. Nothing is sent or stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from migrate import files
from migrate.cli import browser
from migrate.cli.console import Console, warn
from migrate.core.words import CONFIRMATION
from migrate.errors import ConfigError

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.mail.letter import Letter
    from migrate.mail.sample import Sample


def preview(
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(help="The kind of mail, such as reminder or change_confirmation.")],
    language: Annotated[str | None, typer.Option(metavar="TAG", help="The recipient's language, such as de or en-US.")] = None,
    account: Annotated[str | None, typer.Option(metavar="ID", help="A real account of the ledger instead of a sample.")] = None,
    change: Annotated[str | None, typer.Option(metavar="WORD", help="Which change a change_confirmation tells of.")] = None,
    in_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    html: Annotated[bool, typer.Option("--html", help="Print the page instead of the text.")] = False,
    headers: Annotated[bool, typer.Option("--headers", help="Print the headers instead of the text.")] = False,
) -> None:
    """Render a mail for a sample or a real account; nothing is sent or stored."""
    config = ctx.obj.config()
    console = Console()
    if html + headers + in_browser > 1:
        raise ConfigError("go one at a time.", where="--html, --headers and --open")
    found = _sample(config, kind, change)
    found = found if account is None else _real(config, found, kind, account, change)
    letter = _composed(config, kind, found, language)
    if in_browser:
        _open(console, letter)
    elif html:
        console.page(letter.html)
    elif headers:
        console.page(letter.message.partition(b"\r\n\r\n")[0].decode())
    else:
        console.page(f"To: {letter.to}\nSubject: {letter.subject}\n\n{letter.text}")
    if language and not language.lower().startswith(letter.language.partition("-")[0]):
        warn(f"There are no texts for {language!r}: this is {letter.language!r}, with the dates of that region.")


def _sample(config: Config, kind: str, change: str | None) -> Sample:
    """The sample of a kind that shows most, or the sample of a change."""
    from migrate.core.kinds import KINDS
    from migrate.mail.sample import samples

    if kind not in KINDS:
        near = get_close_matches(kind, KINDS, n=3)
        raise ConfigError(
            f"there is no kind of mail called {kind!r}.", hint=f"Did you mean {' or '.join(near)}?" if near else _one_of(KINDS)
        )
    found = samples(kind, config.campaign)
    if change is None:
        return found[0]
    if kind != CONFIRMATION:
        raise ConfigError("goes with the kind change_confirmation alone.", where="--change")
    by_change = {each.facts.change: each for each in reversed(found)}
    if change not in by_change:
        raise ConfigError(f"no mail tells of {change!r}.", where="--change", hint=_one_of(sorted(str(word) for word in by_change)))
    return by_change[change]


def _real(config: Config, sample: Sample, kind: str, account: str, change: str | None) -> Sample:
    """The sample with the data of a real account."""
    from migrate.explain.account import explain
    from migrate.mail.facts import Facts
    from migrate.run.provenance import looked_at

    with looked_at(config) as ledger, ledger.read() as connection:
        found = explain(connection, config, account, datetime.now(UTC))
    person = found.account
    if person["email"] is None:
        raise ConfigError(f"account {person['account_id']} has no address.", where="--account")
    names = ("username", "display_name", "given_name", "locale", "default_method", "phone", "methods")
    facts = Facts(standing=found.standing, **{name: person[name] for name in names})
    if kind == CONFIRMATION:
        told = [each for each in found.changes if each.mailed and change in (None, each.change)]
        if not told:
            raise ConfigError(
                f"account {person['account_id']} has had no such change.", where="--account", hint="Leave --account away to see a sample."
            )
        last = told[-1]
        facts = replace(facts, change=last.change, seen_at=last.seen_at, had=last.had, methods=last.has)
        sample = replace(sample, now=last.seen_at)
    return replace(sample, facts=facts, to=person["email"])


def _composed(config: Config, kind: str, sample: Sample, language: str | None) -> Letter:
    composer = config.composer()
    facts = replace(sample.facts, locale=language) if language else sample.facts
    return composer.compose(
        kind, facts, to=sample.to, reference=sample.reference, message_id=sample.message_id, occasion=sample.occasion, now=sample.now
    )


def _open(console: Console, letter: Letter) -> None:
    """Writes the letter to a file that only its owner may read, and opens it. The file stays, since the browser may read it later."""
    path, file = files.stray("migrate-preview-", ".html")
    with file:
        file.write(letter.html.encode())
    console.say(str(path))
    browser.show(console, path)


def _one_of(words: Iterable[str]) -> str:
    return f"There are {', '.join(words)}."
