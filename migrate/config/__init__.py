"""Loads the configuration: a TOML file in, a frozen `Config` out (design §16).

Each table's model is declared beside the code that uses it. `load` puts the tables together, resolves references, makes relative paths
absolute, and turns everything that is wrong into one `ConfigError` that names the key, what was found, and what would do.

Two rules hold for every table:

* Any string may be `{ env = "NAME" }` or `{ file = "path" }`. A value that came that way is not printed, in an error or elsewhere, unless
  its setting is known to be harmless.
* Relative paths (every setting of type `Path` or called `path`, and the file of a SQLite `url`) are relative to the folder of the
  file that they are written in, so that cron may start the job from anywhere.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from migrate import outside
from migrate.config.anchors import anchored, digest, effective
from migrate.config.complaints import Complaint, complaints, misfit, paragraph, unknown_table
from migrate.config.extending import extended
from migrate.config.playbooks import PLAYBOOKS, undated_cloud
from migrate.config.references import Key, References
from migrate.config.rehearsal import rehearsed
from migrate.config.safety import SafetySettings
from migrate.config.waves import ids_by_file, misdated
from migrate.core.campaign import CampaignSettings
from migrate.core.schedule import ScheduleSettings
from migrate.core.standing import PolicySettings
from migrate.core.waves import Waves, WavesSettings
from migrate.directory import DirectorySettings, table_model
from migrate.errors import ConfigError
from migrate.files import texts
from migrate.ledger.settings import LedgerSettings
from migrate.mail.guides import checked_guide
from migrate.mail.overrides import no_texts
from migrate.mail.settings import MailSettings
from migrate.monitoring.settings import MonitoringSettings
from migrate.report.settings import ReportsSettings

if TYPE_CHECKING:
    from migrate.mail.compose import Composer

TABLES: dict[str, type[BaseModel]] = {
    "campaign": CampaignSettings,
    "directory": DirectorySettings,
    "policy": PolicySettings,
    "schedule": ScheduleSettings,
    "mail": MailSettings,
    "safety": SafetySettings,
    "ledger": LedgerSettings,
    "reports": ReportsSettings,
    "monitoring": MonitoringSettings,
    "waves": WavesSettings,
}
"""Table → model, in the order of the file. `[directory]` has the model of its `kind`."""

_HARMLESS: Final = frozenset({
    "kind", "profile", "rows", "transport", "security", "provider", "timezone", "language", "at_cutoff", "formats", "organization",
    "product", "support_email", "support_phone", "settings_path", "playbook", "guide", "steps", "sign_in_address", "from", "reply_to",
})  # fmt: skip
"""Settings whose value may be printed even if it came from a reference: it is one of a few words, or stands in every letter."""
_DEPTH = 16
_NO_FILE_HINT = "Type `migrate init` for a commented file to start from, or name another with --config."


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration of a run.

    `path`: the file it came from. `settings`: `[table] key` → the effective value as JSON, or a digest of it where it may hold a secret.
    `digest` (64 hex digits): a digest of all settings; secrets, comments and the folder of the file do not change it. Both cover the ids in
    the files of `[[waves]]`. In a rehearsal, `campaign` and `reports` are those of the rehearsal.
    """

    path: Path
    campaign: CampaignSettings
    directory: DirectorySettings
    policy: PolicySettings
    schedule: ScheduleSettings
    mail: MailSettings
    safety: SafetySettings
    ledger: LedgerSettings
    reports: ReportsSettings
    monitoring: MonitoringSettings
    waves: Waves
    digest: str
    settings: Mapping[str, str]

    def composer(self) -> Composer:
        """The composer of all letters of this configuration; in a rehearsal it also redirects them. Raises TemplateError."""
        from migrate.mail.compose import Composer

        return Composer(self.mail, self.campaign, self.safety.redirect_to)


