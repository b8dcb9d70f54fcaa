"""Small tenants on the fake of Graph, and directories of kind entra that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from graph.server import Fake
from graph.tenant import Person, Tenant, guid

from migrate.core.accounts import words_of
from migrate.directory import Directory, open_directory, settings_model
from migrate.directory.testing import read_all

SMS = ("mobilePhone",)
APP = ("microsoftAuthenticatorPush", "softwareOneTimePasscode")


def person(number: int, *methods: str, **more: Any) -> Person:
    name = f"user{number}"
    told = {
        "upn": f"{name}@contoso.com",
        "mail": f"{name}@contoso.com",
        "display_name": f"User {number}",
        "number": f"+1 303 {4440000 + number}",
    }
    return Person(guid(number), methods=list(methods), **told | more)


def tenant(*people: Person) -> Tenant:
    made = Tenant()
    made.domains |= {"contoso.com": "Managed", "sso.contoso.com": "Federated"}
    for each in people:
        made.add(each)
    return made


def directory(fake: Fake, folder: Path, **more: Any) -> Directory:
    return open_directory(settings_model("entra")(**fake.settings(**{"checkpoint": folder / "entra.checkpoint"} | more)))


def accounts(fake: Fake, folder: Path, **more: Any) -> pd.DataFrame:
    """Everybody, by user principal name."""
    rows, _ = read_all(directory(fake, folder, **more))
    assert fake.violations == []
    return rows.assign(methods=rows["methods"].map(words_of)).set_index("username")
