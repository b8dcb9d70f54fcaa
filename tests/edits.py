"""The edits that a guide tells its reader to make in a configuration, made as a reader makes them: line by line."""

from __future__ import annotations

import re

_TABLE = re.compile(r"(?:# )?\[([\w.]+)\]\s*(?:#.*)?")
_SETTING = re.compile(r"(?:# )?(\w+) = .*")


def blocks(guide: str) -> list[str]:
    """The TOML blocks of a page, in their order."""
    return re.findall(r"^```toml\n(.*?)^```", guide, flags=re.DOTALL | re.MULTILINE)


def edited(config: str, told: str) -> str:
    """A configuration with the settings of `told`, each in the place of the line that sets it, which may stand behind a `# `, or else below
    the name of its table. Raises KeyError for a table that is not there."""
    wanted = _settings(told)
    made, table, left = list[str](), "", dict(wanted)
    for line in config.splitlines():
        if found := _TABLE.fullmatch(line):
            table = found[1]
            made.append(f"[{table}]" if any(where == table for where, _ in wanted) else line)
            made += [left.pop(each) for each in wanted if each[0] == table and not _set_below(config, *each)]
        elif (found := _SETTING.fullmatch(line)) and (key := (table, found[1])) in left:
            made.append(left.pop(key))
        else:
            made.append(line)
    if left:
        raise KeyError(f"the configuration has no place for {', '.join(map('.'.join, left))}")
    return "\n".join(made) + "\n"


def _settings(text: str) -> dict[tuple[str, str], str]:
    """(table, key) → the line that sets it."""
    found, table = {}, ""
    for line in text.splitlines():
        if named := _TABLE.fullmatch(line):
            table = named[1]
        elif setting := _SETTING.fullmatch(line):
            found[table, setting[1]] = line
    return found


def _set_below(config: str, table: str, key: str) -> bool:
    return (table, key) in _settings(config)
