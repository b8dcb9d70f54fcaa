"""Finds the members of groups, nested groups included, and the holders of directory roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from migrate.directory.entra.graph import GUID, Graph
from migrate.directory.entra.ids import IdSet, packed
from migrate.directory.entra.permissions import MEMBERS, ROLES
from migrate.directory.interface import near
from migrate.errors import DirectoryError

ROLE: Final = "role:"
"""The prefix of a role's name among the groups of an account."""


def of_group(graph: Graph, group: str, watch: Callable[[int], None] = lambda _: None) -> IdSet:
    """The users in a group, and in the groups in it."""
    parts: list[np.ndarray] = []
    path, params = f"/groups/{quote(group, safe='-')}/transitiveMembers/microsoft.graph.user", {"$select": "id", "$top": "999"}
    for page in graph.listing(path, params, MEMBERS, budget=graph.directory, cost=4, anew=parts.clear):
        parts.append(packed([each.get("id") for each in page]))
        watch(len(page))
    return IdSet(parts)


def of_named_group(graph: Graph, name: str, watch: Callable[[int], None] = lambda _: None) -> IdSet:
    """The users in the group of that name or id. Raises DirectoryError if there is none, or several."""
    return of_group(graph, name if GUID.fullmatch(name) else _group_id(graph, name), watch=watch)


def _group_id(graph: Graph, name: str) -> str:
    quoted = name.replace("'", "''")
    groups = graph.whole("/groups", {"$filter": f"displayName eq '{quoted}'", "$select": "id,displayName"}, MEMBERS)
    if len(groups) != 1:
        ids = ", ".join(str(each.get("id")) for each in groups)
        raise DirectoryError(
            f"there {'are several groups' if groups else 'is no group'} {name!r} in the tenant. Nothing was changed.",
            where="[directory] groups",
            hint=f"Write the id of the one you mean: {ids}." if groups else "Write its name as the Entra admin center shows it, or its id.",
        )
    return str(groups[0]["id"])


def of_roles(graph: Graph, names: tuple[str, ...]) -> dict[str, IdSet]:
    """Role → its holders now, directly or through a group, without those who are only eligible for it (PIM). Raises DirectoryError."""
    definitions = graph.whole("/roleManagement/directory/roleDefinitions", {"$select": "id,displayName"}, ROLES)
    by_name = {str(each.get("displayName")).casefold(): str(each.get("id")) for each in definitions}
    for name in names:
        if name.casefold() not in by_name:
            known = near(name, [str(each.get("displayName")) for each in definitions])
            raise DirectoryError(f"there is no directory role {name!r}; {known} Nothing was changed.", where="[directory] roles")
    return {name: _holders(graph, by_name[name.casefold()]) for name in names}


def _holders(graph: Graph, role: str) -> IdSet:
    params = {"$filter": f"roleDefinitionId eq '{role}'", "$expand": "principal"}
    assigned = graph.whole("/roleManagement/directory/roleAssignments", params, ROLES)
    users = [each["principalId"] for each in assigned if _kind(each) == "user"]
    groups = dict.fromkeys(str(each["principalId"]) for each in assigned if _kind(each) == "group")
    return IdSet.united([IdSet([packed(users)]), *(of_group(graph, group) for group in groups)])


def _kind(assigned: dict[str, Any]) -> str:
    principal = assigned.get("principal")
    return str(principal.get("@odata.type", "")).rpartition(".")[2] if isinstance(principal, dict) else ""