def load(path: Path) -> Config:
    """The configuration in a file. Raises ConfigError (exit 2) that lists everything that is wrong."""
    parsed, origins = extended(path, _parsed)
    references = References()
    raw = references.resolve(parsed, origins.folder)
    outside.keep_back(references.shown_instead(()))
    references.spare([at for at in references.broken if _idle(at, raw)])
    wrong = [misfit(at, what) for at, what in references.broken.items()]
    wrong += [unknown_table(name, value, TABLES) for name, value in raw.items() if name not in TABLES]
    tables: dict[str, Any] = {}
    for name, model in _models(raw, references, wrong).items():
        try:
            tables[name] = model.model_validate(raw.get(name, [] if name == "waves" else {}))
        except ValidationError as error:
            wrong += complaints(name, model, error, raw.get(name, {}), references)
    if "campaign" in tables:
        wrong += _unknown_guide(tables["campaign"].guide, references)
        wrong += _against_playbook(tables["campaign"].playbook, raw.get("directory"))
    if {"campaign", "mail"} <= tables.keys():
        wrong += _unwritten(tables["campaign"].language, anchored(tables["mail"], origins.folder, ("mail",)).templates, references)
    if {"campaign", "waves"} <= tables.keys():
        wrong += misdated(tables["waves"], tables["campaign"])
    if wrong:
        raise paragraph(origins, wrong)
    whole = {name: anchored(table, origins.folder, (name,)) for name, table in tables.items()}
    if tables["safety"].redirect_to:
        whole["campaign"], whole["reports"] = rehearsed(whole["campaign"], whole["reports"])
    outside.keep_back(references.shown_instead(_HARMLESS))
    whole["waves"] = waves = Waves.of(whole["campaign"], whole["waves"], ids_by_file(whole["waves"]))
    if not waves.waves:
        del tables["waves"]
    settings = effective(tables) | ({"[waves] ids": waves.basis} if waves.waves else {})
    return Config(path=path, digest=digest(tables, waves.basis), settings=settings, **whole)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        text = texts.read(path)
    except FileNotFoundError:
        raise ConfigError("there is no such configuration file.", where=str(path), hint=_NO_FILE_HINT) from None
    except texts.NotTextError as error:
        raise ConfigError(f"{error}.", where=str(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror}).", where=str(path), hint=_NO_FILE_HINT) from None
    try:
        tables = tomllib.loads(text)
    except ValueError as error:  # also what Python says of a number of thousands of digits
        raise ConfigError(f"is not valid TOML: {error}.", where=str(path), hint="Texts need quotes, dates do not.") from None
    except RecursionError:
        tables = None
    if tables is None or _deeper(tables, _DEPTH):
        raise ConfigError(f"has tables or lists in each other, more than {_DEPTH} deep.", where=str(path), hint="No setting has.")
    return tables


def _deeper(value: object, than: int) -> bool:
    """Whether tables and lists are nested more than `than` levels deep."""
    level = [value]
    for _ in range(than):
        level = [each for held in level if isinstance(held, dict | list) for each in (held.values() if isinstance(held, dict) else held)]
    return any(isinstance(held, dict | list) for held in level)


def _idle(at: Key, raw: dict[str, Any]) -> bool:
    """True for settings that only the transport which is not chosen would use. Their references may be broken: the SMTP password may be
    missing while letters go to a folder."""
    match at, raw.get("mail"):
        case ("mail", "maildir" | "smtp" as transport, *_), {**mail}:
            return transport != mail.get("transport", MailSettings.model_fields["transport"].default)
    return False


def _unknown_guide(guide: str, references: References) -> Iterator[Complaint]:
    """A complaint if there are no texts for the guide."""
    at: Key = ("campaign", "guide")
    try:
        checked_guide(guide)
    except ValueError as error:
        yield misfit(at, f"is {references.hidden.get(at) or repr(guide)}, which {error}")


def _against_playbook(name: str | None, directory: Any) -> Iterator[Complaint]:
    """A complaint if there is no such playbook, or if it has no date for the directory's cloud."""
    at: Key = ("campaign", "playbook")
    if name is None:
        return
    if name not in PLAYBOOKS:
        yield misfit(at, f"is {name!r}, which is no playbook; there are {', '.join(PLAYBOOKS)}")
    elif said := undated_cloud(name, cloud := directory.get("cloud") if isinstance(directory, dict) else None):
        yield misfit(("directory", "cloud"), f"is {cloud!r}, which {said}")


def _unwritten(language: str, templates: Path | None, references: References) -> Iterator[Complaint]:
    """A complaint if there are no mail texts in the language."""
    at: Key = ("campaign", "language")
    if said := no_texts(language, templates):
        yield misfit(at, f"is {references.hidden.get(at) or repr(language)}, which {said}")


def _models(raw: dict[str, Any], references: References, wrong: list[Complaint]) -> dict[str, type[BaseModel]]:
    """The model of each table; without a usable `[directory] kind` that table is complained about and left out."""
    models: dict[str, type[BaseModel]] = dict(TABLES)
    directory = raw.get("directory", {})
    kind = directory.get("kind") if isinstance(directory, dict) else None
    if any(at[0] == "directory" and at[-1] == "kind" for at in references.broken):
        del models["directory"]
        return models
    try:
        models["directory"] = table_model(directory) if isinstance(kind, str) else _KindSettings
    except ConfigError as error:
        at: Key = ("directory", "join", "kind") if error.where == "[directory.join] kind" else ("directory", "kind")
        shown = references.hidden.get(at, repr(kind))
        wrong.append(misfit(at, error.what.rstrip(".").replace(repr(kind), shown)))
        del models["directory"]
    return models


class _KindSettings(BaseModel):
    """Used while the kind of directory is missing or no text, so that the error is about the kind."""

    kind: str
