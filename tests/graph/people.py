"""Believable tenants of any size, the same for the same seed."""

from __future__ import annotations

import random
from datetime import timedelta

from .tenant import GLOBAL_ADMINISTRATOR, ROLES, Person, Tenant, guid

_GIVEN = (
    "Ada",
    "Zoë",
    "Łukasz",
    "Maria",
    "Nguyễn",
    "Olu",
    "Søren",
    "Aiko",
    "Fatima",
    "José",
    "Ines",
    "Tom",
    "Wei",
    "Ravi",
    "Anna",
    "Željko",
)
_FAMILY = (
    "Meyer",
    "O'Neil",
    "García",
    "Kowalska",
    "Tran",
    "Adeyemi",
    "Jensen",
    "Sato",
    "al-Rashid",
    "Silva",
    "Novák",
    "Smith",
    "Li",
    "Rao",
)
_DEPARTMENTS = ("Sales", "Engineering", "Finance", "Human Resources", "Plant 1", "Research & Development", None)
_COUNTRIES = (("DE", "de-DE"), ("US", "en-US"), ("FR", None), ("CH", None), ("GB", "en-GB"), (None, None))
_HABITS = (
    (40, ("mobilePhone", "microsoftAuthenticatorPush", "softwareOneTimePasscode"), "push"),
    (14, ("microsoftAuthenticatorPush", "softwareOneTimePasscode"), "push"),
    (17, ("mobilePhone",), "sms"),
    (3, ("mobilePhone", "email"), "voiceMobile"),
    (2, ("officePhone",), "voiceOffice"),
    (7, ("mobilePhone", "microsoftAuthenticatorPush"), "sms"),
    (3, ("passKeySynced", "mobilePhone"), "none"),
    (2, ("fido2SecurityKey",), "none"),
    (2, ("windowsHelloForBusiness", "mobilePhone"), "sms"),
    (1, ("externalAuthMethod",), "none"),
    (9, (), "none"),
)
"""Out of a hundred people so many have these methods, and this default."""


def believable(size: int, seed: int = 1, domain: str = "contoso.onmicrosoft.com") -> Tenant:
    """A tenant of `size` people: guests, leavers, administrators, nested groups, a federated domain, people without a mailbox."""
    draw, tenant = random.Random(seed), Tenant(domain)
    mail = domain.replace(".onmicrosoft", "")
    tenant.domains |= {mail: "Managed", f"partner.{mail}": "Federated"}
    habits = [(methods, default) for weight, methods, default in _HABITS for _ in range(weight)]
    for number in range(1, size + 1):
        given, family = draw.choice(_GIVEN), draw.choice(_FAMILY)
        name = f"user{number}"
        country, language = draw.choice(_COUNTRIES)
        methods, default = draw.choice(habits)
        upn_domain = f"partner.{mail}" if draw.random() < 0.04 else mail
        person = Person(
            guid(number), f"{name}@{upn_domain}", f"{name}@{upn_domain}", f"{given} {family}", given, department=draw.choice(_DEPARTMENTS),
            usage_location=country, language=language, methods=list(methods), default=default, enabled=draw.random() > 0.05,
            manager=guid(draw.randint(1, number)) if number > 10 else None, number=f"+1 202 {5550000 + number}",
        )  # fmt: skip
        if draw.random() < 0.06:
            person.upn, person.mail = f"{name}_home.example#EXT#@{domain}", f"{name}@home.example"
            person.user_type, person.external, person.department = "Guest", draw.choice(("Accepted", "PendingAcceptance")), None
        elif draw.random() < 0.01:
            person.user_type = "Guest"
        elif draw.random() < 0.02:
            person.mail = None
        if default in ("sms", "push"):
            how = "Text message" if default == "sms" else "Mobile app notification"
            person.signed_in = [(tenant.now - timedelta(hours=draw.randint(1, 200)), how)]
        tenant.add(person)
    people = [each for each in tenant.people.values() if each.external is None and each.enabled]
    for role, count in zip(ROLES.values(), (max(size // 500, 2), max(size // 300, 2), max(size // 200, 2)), strict=True):
        tenant.holders[role] = {each.id for each in draw.sample(people, min(count, len(people)))}
    plant = tenant.group("Plant workers", *(each for each in people if each.department == "Plant 1"))
    sales = tenant.group("Sales team", *(each for each in people if each.department == "Sales"))
    tenant.group("All staff", *people, groups=(plant, sales))
    owners = tenant.group("Tenant owners", *draw.sample(people, min(2, len(people))))
    tenant.holders[GLOBAL_ADMINISTRATOR].add(owners.id)
    tenant.allow("Voice", include=(sales,))
    return tenant
