"""The people in the sample directory: made up from a seed, the same people every time.

The words in the rows are those of an invented product, not ours: the demo's `[directory.columns]` and `[directory.methods]` translate them.
Addresses end in example.com and example.org, telephone numbers are 555-0100 to 555-0199: all are reserved for fiction, so that nobody is
ever mailed or called.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Final

from migrate.demo.config import CAMPAIGN
from migrate.demo.names import CULTURES, written

SMS, VOICE, PHONE = "SMS", "VoiceCall", "MobilePhone"
APP, PUSH, KEY, PASSKEY, TOKEN, CARD = "AuthenticatorApp", "AppPush", "SecurityKey", "DevicePasskey", "HardToken", "SmartCard"
EMAIL, CODES, ENROLLED, LEGACY = "EmailCode", "RecoveryCodes", "Enrolled", "YubiOTP legacy"

WORDS: Final = (SMS, VOICE, PHONE, APP, PUSH, KEY, PASSKEY, TOKEN, CARD, EMAIL, CODES, ENROLLED, LEGACY)
"""The product's words for its methods, in the order in which it lists them."""
TELEPHONE: Final = frozenset({SMS, VOICE, PHONE})
MODERN: Final = frozenset({APP, PUSH, KEY, PASSKEY, TOKEN, CARD})

_OLD: Final = (
    (240, (SMS,), SMS),
    (70, (SMS, CODES), SMS),
    (30, (SMS, VOICE), SMS),
    (25, (PHONE,), PHONE),
    (20, (VOICE,), VOICE),
    (110, (SMS, APP), SMS),
    (35, (SMS, PUSH), SMS),
    (12, (SMS, KEY), SMS),
    (10, (VOICE, APP, CODES), VOICE),
    (60, (SMS, APP), APP),
    (30, (SMS, PUSH, CODES), PUSH),
)  # fmt: skip
_NEW: Final = (
    (120, (APP,), APP),
    (60, (APP, CODES), APP),
    (45, (PUSH,), PUSH),
    (25, (APP, PUSH), PUSH),
    (20, (KEY,), KEY),
    (15, (APP, PASSKEY), PASSKEY),
    (10, (TOKEN,), TOKEN),
    (8, (CARD,), CARD),
    (8, (EMAIL,), EMAIL),
    (6, (ENROLLED,), ENROLLED),
    (35, (), None),
    (4, (CODES,), None),
)  # fmt: skip
"""The second steps at the start: (weight, methods, default). Those in `_OLD` include a telephone, those in `_NEW` do not."""

DEPARTMENTS: Final = {
    "Management": 6, "Engineering": 195, "Manufacturing": 175, "Sales": 135, "Customer Support": 110, "Research": 70, "Marketing": 65,
    "Finance": 55, "IT": 50, "Human Resources": 35, "Harbor Labs": 32, "Legal": 22,
}  # fmt: skip
"""Department → people in it at the start."""
FEDERATED: Final = "Research"
"""The department that signs in through another system from the start."""
ACQUIRED: Final = "Harbor Labs"
"""The company bought last year, still on its old mail domain."""

SERVICES: Final = (
    "backup", "ci-runner", "crm-sync", "data-export", "door-access", "erp-bridge", "license-server", "monitoring", "payroll-feed",
    "print-queue", "scanner", "voicemail", "webshop", "wiki-bot",
)  # fmt: skip
SHARED: Final = ("accounts-payable", "events", "facilities", "front-desk", "info", "jobs", "logistics", "press", "returns", "workshop")
GUESTS: Final = 18


@dataclass(frozen=True, slots=True)
class User:
    """One row of the sample directory. The fields are the columns of its table `users`, in order; instants are ISO 8601 UTC text."""

    id: str
    login: str
    mail: str | None
    security_mails: str | None
    name: str
    given: str | None
    lang: str | None
    dept: str | None
    manager: str | None
    active: bool
    sso: bool
    kind: str
    is_admin: bool
    mfa_methods: str | None
    mfa_default: str | None
    mfa_changed_at: str | None
    last_login: str | None
    mobile: str | None

    @property
    def methods(self) -> frozenset[str]:
        return frozenset((self.mfa_methods or "").split(",")) - {""}

    @property
    def human(self) -> bool:
        return self.kind in ("person", "guest")

    def using(self, methods: frozenset[str], default: str | None, at: str) -> User:
        """The same user with other methods, changed at an instant."""
        return replace(self, mfa_methods=listed(methods), mfa_default=default, mfa_changed_at=at, last_login=at)


