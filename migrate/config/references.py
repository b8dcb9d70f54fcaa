"""References: `{ env = "NAME" }` or `{ file = "path" }` in place of a string takes the value from elsewhere (design §16)."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from migrate.files import texts

Key = tuple[str | int, ...]
"""The path to a value in the file: `("mail", "smtp", "password")`."""

OPEN_TABLES = frozenset({"columns", "methods", "method_columns"})
"""Tables whose keys are the reader's own words: a key `env` or `file` in one of them makes no reference."""

_SOURCES: Final = ({"env"}, {"file"})
_NOTHING: Final = "-"
"""The value in place of a broken reference. Nothing uses it: the reference is complained about, or its setting is idle."""


def is_reference(at: Key, value: Mapping[str, Any]) -> bool:
    """Whether a table is a reference."""
    return bool(at) and at[-1] not in OPEN_TABLES and set(value) in _SOURCES


@dataclass
class References:
    """The references of a configuration, by key. `hidden`: where the value comes from, in words. `broken`: why there is no value.
    `values`: the value."""

    hidden: dict[Key, str] = field(default_factory=dict)
    broken: dict[Key, str] = field(default_factory=dict)
    values: dict[Key, str] = field(default_factory=dict)

    def resolve(self, value: Any, folder: Callable[[Key], Path], at: Key = ()) -> Any:
        """The same tables with every reference replaced by its text. The path of a file is relative to the `folder` of its key.

        The text is taken without a byte order mark and line breaks at the end; blanks are kept. A reference that leads nowhere, or to a
        blank text, is broken.
        """
        if isinstance(value, list):
            return [self.resolve(item, folder, (*at, i)) for i, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if is_reference(at, value):
            [(source, name)] = value.items()
            return self._read(source, name, folder(at), at)
        return {key: self.resolve(item, folder, (*at, key)) for key, item in value.items()}

    def _read(self, source: str, name: Any, base: Path, at: Key) -> str:
        if not isinstance(name, str) or not name:
            self.broken[at] = f'names no {"variable" if source == "env" else "file"}; write {{ {source} = "…" }}'
            return _NOTHING
        from_env = source == "env"
        self.hidden[at] = f"the value of ${name}" if from_env else f"the content of {name}"
        place = f"the environment variable {name}" if from_env else f"the file {base / name}"
        text = ""
        try:
            text = texts.value(os.environ[name]) if from_env else texts.read_value(base / name)
        except KeyError:
            self.broken[at] = f"needs {place}, which is not set"
        except texts.NotTextError as error:
            self.broken[at] = f"needs {place}, which {error}"
        except (OSError, ValueError) as error:
            self.broken[at] = f"needs {place}, which cannot be read ({getattr(error, 'strerror', None) or error})"
        else:
            if not text.strip():
                self.broken[at] = f"needs {place}, which is empty; {'set it to the value' if from_env else 'write the value into it'}"
        if at in self.broken:
            return _NOTHING
        self.values[at] = text
        return text

    def spare(self, idle: Iterable[Key]) -> None:
        """Forgets that the references at these keys are broken, because nothing uses them."""
        for at in [at for at in idle if at in self.broken]:
            del self.broken[at]

    def shown_instead(self, harmless: Collection[str]) -> dict[str, str]:
        """Each referenced value, except those of the `harmless` settings → where it comes from, in words to print instead of the value."""
        named = {at: [part for part in at if isinstance(part, str)][-1] for at in self.values}
        return {text: self.hidden[at] for at, text in self.values.items() if named[at] not in harmless}

    def secrets(self) -> Iterator[str]:
        """The texts that must not appear in an error, longest first."""
        return iter(sorted(set(self.values.values()), key=len, reverse=True))
