"""The whole campaign of a tenant of 3,000, from 28 November 2026 to 5 July 2027, as docs/entra.md has it: the commands that it names, the
blocks that it prints, Postfix with tokens looked at by Dovecot. `Rules` says who is to get what; it knows nothing of the package."""

from __future__ import annotations

import email
import email.policy
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from cryptography import x509
from edits import blocks, edited
from graph.people import believable
from graph.server import Fake
from graph.tenant import GLOBAL_ADMINISTRATOR, Person, guid
from mail.authority import ca_file, key_and_certificate
from mail_peers import MailServer, Submission

GUIDE = (Path(__file__).parents[2] / "docs" / "entra.md").read_text(encoding="utf-8")
OPENS, FEBRUARY, JULY = date(2026, 11, 28), date(2027, 2, 1), date(2027, 7, 1)
LAST_DAYS = {
    FEBRUARY: ("31 January 2027", "January 31, 2027", "31. Januar 2027"),
    JULY: ("30 June 2027", "June 30, 2027", "30. Juni 2027"),
}
"""The last day on which a telephone works, as letters write it."""
STAGES = {60: "reminder", 45: "reminder", 30: "reminder", 15: "reminder", 7: "final_reminder", 1: "final_reminder"}
AFTER = (2, 14)
UNREVIEWED = 500
TELEPHONES = {"mobilePhone", "officePhone", "alternateMobilePhone"}
ACCEPTED = {
    "microsoftAuthenticatorPush": "push", "softwareOneTimePasscode": "app", "fido2SecurityKey": "passkey", "passKeySynced": "passkey",
    "windowsHelloForBusiness": "passkey", "externalAuthMethod": "external",
}  # fmt: skip
"""Words of the report that stay → what they are."""
ASKED_FOR_A_TELEPHONE = {"sms", "voiceMobile", "voiceOffice", "voiceAlternateMobile"}
LAG = timedelta(hours=36)

Letter = tuple[str, str, str, frozenset[date]]
"""Address, kind, occasion (`change` for any confirmation), and the cutoffs whose last day the text names; none for a confirmation."""


@dataclass
class Told:
    """What one person was told, and what is known of them."""

    cutoff: date | None = None
    on: date | None = None
    stages: set[tuple[date, str]] = field(default_factory=set)
    moves: int = 0
    methods: frozenset[str] = frozenset()
    asked_before: bool = False


@dataclass(frozen=True)
class Due:
    """One letter, and how what was told changes with it."""

    person: Person
    letter: Letter
    cutoff: date | None = None
    stages: frozenset[tuple[date, str]] = frozenset()
    moved: bool = False


