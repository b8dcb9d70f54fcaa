"""Says what is wrong with a configuration, in sentences that name the key, what was found, and what would do."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from migrate.config.extending import EXTENDS, Origins
from migrate.config.references import Key, References
from migrate.directory import DirectorySettings, settings_model
from migrate.directory.registry import DIRECTORIES
from migrate.errors import ConfigError

_UNKNOWN, _WRONG, _MISSING = range(3)
"""The order of complaints: a misspelt key comes before the missing key that it explains."""

_GONE: Final[dict[Key, str]] = {("ledger", "keep_days"): "had no effect and is gone: delete it"}
"""Settings of earlier versions → what to do with a line that still sets one."""

_SECRET_WORDS = ("password", "secret", "token", "url", "key", "credential")


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong `at` a key. `where`: the key as `[table] key`. `what`: the rest of the sentence. `about`: the key that a
    misspelling probably means."""

    rank: int
    at: Key
    where: str
    what: str
    about: Key = ()

    def __str__(self) -> str:
        return f"{self.where} {self.what}"


def near(word: str, known: Iterable[str]) -> str | None:
    """The known word that a misspelt one probably means, if one is similar enough."""
    matches = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown_table(name: str, value: object, known: Mapping[str, type[BaseModel]]) -> Complaint:
    """A complaint about a top-level name that is no table: a misspelt table, or a key outside its table."""
    if isinstance(value, (dict, list)):
        meant = near(name, known)
        advice = f"did you mean [{meant}]?" if meant else f"the tables are {', '.join(f'[{table}]' for table in known)}"
        return Complaint(_UNKNOWN, (name,), f"[{name}]", f"is no table of the configuration; {advice}", (meant,) if meant else ())
    homes = [table for table, model in known.items() if name in _keys(model)]
    if not homes and near(name, [EXTENDS]):
        return Complaint(_UNKNOWN, (name,), name, f"is no setting; did you mean {EXTENDS}?")
    advice = f"it belongs under [{homes[0]}]" if homes else f"the tables are {', '.join(f'[{table}]' for table in known)}"
    return Complaint(_UNKNOWN, (name,), name, f"stands outside any table; {advice}", (homes[0], name) if homes else ())


def misfit(at: Key, what: str) -> Complaint:
    """A complaint about a value that cannot be used; `what` says why, and follows the key in the sentence."""
    return Complaint(_WRONG, at, where(at), what)


def complaints(table: str, model: type[BaseModel], error: ValidationError, raw: Any, references: References) -> list[Complaint]:
    """Every validation error of one table as a complaint. An error of a table is left out if an error inside the table causes it."""
    details = {_located(table, detail["loc"], raw): detail for detail in error.errors(include_url=False)}
    causes = [*references.broken, *details]
    return [
        _complaint(at, model, detail, references)
        for at, detail in details.items()
        if at not in references.broken and not any(cause[: len(at)] == at and cause != at for cause in causes)
    ]


def paragraph(origins: Origins, wrong: list[Complaint]) -> ConfigError:
    """All complaints about a file, and about the files it extends, as one error, in the order of their rank. A missing key is left out if a
    misspelt key or table explains it. A complaint names the file of its key if that is not the first file."""
    misspelt = [complaint.about for complaint in wrong if complaint.rank == _UNKNOWN and complaint.about]
    explained = [c for c in wrong if c.rank == _MISSING and any(c.about[: len(meant)] == meant for meant in misspelt)]
    told = [c for c in sorted(wrong, key=lambda c: c.rank) if c not in explained]
    if len(told) == 1:
        end = "" if told[0].what.endswith("?") else "."
        return ConfigError(f"{told[0].what}{end}", where=f"{origins.file(told[0].at)}, {told[0].where}")
    items = [f"{file}, {each}" if (file := origins.file(each.at)) != origins.own else str(each) for each in told]
    return ConfigError(f"{len(told)} settings cannot be used as they stand.", where=str(origins.own), items=items)


def where(at: Key, *, table: bool = False) -> str:
    """`("mail", "smtp", "port")` → `[mail.smtp] port`, and a `table` → `[mail.smtp]`; the number of a list's item counts from 1."""
    words = [part for part in at if isinstance(part, str)]
    items = "".join(f", item {part + 1}" for part in at if isinstance(part, int))
    if len(words) < 2 or table:
        return f"[{'.'.join(words)}]{items}"
    return f"[{'.'.join(words[:-1])}] {words[-1]}{items}"


