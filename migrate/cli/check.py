"""`migrate check`: tries everything that a run will need, and says what is wrong and what to type next."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from migrate.cli.console import Console, Json, Quiet, Style, on_terminal
from migrate.cli.crontab import judged, lines_in, of_another_clock, zone_of_host
from migrate.errors import ConfigError, GuardError, LedgerError, MigrateError, first_of

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.core.timetable import Line

State = Literal["ok", "warning", "wrong"]

_STYLES: Final[dict[State, Style]] = {"ok": "green", "warning": "yellow", "wrong": "red"}
_REPEATED: Final = ("read", "rejected", "rejected_known", "rejections", "advice", "caveats", "directory_as_of", "cron")
"""The JSON of a check repeats these facts of the directory's read, and the fate of each stage under the lines of a crontab."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: the `part` of the set-up, its `state`, and one paragraph. `kind` is that of the error, if there is one."""

    part: str
    state: State
    said: str
    exit_code: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None

    def told(self) -> dict[str, Any]:
        """An entry of `checks` in JSON."""
        return {"part": self.part, "state": self.state, "said": self.said, "exit_code": self.exit_code, "kind": self.kind}


def check(
    ctx: typer.Context,
    cron: Annotated[
        list[str] | None,
        typer.Option(metavar="LINE", help="A line of the crontab, or all of it: say what would be late or lost. Repeatable."),
    ] = None,
    zone: Annotated[str | None, typer.Option(metavar="ZONE", help="With --cron: the zone of its clock (default: this machine's).")] = None,
    first_rows: Annotated[bool, typer.Option("--quick", help="Look at the first rows of the directory, not at all of it.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Validate configuration, templates, directory, ledger, reports folder and mail server; change nothing that matters."""
    if zone and not cron:
        raise ConfigError("goes with --cron.", where="--zone", hint="Type `migrate check --cron '30 6 * * *' --zone UTC`.")
    lines = lines_in(cron, zone_of_host(zone)) if cron else ()
    console = Console(json=as_json, quiet=quiet)
    findings = []
    for finding in _findings(ctx.obj.config, lines, quick=first_rows):
        tell = console.say if finding.state == "ok" else console.need
        for line in _laid_out(f"{finding.part:<13}  {finding.state:<7}  ", finding.said):
            tell(line, _STYLES[finding.state])
        findings.append(finding)
    code = first_of(finding.exit_code for finding in findings)
    if code == 0:
        console.say("Next: `migrate dry-run` shows what a run would do.")
    read = {name: fact for finding in findings for name, fact in finding.facts.items() if name in _REPEATED}
    console.result({"ok": code == 0, "exit_code": code, "checks": [finding.told() for finding in findings]} | read)
    return code


def _laid_out(before: str, said: str) -> Iterator[str]:
    """A finding as one line, which can be searched; on a terminal that is too narrow, as several lines. The items of an error are lines
    of their own."""
    width = shutil.get_terminal_size().columns
    wraps = on_terminal() and width >= 2 * len(before)
    for text in said.split("\n"):
        for line in textwrap.wrap(text, width - len(before) - 1, break_long_words=False, break_on_hyphens=False) if wraps else [text]:
            yield before + line
            before = " " * len(before)


def _findings(load: Callable[[], Config], lines: Sequence[Line], *, quick: bool) -> Iterator[Finding]:
    try:
        config = load()
    except MigrateError as error:
        yield _wrong("configuration", error)
        return
    yield from _configuration(config)
    yield from _schedule(config)
    yield from _cron(config, lines)
    for part, tried in (_PARTS | {"directory": partial(_directory, quick=quick)}).items():
        try:
            said = list(tried(config))
        except MigrateError as error:
            yield _wrong(part, error)
        else:
            for number, each in enumerate(said):
                yield each if isinstance(each, Finding) else Finding(part, "warning" if number else "ok", each)


def _wrong(part: str, error: MigrateError) -> Finding:
    return Finding(part, "wrong", str(error), error.exit_code, kind=error.kind)


def _configuration(config: Config) -> Iterator[Finding]:
    from migrate.config.placeholders import untouched
    from migrate.core.schedule import due, stages, upcoming

    yield Finding("configuration", "ok", str(config.path))
    if still := untouched(config):
        advice = "Change what is not yours; where a value is right as it is, take the word EDIT out of its line."
        yield Finding("configuration", "warning", f"As in the example: {', '.join(still)}. {advice}")
    now, campaign = datetime.now(UTC), config.campaign
    if (ago := -campaign.days_left(now)) > 0:
        planned = stages(campaign, config.schedule)
        stage, following = due(planned, now), upcoming(planned, now)
        left = (
            f"the next stage is {following.name} on {following.on}"
            if following
            else "no stage is left to come"
            + (f"; whoever must still move is told of {stage.name} ({stage.on})" if stage else ", and nobody is reminded")
        )
        yield Finding("configuration", "warning", f"[campaign] cutoff: the cutoff was {ago:,} day{'' if ago == 1 else 's'} ago; {left}.")


def _schedule(config: Config) -> Iterator[Finding]:
    from migrate.config.waves import unread_roles
    from migrate.core.schedule import given_way, stages, swallowed

    for name, role in unread_roles(config.waves, config.directory):
        said = f"wave {name} matches the role {role}, which [directory] roles does not name: whoever holds it has the campaign's days."
        yield Finding("schedule", "warning", f'{said} Write roles = ["{role}"] there, beside those that it has.')
    for name, campaign in config.waves.campaigns.items():
        planned, whose = stages(campaign, config.schedule), f"wave {name}: " if name else ""
        yield Finding("schedule", "ok", whose + ", ".join(f"{stage.name} on {stage.on}" for stage in planned))
        for stage in swallowed(planned, config.schedule.min_gap_days):
            gap = f"[schedule] min_gap_days = {config.schedule.min_gap_days}"
            said = f"{whose}{stage.name} comes so soon after the stage before it that {gap} holds it back."
            yield Finding("schedule", "warning", said)
        for stage in given_way(campaign, config.schedule):
            moved = "[schedule] send_days moves it to the day of another stage, or too far"
            yield Finding("schedule", "warning", f"{whose}{stage.name} ({stage.on}) is left out: {moved}.")


def _cron(config: Config, lines: Sequence[Line]) -> Iterator[Finding]:
    now = datetime.now(UTC)
    if not lines:
        yield from (Finding("cron", "warning", doubt) for doubt in of_another_clock(config, now))
        return
    for said in judged(lines, config, now):
        yield Finding("cron", said.state, said.words, ConfigError.exit_code if said.state == "wrong" else 0, said.facts)


def _templates(config: Config) -> Iterator[str]:
    from migrate.config.playbooks import GENERIC, playbook
    from migrate.mail.languages import ENGLISH
    from migrate.mail.lint import lint

    composer = config.composer()
    letters, files = list(composer.try_all(every_language=True)), composer.files
    own = files.own()
    of_yours = f", with {len(own)} of your files in {config.mail.templates}: {', '.join(own) or 'none'}" if config.mail.templates else ""
    in_languages = (
        f" in {len(composer.languages)} languages ({', '.join(sorted(composer.languages))})" if len(composer.languages) > 1 else ""
    )
    yield f"{len(letters)} sample letters composed{in_languages}, with the guide {config.campaign.guide!r}{of_yours}"
    yield from lint(letters, config.mail, config.campaign, playbook(config.campaign.playbook or GENERIC).never_says)
    for language, lacking in composer.untranslated().items():
        yield f"the catalogue of {language!r} has no translation of {len(lacking)} texts, which stay English; the first is {lacking[0]!r}."
    for path, meant in files.astray():
        yield f"{path} is not used" + (f": letters are made from {meant}." if meant else ".")
    if composer.language not in (ENGLISH, *files.languages) and (ours := files.unchanged()):
        yield f"written in {composer.language!r} by you, and still with these of ours, which are English: {', '.join(ours)}."


def _access(config: Config) -> Iterator[Finding]:
    from migrate.directory import open_directory

    for each in open_directory(config.directory).outlooks():
        yield Finding("access", "wrong" if each.wrong else "ok", f"{each.said}.")
        yield from (_wrong("access", error) for error in each.wrong)
        yield from (Finding("access", "warning", warning) for warning in each.warnings)


def _directory(config: Config, *, quick: bool) -> Iterator[Finding]:
    from migrate.cli.directory import look

    found = look(config, quick=quick)
    wrong = bool(found.stops)
    yield Finding("directory", "wrong" if wrong else "ok", found.said, GuardError.exit_code if wrong else 0, found.facts)
    yield from (Finding("directory", "wrong", stop, GuardError.exit_code) for stop in found.stops)
    yield from (Finding("directory", "warning", warning) for warning in found.warnings)


def _ledger(config: Config) -> Iterator[str]:
    from migrate.ledger.sqlite import exposed
    from migrate.run.clock_guard import doubt
    from migrate.run.provenance import looked_at

    with looked_at(config) as ledger:
        described = ledger.described
        unsure = doubt(config, ledger, datetime.now(UTC))
    path = config.ledger.file
    if path is not None and not os.access(path if path.exists() else path.parent, os.W_OK):
        raise LedgerError(f"{path} cannot be written.", where="[ledger] url", hint="Name a folder that is there and may be written to.")
    yield described if path is None or path.exists() else f"{described} is not there yet; the first run makes it"
    if path is not None and (others := exposed(path)):
        yield others
    if unsure:
        yield str(unsure)


def _reports(config: Config) -> Iterator[str]:
    from migrate.files import other_owner
    from migrate.report import signing
    from migrate.report.folder import writable

    if not config.reports.formats:
        yield "none are written: [reports] formats is empty"
        return
    signing.ready(config.reports.signing_key)
    writable(config.reports.dir)
    yield f"{', '.join(config.reports.formats)} in {config.reports.dir}" + (", signed" if config.reports.signing_key else "")
    if other := other_owner(config.reports.dir):
        yield f"{config.reports.dir} belongs to {other}, who may take evidence away and put another in its place."


def _mail(config: Config) -> Iterator[str]:
    from migrate.mail.helo import machine_name
    from migrate.mail.transport import open_transport

    with open_transport(config.mail).connect():
        pass
    smtp = config.mail.smtp if config.mail.transport == "smtp" else None
    if smtp is None:
        yield f"letters go into the folder {config.mail.maildir.path}; nothing is sent to people"
        return
    by = "a token (XOAUTH2)" if smtp.oauth else "a password"
    yield f"{smtp.host} port {smtp.port} answers" + (f", and {smtp.user} signs in with {by}" if smtp.user else "")
    if smtp.helo is None and machine_name() is None:
        yield (
            "this machine has no full name and greets with its address, which some servers refuse: set [mail.smtp] helo to the name that "
            "its address has in DNS."
        )
    if smtp.helo is not None and not smtp.helo.startswith("[") and "." not in smtp.helo:
        yield f"[mail.smtp] helo = {smtp.helo!r} is no full name, and some servers want one: write its domain too, as in mail.example.com."
    if smtp.beside_provider:
        yield (
            f"[mail.smtp] {' and '.join(smtp.beside_provider)}: as in the example, and more than provider = '{smtp.provider}' allows. "
            "What is set wins over the provider's limits: take it away, and they hold."
        )
    if smtp.user and not smtp.oauth and smtp.host.lower().endswith(".office365.com"):
        yield 'Exchange Online stops taking passwords from the end of 2026: set [mail.smtp] sign_in = "xoauth2" (docs/mail-servers.md).'


_PARTS: Final[dict[str, Callable[[Config], Iterator[str | Finding]]]] = {
    "templates": _templates,
    "access": _access,
    "directory": partial(_directory, quick=False),
    "ledger": _ledger,
    "reports": _reports,
    "mail": _mail,
}
"""Part → the function that checks it. It gives what it found, then its warnings (or findings of its own), or raises the error."""