class Rules:
    """The retirement in a few plain rules:

    1. A telephone ends on 1 February; for Global Administrators (by a group, too) and external guests on 1 July, for as long as they are.
    2. Whoever has nothing else, or is asked for the telephone first, hears from us: on the day we open, and 60, 45, 30, 15, 7, 1 days
       before their date, 2 and 14 days after; the newest stage that is due, once, and not twice on a day.
    3. Whoever was told another date is told theirs, once, at once. That counts as every stage that is due.
    4. A method that came or went is confirmed, before anything else; not that a telephone went after its date.
    5. What is known of methods is 36 hours old. Nobody is written to who is disabled, has no address, or signs in at a federated domain.
    """

    def __init__(self, fake: Fake) -> None:
        self.tenant = fake.tenant
        self.told: dict[str, Told] = {}
        """By the id of those that were read."""

    def cutoff(self, person: Person) -> date:
        holders = self.tenant.holders[GLOBAL_ADMINISTRATOR]
        admins = holders.union(*(group.members for group in self.tenant.groups.values() if group.id in holders))
        return JULY if person.id in admins or person.external else FEBRUARY

    def stages(self, cutoff: date, day: date) -> list[tuple[str, str]]:
        """The stages of a date that have begun on a day, the newest last: name and kind."""
        found = [(OPENS, "opens", "announcement")] if day < cutoff else []
        found += [(cutoff - timedelta(n), f"T-{n}", kind) for n, kind in STAGES.items() if day < cutoff]
        found += [(cutoff + timedelta(n), f"T+{n}", "cutoff_passed") for n in AFTER]
        return [(name, kind) for on, name, kind in sorted(found) if OPENS <= on <= day]

    def seen(self, person: Person, day: date) -> tuple[frozenset[str], str]:
        """Methods and default as the report has them; none of somebody it does not know yet."""
        at = datetime(day.year, day.month, day.day, 6, tzinfo=UTC) - LAG
        known = [each for each in person.past if each[0] <= at]
        return (frozenset(known[-1][1]), known[-1][2]) if known else (frozenset(), "none")

    def reachable(self, person: Person) -> bool:
        federated = person.external is None and self.tenant.domains[person.upn.rpartition("@")[2]] == "Federated"
        return person.enabled and not federated

    def due(self, day: date) -> tuple[list[Due], list[Due]]:
        """The confirmations and the other letters of a read on a day; what was read is known from then on."""
        confirmations, others = [], []
        for person in self.tenant.people.values():
            if not self.reachable(person):
                continue
            methods, default = self.seen(person, day)
            cutoff, stays = self.cutoff(person), methods & ACCEPTED.keys()
            first, told = person.id not in self.told, self.told.setdefault(person.id, Told())
            asked = bool(methods & TELEPHONES) and (not stays or default in ASKED_FOR_A_TELEPHONE)
            if day < cutoff:
                told.asked_before = asked
            asked |= told.asked_before and not stays
            confirmed = not first and self._confirmed(told.methods, methods, passed=day >= cutoff)
            told.methods = methods
            if person.mail is None:
                continue
            if confirmed:
                confirmations.append(Due(person, (person.mail, "change_confirmation", "change", frozenset())))
            elif asked and (letter := self._other(person, told, cutoff, day)):
                others.append(letter)
        return confirmations, others

    def _confirmed(self, had: frozenset[str], has: frozenset[str], *, passed: bool) -> bool:
        stayed, stays = ({ACCEPTED[word] for word in words & ACCEPTED.keys()} for words in (had, has))
        came, went = (bool(one & TELEPHONES) and not other & TELEPHONES for one, other in ((has, had), (had, has)))
        return stayed != stays or came or (went and not passed)

    def _other(self, person: Person, told: Told, cutoff: date, day: date) -> Due | None:
        begun = self.stages(cutoff, day)
        every = frozenset((cutoff, name) for name, _ in begun)
        assert person.mail is not None
        if told.cutoff is not None and told.cutoff != cutoff:
            letter = (person.mail, "cutoff_moved", f"moved-{told.moves + 1}", frozenset((told.cutoff, cutoff)))
            return Due(person, letter, cutoff, every, moved=True)
        if not begun:
            return None
        name, kind = begun[-1]
        if (cutoff, name) in told.stages or told.on == day:
            return None
        return Due(person, (person.mail, kind, name, frozenset((cutoff,))), cutoff, frozenset({(cutoff, name)}))

    def sent(self, letters: list[Due], day: date) -> None:
        for each in letters:
            if each.cutoff is not None:
                told = self.told[each.person.id]
                told.cutoff, told.on, told.moves = each.cutoff, day, told.moves + each.moved
                told.stages |= each.stages

    def struck_out(self, letters: list[Due]) -> None:
        """A reviewer took letters out of a plan: their stages are never due again."""
        for each in letters:
            self.told[each.person.id].stages |= each.stages


