"""Turns users of a resolver, and the tokens that they have, into raw rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from migrate.directory.privacyidea.settings import PrivacyIdeaSettings
from migrate.directory.privacyidea.tokens import Key, Owned

if TYPE_CHECKING:
    import pandas as pd

_NOTHING: Final = Owned("")


def key_of(user: Mapping[str, Any], resolvers: Iterable[str]) -> Key:
    """The key by which tokens belong to a user; a part of it is empty if the server does not tell it."""
    only = [*resolvers]
    resolver = _text(user.get("resolver")) or (only[0] if len(only) == 1 else "")
    return resolver, _text(user.get("userid")) or ""


def name_of(user: Mapping[str, Any]) -> str:
    """A user's sign-in name, in lower case."""
    return (_text(user.get("username")) or "").casefold()


def frame_of_users(
    users: Sequence[Mapping[str, Any]], keys: Sequence[Key], owners: Mapping[Key, Owned], settings: PrivacyIdeaSettings, position: int
) -> pd.DataFrame:
    """Users as a raw frame (`Directory.frames`); the first has this position. Attributes that the configuration names win."""
    columns: dict[str, list[Any]] = {"account_id": [_id(key) for key in keys]}
    owned = [owners.get(key, _NOTHING) for key in keys]
    columns |= {ours: [read(user) for user in users] for ours, read in _READ.items()}
    columns["phone"] = [one.phone or _text(user.get("mobile")) for one, user in zip(owned, users, strict=True)]
    columns |= {ours: [_other(user.get(column.theirs)) for user in users] for ours, column in settings.columns.items()}
    return _frame(columns | _methods(owned), position)


def frame_of_owners(owners: Iterable[tuple[Key, Owned]], position: int) -> pd.DataFrame:
    """The owners of tokens as a raw frame, for a join."""
    each = [*owners]
    columns: dict[str, list[Any]] = {
        "account_id": [_id(key) for key, _ in each],
        "username": [one.username for _, one in each],
        "phone": [one.phone for _, one in each],
    }
    return _frame(columns | _methods([one for _, one in each]), position)


def _methods(owned: Sequence[Owned]) -> dict[str, list[Any]]:
    return {
        "methods": [json.dumps(one.words) for one in owned],
        "last_used_method": [one.used_word for one in owned],
        "last_used_at": [one.used and one.used.isoformat() for one in owned],
        "methods_changed_at": [one.changed and one.changed.isoformat() for one in owned],
    }


def _frame(columns: Mapping[str, list[Any]], position: int) -> pd.DataFrame:
    import pandas as pd

    from migrate.directory.text import column

    rows = len(columns["account_id"])
    return pd.DataFrame({name: column(values) for name, values in columns.items()}).assign(position=range(position, position + rows))


def _id(key: Key) -> str | None:
    """The account id: the resolver and the id in it, since two resolvers may use the same id."""
    return f"{key[0]}:{key[1]}" if key[1] else None


def _text(value: Any) -> str | None:
    """Text, or a number as text; of a list with one item, which some resolvers give, that item."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _other(value: Any) -> str | bool | None:
    """An attribute that the configuration names: text, a list of texts, or yes/no."""
    if isinstance(value, list) and len(value) > 1:
        return json.dumps([each for each in value if isinstance(each, str)])
    return value if isinstance(value, bool) else _text(value)


def _whole_name(user: Mapping[str, Any]) -> str | None:
    parts = [_text(user.get("givenname")), _text(user.get("surname"))]
    return " ".join(part for part in parts if part) or None


_READ: Final[dict[str, Callable[[Mapping[str, Any]], str | None]]] = {
    "username": lambda user: _text(user.get("username")),
    "email": lambda user: _text(user.get("email")),
    "display_name": _whole_name,
    "given_name": lambda user: _text(user.get("givenname")),
}
"""Our column → the function that reads it from a user."""
