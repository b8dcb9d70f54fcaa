"""What whoever runs the fake by hand may change of its tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .tenant import Person, Tenant


def changed(tenant: Tenant, granted: set[str], verb: str, asked: Mapping[str, str]) -> dict[str, Any]:
    """Does one thing, and says what. Raises KeyError for anything else."""
    match verb:
        case "registers" | "removes":
            person = _person(tenant, asked["user"])
            act = tenant.registers if verb == "registers" else tenant.removes
            act(person, *asked["method"].split(","), default=asked.get("default"))
            return {"user": person.upn, "methods": person.methods}
        case "advance":
            tenant.advance(hours=float(asked["hours"]))
            return {"now": tenant.now.isoformat()}
        case "licensed":
            tenant.licensed = asked["value"] == "yes"
            return {"licensed": tenant.licensed}
        case "grant":
            granted.clear()
            granted.update(asked["permissions"].split(","))
            return {"granted": sorted(granted)}
    raise KeyError(verb)


def _person(tenant: Tenant, upn: str) -> Person:
    return next(each for each in tenant.people.values() if each.upn == upn)