def _complaint(at: Key, model: type[BaseModel], detail: ErrorDetails, references: References) -> Complaint:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return Complaint(_MISSING, at, where(at), "is missing", at)
    if kind == "extra_forbidden":
        if at in _GONE:
            return Complaint(_UNKNOWN, at, where(at), _GONE[at])
        owner = _model_at(model, at[1:-1])
        if kinds := _kinds_with(str(at[-1]), owner):
            return Complaint(_UNKNOWN, at, where(at), f"belongs to kind = {' or '.join(kinds)}: delete it")
        keys = _keys(owner)
        meant = near(str(at[-1]), keys)
        advice = f"did you mean {meant}?" if meant else f"the settings of this table are {', '.join(keys)}"
        return Complaint(_UNKNOWN, at, where(at), f"is no setting; {advice}", (*at[:-1], meant) if meant else ())
    what = str(context["error"]) if kind == "value_error" and "error" in context else _reworded(detail["msg"])
    for secret in references.secrets():
        what = what.replace(repr(secret), "the value")
        # A value of a letter or two would blot out the sentence and hide nothing.
        what = what.replace(secret, "…") if len(secret) > 3 else what
    shown = _shown(at, model, detail["input"], references)
    if kind == "value_error" and shown is not None and shown in what:
        shown = None
    # An error of a whole table is about several of its keys, and its text names them.
    whole = kind == "value_error" and isinstance(detail["input"], Mapping) and _model_at(model, at[1:]) is not None
    return Complaint(_WRONG, at, where(at, table=whole), _said_of(shown, what) if shown else what)


def _kinds_with(key: str, owner: type[BaseModel] | None) -> list[str]:
    """The kinds of directory, in quotes, that have a setting of this name; none if `owner` is not the settings of a directory."""
    if owner is None or not issubclass(owner, DirectorySettings):
        return []
    return [f'"{kind}"' for kind in DIRECTORIES if key in _keys(settings_model(kind))]


def _said_of(shown: str, what: str) -> str:
    predicate = what.startswith(("is ", "has ", "names "))
    return f"is {shown}, which {what}" if predicate else f"is {shown}: {what}"


def _reworded(message: str) -> str:
    """An error message of pydantic, reworded to follow `is 'x': …`."""
    if "zero time" in message:
        return "it should be a date"
    plain = re.split(r", unable to|, got a|, not \d+$| after validation| for <class", message)[0]
    return re.sub(r"^(?:Input|String|Tuple|Value|List|Dictionary) (?=should|is|must)", "it ", plain).replace("a valid tuple", "a list")


def _shown(at: Key, model: type[BaseModel], value: object, references: References) -> str | None:
    """The value as an error may show it; None for a whole table, and for a value that may be a secret."""
    if at in references.hidden:
        return references.hidden[at]
    if isinstance(value, (Mapping, BaseModel)) or _may_be_secret(at, model):
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, (date, time)) else repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _may_be_secret(at: Key, model: type[BaseModel]) -> bool:
    owner = _model_at(model, at[1:-1])
    name = str(at[-1])
    annotation = next((f.annotation for n, f in owner.model_fields.items() if name in (n, f.alias)), None) if owner else None
    return SecretStr in _types(annotation) or any(word in name.lower() for word in _SECRET_WORDS)


def _located(table: str, loc: tuple[int | str, ...], raw: Any) -> Key:
    """The key of an error, from pydantic's location; the parts that pydantic adds for members of a union are left out."""
    at: list[str | int] = [table]
    for i, part in enumerate(loc):
        last = i == len(loc) - 1
        if isinstance(raw, Mapping) and (part in raw or last):
            at.append(part)
            raw = raw.get(part)
        elif isinstance(raw, (list, tuple)) and isinstance(part, int) and part < len(raw):
            at.append(part)
            raw = raw[part]
    return tuple(part for part in at if part != "[key]")


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [f.alias or name for name, f in model.model_fields.items()] if model else []


def _types(annotation: Any) -> set[Any]:
    if get_origin(annotation) in (Union, types.UnionType, Annotated):
        return {t for a in get_args(annotation) for t in _types(a)}
    return set() if get_origin(annotation) is Literal else {annotation}


def _listed_models(annotation: Any) -> tuple[Any, ...]:
    """The models of a list of tables, one for each item."""
    return get_args(annotation) if get_origin(annotation) is tuple and Ellipsis not in get_args(annotation) else ()


def _named_model(annotation: Any) -> type[BaseModel] | None:
    """The model of the inner tables, for a table whose keys are the reader's own names."""
    values = get_args(annotation)[1:] if get_origin(annotation) is dict else ()
    return next((t for value in values for t in _types(value) if isinstance(t, type) and issubclass(t, BaseModel)), None)


def _model_at(model: type[BaseModel], at: Key) -> type[BaseModel] | None:
    """The model of a nested table, or None where the keys are the reader's own words."""
    current: type[BaseModel] | None = model
    several: tuple[Any, ...] = ()
    if issubclass(model, RootModel):  # a list of tables, all of one model
        item = get_args(model.model_fields["root"].annotation)[0]
        current, several = None, tuple(item for part in at[:1] if isinstance(part, int) for _ in range(part + 1))
    named: type[BaseModel] | None = None
    for part in at:
        if isinstance(part, int):
            current = several[part] if part < len(several) else None
            continue
        if named is not None:
            current, named = named, None
            continue
        field = next((f for n, f in current.model_fields.items() if part in (n, f.alias)), None) if current else None
        several = _listed_models(field.annotation) if field else ()
        named = _named_model(field.annotation) if field else None
        nested = _types(field.annotation) if field else set()
        current = next((t for t in nested if isinstance(t, type) and issubclass(t, BaseModel)), None)
    return current