def listed(methods: frozenset[str] | tuple[str, ...]) -> str | None:
    """Methods as the product writes them into one column."""
    return ",".join(word for word in WORDS if word in methods) or None


def moment(day: date, random: Random) -> str:
    """A random instant of a day, at an hour when people are awake, as the directory writes instants."""
    return text(_midnight(day) + timedelta(seconds=random.randrange(8 * 3600, 22 * 3600)))


@lru_cache(maxsize=4096)
def _midnight(day: date) -> datetime:
    return CAMPAIGN.instant(day)


def text(instant: datetime) -> str:
    """An instant as the directory writes it."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


class Personnel:
    """Makes people up, and never gives out an id, a login or an address twice."""

    def __init__(self) -> None:
        self._next_id = 10_000
        self._given_out: set[str] = set()

    def account_id(self) -> str:
        self._next_id += 1
        return f"U{self._next_id}"

    def unique(self, wish: str, domain: str = "") -> str:
        """`wish` with the domain behind it; if somebody has it already, with the first number that makes it unique."""
        number, taken = 1, f"{wish}{domain}"
        while taken in self._given_out:
            number += 1
            taken = f"{wish}{number}{domain}"
        self._given_out.add(taken)
        return taken

    def hire(
        self, random: Random, hired: date, dept: str, manager: str | None, *, old_methods: float, account_id: str | None = None
    ) -> User:
        """A new person in a department, in the directory since a day; `old_methods` is the chance that they use a telephone (0 to 1)."""
        culture = random.choices(CULTURES, [culture.weight for culture in CULTURES])[0]
        given, family = random.choice(culture.given), random.choice(culture.family)
        domain = "@example.org" if dept == ACQUIRED else "@example.com"
        local = f"{culture.latin(given)}.{culture.latin(family)}"
        choices = _OLD if random.random() < old_methods else _NEW
        _, methods, default = random.choices(choices, [weight for weight, _, _ in choices])[0]
        federated = dept == FEDERATED
        if federated and random.random() < 0.8:
            methods, default = (), None
        at = moment(hired, random)
        return User(
            id=account_id or self.account_id(),
            login=self.unique(culture.latin(given)[0] + culture.latin(family).replace("'", "")),
            mail=self.unique(local, domain),
            security_mails=None,
            name=f"{written(family)} {written(given)}" if culture.family_first else f"{written(given)} {written(family)}",
            given=written(given),
            lang=culture.lang if random.random() < 0.8 else random.choice(("en_US", None)),
            dept=dept,
            manager=manager,
            active=True,
            sso=federated,
            kind="person",
            is_admin=random.random() < (0.3 if dept == "IT" else 0.01),
            mfa_methods=listed(methods),
            mfa_default=default,
            mfa_changed_at=at if methods and random.random() < 0.9 else None,
            last_login=at,
            mobile=fictional_number(random) if TELEPHONE & set(methods) or random.random() < 0.3 else None,
        )

    def marry(self, user: User, random: Random) -> User:
        """The same person with another family name, and the address that goes with it."""
        culture, given = next((culture, name) for culture in CULTURES for name in culture.given if written(name) == user.given)
        family = random.choice([name for name in culture.family if written(name) not in user.name])
        domain = "@" + (user.mail or "@example.com").rpartition("@")[2]
        name = f"{written(family)} {user.given}" if culture.family_first else f"{user.given} {written(family)}"
        return replace(user, name=name, mail=self.unique(f"{culture.latin(given)}.{culture.latin(family)}", domain))

    def move(self, user: User, domain: str) -> User:
        """The same person at another mail domain (`@example.com`)."""
        return replace(user, mail=self.unique((user.mail or user.login).partition("@")[0], domain))


def fictional_number(random: Random) -> str:
    """A telephone number from 555-0100 to 555-0199, reserved for fiction."""
    return f"+1 {random.choice((206, 212, 303, 312, 415, 503, 617, 713))} 555 01{random.randrange(100):02}"


def population(personnel: Personnel, seed: str) -> list[User]:
    """Everybody in the directory on the day before the opening: about a thousand people, some of them difficult on purpose."""
    random = Random(f"{seed}:population")
    people = [*_staff(personnel, random), *_machines(personnel, random), *_guests(personnel, random)]
    return list(_awkward(people, random))


def _staff(personnel: Personnel, random: Random) -> Iterator[User]:
    chief: str | None = None
    for dept, size in DEPARTMENTS.items():
        head: str | None = None
        for _ in range(size):
            user = personnel.hire(random, _hired(random), dept, head or chief, old_methods=0.58)
            user = replace(user, mfa_changed_at=_since(user, random), last_login=_lately(random), active=random.random() > 0.03)
            if random.random() < 0.08:
                user = replace(user, security_mails=_private(user, random))
            if random.random() < 0.03:
                user = replace(user, sso=True)
            if head is None:
                user = replace(user, active=True, is_admin=dept in ("IT", "Management"))
            head = head or user.mail
            chief = chief or head
            yield user


def _hired(random: Random) -> date:
    return CAMPAIGN.opens - timedelta(days=random.randrange(40, 4000))


def _since(user: User, random: Random) -> str | None:
    return user.mfa_changed_at and moment(CAMPAIGN.opens - timedelta(days=random.randrange(20, 1200)), random)


def _lately(random: Random) -> str | None:
    """The last sign-in: mostly within the week, for some long ago, for a few never."""
    draw = random.random()
    if draw < 0.02:
        return None
    return moment(CAMPAIGN.opens - timedelta(days=random.randrange(1, 8) if draw < 0.85 else random.randrange(8, 400)), random)


def _private(user: User, random: Random) -> str:
    """One or two private addresses that the person registered for security notices."""
    local = (user.mail or user.login).partition("@")[0]
    private = [f"{local}.private@example.org", f"{local}+alerts@example.org"]
    return ", ".join(private[: random.choice((1, 1, 2))])


def _machines(personnel: Personnel, random: Random) -> Iterator[User]:
    """Accounts that belong to no person: services, shared mailboxes, and the emergency accounts that no cutoff may lock out."""
    for service in SERVICES:
        yield _account(personnel, f"svc-{service}", "service", random.choice(((), (), (), (SMS,), (APP,))), "IT", random)
    for shared in SHARED:
        yield _account(personnel, shared, "shared", random.choice(((SMS,), (SMS,), (PHONE,), (), (APP,))), "Management", random)
    for number in (1, 2, 3):
        account = _account(personnel, f"emergency-{number}", "break_glass", (KEY,) if number < 3 else (SMS,), "IT", random)
        yield replace(account, is_admin=True)


def _account(personnel: Personnel, login: str, kind: str, methods: tuple[str, ...], dept: str, random: Random) -> User:
    return User(
        id=personnel.account_id(), login=personnel.unique(login), mail=personnel.unique(login, "@example.com"), security_mails=None,
        name=login, given=None, lang=None, dept=dept, manager=None, active=True, sso=False, kind=kind, is_admin=False,
        mfa_methods=listed(methods), mfa_default=methods[0] if methods else None,
        mfa_changed_at=moment(_hired(random), random) if methods else None, last_login=_lately(random),
        mobile=fictional_number(random) if TELEPHONE & set(methods) else None,
    )  # fmt: skip


def _guests(personnel: Personnel, random: Random) -> Iterator[User]:
    for _ in range(GUESTS):
        guest = personnel.hire(random, _hired(random), "External", None, old_methods=0.7)
        yield replace(personnel.move(guest, "@example.org"), kind="guest", is_admin=False, last_login=_lately(random))


def _awkward(people: list[User], random: Random) -> Iterator[User]:
    """The same people with the faults that every directory has.

    Four have no address and one a malformed one, all on SMS; five have a method that the configuration does not translate; one sign-in
    instant cannot be read; and a lobby screen has a type that is no account, so its row is rejected.
    """
    heads = {user.manager for user in people}
    at_work = [user for user in people if user.kind == "person" and user.active and not user.sso and user.mail not in heads]
    plain = [user for user in at_work if not user.is_admin and not user.security_mails]
    on_sms = random.sample([user for user in plain if user.mfa_methods == SMS and user.dept == "Manufacturing"], 5)
    legacy = random.sample([user for user in plain if user.methods <= MODERN and user.dept == "Engineering"], 6)
    changed = {user.id: replace(user, mail=None) for user in on_sms[:4]}
    changed[on_sms[4].id] = replace(on_sms[4], mail=(on_sms[4].mail or "").replace("@example.com", "@example,com"))
    changed |= {user.id: replace(user, mfa_methods=LEGACY, mfa_default=LEGACY) for user in legacy[:5]}
    changed[legacy[5].id] = replace(legacy[5], last_login="0000-00-00 00:00:00")
    lobby = next(user for user in people if user.kind == "shared")
    changed[lobby.id] = replace(lobby, kind="kiosk")
    return (changed.get(user.id, user) for user in people)