class Lives:
    """What becomes of the people, day by day. Everybody is chosen once, so that each story is told apart."""

    def __init__(self, fake: Fake, rules: Rules) -> None:
        self.tenant, self._draw = fake.tenant, random.Random(13)
        self._owners = next(group for group in self.tenant.groups.values() if group.name == "Tenant owners")
        concerned = [each for each in self.tenant.people.values() if self._concerned(rules, each)]
        self._draw.shuffle(concerned)
        self._guests = [each for each in concerned if each.external]
        self._members = [each for each in concerned if rules.cutoff(each) == FEBRUARY]
        admins, invited, converted = self._take(8), self._take(8), [self._guests.pop() for _ in range(6)]
        late_guests, leavers, cleared, removed = self._take(3), self._take(12), self._take(10), self._take(3)
        self._days: dict[str, Callable[[], None]] = {
            "2026-12-05": lambda: self._roles(gain=admins),
            "2026-12-07": lambda: self._each(removed, self._loses_the_telephone),
            "2026-12-10": lambda: self._each(invited, self._becomes_a_guest),
            "2026-12-18": lambda: self._roles(lose=admins[:4]),
            "2026-12-20": lambda: self._each(converted, self._becomes_a_member),
            "2027-01-02": lambda: self._roles(gain=admins[:1]),
            "2027-01-05": lambda: self._each(leavers, self._is_disabled),
            "2027-01-09": self._join,
            "2027-01-11": lambda: self._each(invited[:4], self._becomes_a_member),
            "2027-01-13": lambda: self._owners.members.update(each.id for each in self._take(2)),
            "2027-01-20": lambda: self._each(leavers[:3], self._is_enabled),
            "2027-02-02": lambda: self._each(cleared, self._loses_the_telephone),
            "2027-02-20": lambda: self._each(late_guests, self._becomes_a_guest),
            "2027-03-10": lambda: self._roles(lose=admins[4:6]),
        }  # fmt: skip
        self.struck = self._take(1)[0].id
        """Whose first letter a reviewer takes out of the plan."""

    def until(self, day: str) -> None:
        """What happens up to the run of a day, each on its own day at five; and on this day some of the others register a passkey."""
        for on in [each for each in self._days if each <= day]:
            self._wait_for(on)
            self._days.pop(on)()
        self._wait_for(day)
        for people, share in ((self._members, 18), (self._guests, 9)):
            for person in self._draw.sample(people, len(people) // share):
                people.remove(person)
                self._registers(person)

    def _wait_for(self, day: str) -> None:
        self.tenant.now = datetime.fromisoformat(f"{day}T05:00").replace(tzinfo=UTC)

    def _concerned(self, rules: Rules, person: Person) -> bool:
        stays = set(person.methods) & ACCEPTED.keys()
        return (
            bool(person.mail) and rules.reachable(person) and bool(TELEPHONES & set(person.methods))
            and (not stays or person.default in ASKED_FOR_A_TELEPHONE)
        )  # fmt: skip

    def _take(self, count: int) -> list[Person]:
        """People of February with a telephone and nothing else."""
        found = [each for each in self._members if not set(each.methods) & ACCEPTED.keys()][:count]
        self._members = [each for each in self._members if each not in found]
        return found

    def _each(self, people: list[Person], act: Callable[[Person], None]) -> None:
        for person in people:
            act(person)

    def _roles(self, gain: list[Person] = [], lose: list[Person] = []) -> None:  # noqa: B006
        self.tenant.holders[GLOBAL_ADMINISTRATOR] |= {each.id for each in gain}
        self.tenant.holders[GLOBAL_ADMINISTRATOR] -= {each.id for each in lose}

    def _becomes_a_guest(self, person: Person) -> None:
        person.user_type, person.external = "Guest", "Accepted"

    def _becomes_a_member(self, person: Person) -> None:
        """Converted to an internal user, who signs in here."""
        person.user_type, person.external, person.upn = "Member", None, f"{person.upn.partition('@')[0].partition('#')[0]}@contoso.com"

    def _is_disabled(self, person: Person) -> None:
        person.enabled = False

    def _is_enabled(self, person: Person) -> None:
        person.enabled = True

    def _loses_the_telephone(self, person: Person) -> None:
        self.tenant.removes(person, *TELEPHONES, default="none")

    def _join(self) -> None:
        for number in range(4001, 4007):
            name = f"new{number}@contoso.com"
            self.tenant.add(
                Person(guid(number), name, name, f"New {number}", methods=["mobilePhone"], default="sms", created=self.tenant.now)
            )

    def _registers(self, person: Person) -> None:
        """A passkey: most are asked for it first from then on, some go on being asked for the telephone, some take that away."""
        how = self._draw.random()
        self.tenant.registers(person, "passKeySynced", default=None if how < 0.15 else "none")
        if how > 0.85:
            self.tenant.removes(person, *TELEPHONES)


DAYS = (
    "2026-11-28", "2026-11-29", "2026-12-03", "2026-12-05", "2026-12-06", "2026-12-10", "2026-12-18", "2026-12-20", "2027-01-02",
    "2027-01-06", "2027-01-11", "2027-01-13", "2027-01-17", "2027-01-20", "2027-01-25", "2027-01-31", "2027-02-01", "2027-02-03",
    "2027-02-05", "2027-02-15", "2027-02-20", "2027-03-10", "2027-05-02", "2027-05-17", "2027-06-01", "2027-06-16", "2027-06-24",
    "2027-06-30", "2027-07-01", "2027-07-03", "2027-07-05",
)  # fmt: skip
"""Each stage of either date, the days after what happens, and quiet ones."""


class Company:
    """The folder of the guide's reader, and what the mail server took."""

    def __init__(self, folder: Path, fake: Fake, server: MailServer) -> None:
        self.folder, self.fake, self.server = folder, fake, server
        self.letters: set[bytes] = set()
        """By their Message-ID."""
        (folder / "entra.pem").write_text(key_and_certificate(rsa_key=True))
        self.migrate("init", "--playbook", "entra-2027")
        text = (folder / "config.toml").read_text(encoding="utf-8")
        for block in blocks(GUIDE):
            text = edited(text, block)
        text = edited(text, f"[campaign]\nopens = {OPENS}")
        (folder / "config.toml").write_text(edited(text, self._here()), encoding="utf-8")

    def _here(self) -> str:
        """What a tenant and a server on this machine need besides."""
        at, tenant = self.fake.url, self.fake.tenant.domain
        return f"""[directory]
client_id = "{self.fake.client_id}"
graph_url = "{at}"
login_url = "{at}"
[mail.smtp]
host = "localhost"
port = {self.server.port}
ca_file = "{ca_file(self.folder)}"
rate = "1000/s"
connections = 4
[mail.smtp.oauth]
client_id = "{self.fake.client_id}"
token_url = "{at}/{tenant}/oauth2/v2.0/token"
[reports]
formats = ["csv", "html"]
[safety]
allow_time_travel = true
"""

    def migrate(self, *words: str, expect: int = 0) -> str:
        """The installed command; what it printed."""
        done = subprocess.run([sys.executable, "-m", "migrate", *words], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == expect, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def morning(self, day: str, *, held: bool, struck: str | None = None) -> int:
        """A run, and if it holds what is due, a plan that somebody approves, but for one who is struck out; how many letters went."""
        at = f"{day}T06:00Z"
        sent = self._sent(self.migrate("run", "--json", "--as-of", at, expect=4 if held else 0))
        if held:
            self.migrate("dry-run", "--out", f"plan-{day}", "--as-of", at)
            if struck:
                self._strike_out(f"plan-{day}", struck)
            sent += self._sent(self.migrate("run", "--json", "--as-of", at, "--plan", f"plan-{day}", "--approved-by", "ada@contoso.com"))
        return sent

    def _sent(self, told: str) -> int:
        return int(json.loads(told)["letters"]["sent"])

    def _strike_out(self, plan: str, person: str) -> None:
        path = self.folder / plan / "plan.csv"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if person not in line]
        assert len(kept) == len(lines) - 1
        path.write_text("".join(kept), encoding="utf-8")

    def arrived(self, count: int) -> Counter[Letter]:
        """What the server took since it was asked last, once it is so many."""
        until = time.monotonic() + 60
        while len(taken := self.server.letters()) < len(self.letters) + count and time.monotonic() < until:
            time.sleep(0.1)
        assert len(taken) == len(self.letters) + count
        by_id = {each.partition(b"\r\nMessage-ID: ")[2].partition(b"\r\n")[0]: each for each in taken}
        assert len(by_id) == len(taken), "a letter arrived twice"
        new = [each for name, each in by_id.items() if name not in self.letters]
        self.letters = set(by_id)
        return Counter(map(said, new))


def said(sent: bytes) -> Letter:
    message = email.message_from_bytes(sent, policy=email.policy.default)
    part = message.get_body(("plain",)) if isinstance(message, EmailMessage) else None
    assert part is not None
    text = f"{message['Subject']} {part.get_content()}"
    named = frozenset(cutoff for cutoff, days in LAST_DAYS.items() if any(day in text for day in days))
    if message["X-Migrate-Kind"] == "change_confirmation":
        named = frozenset()  # it names the day on which the change was seen, and no cutoff
    occasion = re.sub(r"change-\d+", "change", message["X-Migrate-Occasion"])
    return message["To"], message["X-Migrate-Kind"], occasion, named


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_tenant_of_3000_goes_from_the_first_letter_to_the_last_date_and_everybody_gets_what_the_rules_say(
    tmp_path: Path, submission: Submission
) -> None:
    tenant = believable(3000)
    totals: Counter[tuple[str, str]] = Counter()
    with Fake(tenant) as fake:
        fake.mailbox = "noreply@contoso.com"
        fake.throttle.LIMITS = dict.fromkeys(fake.throttle.LIMITS, (10**9, 10.0))  # type: ignore[misc]
        fake.certificate = x509.load_pem_x509_certificate(key_and_certificate(rsa_key=True).encode()).public_key()
        domains = "contoso.com, partner.contoso.com, home.example"
        with submission(fake.introspection, fake.mailbox, mydestination=domains) as server:
            company, rules = Company(tmp_path, fake, server), Rules(fake)
            lives = Lives(fake, rules)
            company.migrate("check")
            for day in DAYS:
                on = date.fromisoformat(day)
                lives.until(day)
                tenant.now += timedelta(hours=1)
                confirmations, others = rules.due(on)
                expected = list(confirmations)
                if held := len(others) > UNREVIEWED:
                    _, others = rules.due(on)
                struck = [each for each in others if each.person.id == lives.struck] if on == OPENS else []
                expected += [each for each in others if each not in struck]
                rules.sent(expected, on)
                rules.struck_out(struck)
                arrived = company.arrived(company.morning(day, held=held, struck=lives.struck if struck else None))
                wanted = Counter(each.letter for each in expected)
                assert arrived == wanted, f"{day}: too many {arrived - wanted}, missing {wanted - arrived}"
                totals.update((str(rules.cutoff(each.person)), each.letter[2]) for each in expected)
            assert server.log().count("sasl_method=XOAUTH2, sasl_username=noreply@contoso.com") == len(company.letters)
        assert fake.violations == []
    written = "".join(f"{cutoff} {occasion} {count}\n" for (cutoff, occasion), count in sorted(totals.items()))
    (tmp_path / "letters.txt").write_text(written, encoding="utf-8")
    every = {"opens", "change", "T+2", *(f"T-{days}" for days in STAGES)}
    assert totals.keys() == {
        *((str(FEBRUARY), occasion) for occasion in every | {"T+14", "moved-1", "moved-2"}),
        *((str(JULY), occasion) for occasion in every | {"moved-1", "moved-3"}),
    }
