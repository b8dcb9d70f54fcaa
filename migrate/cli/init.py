"""`migrate init`: writes a commented configuration to start from, filled in from exports if some are given, and the mail templates if
wanted. It overwrites nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migrate import files
from migrate.cli.console import Console, Json
from migrate.errors import ConfigError
from migrate.files.resources import resource

if TYPE_CHECKING:
    from migrate.config.playbooks import Playbook
_MARK = re.compile(r"# (?:EDIT )?\((\w+)\)")
"""Whose setting a line of the example is, if not everybody's."""


def init(
    ctx: typer.Context,
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]", help="A second export, after --from FILE.", show_default=False)
    ] = None,
    templates: Annotated[bool, typer.Option("--templates", help="Also write the mail templates, to change them.")] = False,
    exports: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", metavar="FILE", help="An export to read: its columns and words are filled in. Two are joined.", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--playbook", metavar="NAME", help="A known retirement: its dates, waves, words and guide.", show_default=False),
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help="Write only what this kind of directory needs.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a commented config.toml here; never overwrites."""
    console, config = Console(json=as_json), ctx.obj.path
    folder = config.parent / "templates"
    wanted = [config, folder] if templates else [config]
    there = [path for path in wanted if os.path.lexists(path)]
    if there == wanted or folder in there:
        raise ConfigError(
            f"{there[-1]} is there already and was left as it is.", hint="Move it away, or choose another place with --config."
        )
    said: tuple[str, ...] = ()
    if config not in there:
        text, said = _text(config, [*(exports or ()), *(more or ())], name, kind, after_from=bool(exports))
        _write_config(config, text)
    if templates:
        _copy_templates(folder)
    written = [str(path) for path in wanted if path not in there]
    for line in said:
        console.say(line)
    console.say(f"Wrote {' and '.join(written)}." + (f" {config} was there already and was left as it is." if there else ""))
    console.say(f"Next: change the lines marked EDIT, then type `migrate{_option(config)} check`.")
    console.result({"written": written, "kept": [str(path) for path in there]} | ({"said": said} if said else {}))


def _text(config: Path, exports: list[Path], name: str | None, kind: str | None, *, after_from: bool) -> tuple[str, tuple[str, ...]]:
    """The configuration to write, and what to say about it."""
    from migrate.config.playbooks import GENERIC, playbook

    known = playbook(name or GENERIC)
    whole = known.config
    if kind is not None and known.name != GENERIC:
        raise ConfigError(f"{known.name} says which kind of directory it needs.", where="--kind", hint="Leave --kind away.")
    about = tuple(_about(known)) if name else ()
    if exports:
        from migrate.cli.exports import directory_of

        if not after_from:
            raise ConfigError(f"{exports[0]} is no option.", where="init", hint=f"Read an export with: migrate init --from {exports[0]}")
        if len(exports) > 2:
            raise ConfigError(
                f"there are {len(exports)} files; two can be joined.", where="--from", hint="Name the others by hand in config.toml."
            )
        if kind not in (None, "csv"):
            raise ConfigError(f"an export is read by kind csv, not by {kind}.", where="--kind", hint="Leave --kind away.")
        found = directory_of(exports, config.parent)
        return _with_directory(whole, found.text), (*about, *found.said)
    return (whole if kind is None else _of_kind(whole, kind)), about


def _about(known: Playbook) -> Iterator[str]:
    """What a playbook knows, and where to read its advice."""
    yield f"{known.name}: {known.what}."
    yield from (f"  {each.on}: {each.what} ({each.source}; read {each.read})." for each in known.dates)
    if known.clouds is not None:
        yield f"  For the cloud {' and '.join(known.clouds)} alone: {known.no_date}."
    yield f"Read the advice first: {known.advice}"


def _with_directory(whole: str, directory: str) -> str:
    """The example with its `[directory]` replaced."""
    before, rest = whole.split("[directory] ", 1)
    return before + directory + "[policy]" + rest.split("[policy]", 1)[1]


def _of_kind(whole: str, kind: str) -> str:
    """The example without the settings of other kinds of directory."""
    from migrate.directory import kinds, settings_model
    from migrate.directory.interface import DirectorySettings

    model = settings_model(kind)
    own = model.model_fields
    others = {name for each in kinds() for name in settings_model(each).model_fields} - set(own) | set(model.refused)
    required = {name for name, field in own.items() if field.is_required()} - set(DirectorySettings.model_fields) | set(model.written)
    before, rest = whole.split("[directory] ", 1)
    table, after = rest.split("[directory.columns]", 1)
    lines = []
    for line in table.splitlines(keepends=True):
        key, mark = line.removeprefix("# ").split(" ")[0], _MARK.search(line)
        if mark is not None and mark[1] != kind:
            continue  # the example has a line of this key for each kind
        if key == "kind":
            lines.append(f'kind = "{kind}"\n')
        elif key in required:
            lines.append(_set(line, kind) if line.startswith("# ") else line)
        elif key not in others:
            lines.append(line)
    return before + "[directory] " + "".join(lines) + "[directory.columns]" + after


def _option(config: Path) -> str:
    return "" if config == Path("config.toml") or os.environ.get("MIGRATE_CONFIG") == str(config) else f" --config {config}"


def _set(line: str, kind: str) -> str:
    """A setting that was commented out, set and marked to be edited."""
    setting, comment = line.removeprefix("# ").split("# ", 1)
    return setting.rstrip().ljust(40) + " # " + comment.replace(f"({kind}) ", f"EDIT ({kind}): ", 1)


def _write_config(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, since a password may be put into it."""
    try:
        with files.create(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}.", where=str(path)) from error


def _copy_templates(folder: Path) -> None:
    source = resource("templates") / "mail"
    try:
        with files.making(folder, "templates", private=False) as side:
            side.folder("mail")
            for path in sorted(source.rglob("*")):
                inside = f"mail/{path.relative_to(source)}"
                if path.is_dir():
                    side.folder(inside)
                else:
                    with side.create(side.path / inside) as file:
                        file.write(path.read_bytes())
            side.place()
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror or error}.", where=str(folder)) from error
