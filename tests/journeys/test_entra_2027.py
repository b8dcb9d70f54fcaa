"""The playbook of 2027 lived through on a tenant of Entra ID: each on their own date, and who is told that it is another one now."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from mailbox import Maildir
from pathlib import Path

from graph.server import Fake
from graph.tenant import GLOBAL_ADMINISTRATOR, Person, Tenant, guid
from office import called

from migrate.config.playbooks import playbook

FEBRUARY, JULY = "Sunday, 31 January 2027", "Wednesday, 30 June 2027"


def person(number: int, name: str, **more: str) -> Person:
    return Person(guid(number), f"{name}@contoso.com", f"{name}@contoso.com", name, methods=["mobilePhone"], default="sms", **more)


class Year:
    """The playbook's configuration on a tenant, and what its days bring: (to, occasion, the last day that the letter names)."""

    def __init__(self, folder: Path, fake: Fake) -> None:
        self.folder, self.fake = folder, fake
        table = fake.settings(roles=["Global Administrator"])
        ours = "[directory]\n" + "\n".join(f"{name} = {json.dumps(value)}" for name, value in table.items())
        text = re.sub(r"\[directory\].*?(?=\n\[policy\])", lambda _: ours + "\n", playbook("entra-2027").config, flags=re.DOTALL)
        (folder / "config.toml").write_text(text, encoding="utf-8")
        self.letters: Counter[tuple[str, str, str]] = Counter()

    def edit(self, old: str, new: str) -> None:
        path = self.folder / "config.toml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def on(self, day: str) -> list[tuple[str, str, str]]:
        """What a run of a day sends."""
        self.fake.tenant.now = datetime.fromisoformat(f"{day}T06:00").replace(tzinfo=UTC)
        done = called("--config", str(self.folder / "config.toml"), "run", "--json", "--as-of", f"{day}T06:00")
        assert done.code == 0, done.out + done.err
        before, self.letters = self.letters, Counter(self._letter(each) for each in Maildir(self.folder / "outbox"))
        return sorted((self.letters - before).elements())

    def _letter(self, message: object) -> tuple[str, str, str]:
        text = message.get_payload(0).get_payload(decode=True).decode()  # type: ignore[attr-defined]
        said = re.search(r"work(?:ed)? until the end of ([^(]*) \(", text)
        assert said, text
        return message["To"].split("@")[0], message["X-Migrate-Occasion"], said[1]  # type: ignore[index]


def test_from_december_to_july_everybody_goes_by_their_own_date_and_is_told_once_when_it_is_another_one(tmp_path: Path) -> None:
    tenant = Tenant()
    tenant.domains["contoso.com"] = "Managed"
    ann, root, gil, _ = (
        tenant.add(each)
        for each in (
            person(1, "ann"),
            person(2, "root"),
            person(3, "gil", user_type="Guest", external="Accepted"),
            person(4, "ida", user_type="Guest"),
        )
    )
    admins = tenant.holders[GLOBAL_ADMINISTRATOR]
    admins.add(root.id)
    with Fake(tenant) as fake:
        year = Year(tmp_path, fake)
        # An internal guest is an ordinary user to the retirement.
        assert year.on("2026-12-03") == [
            ("ann", "T-60", FEBRUARY),
            ("gil", "opens", JULY),
            ("ida", "T-60", FEBRUARY),
            ("root", "opens", JULY),
        ]
        admins.add(ann.id)
        assert year.on("2026-12-04") == [("ann", "moved-1", JULY)]
        assert year.on("2026-12-05") == []
        admins -= {ann.id, root.id}
        assert year.on("2026-12-18") == [("ann", "moved-2", FEBRUARY), ("ida", "T-45", FEBRUARY), ("root", "moved-1", FEBRUARY)]
        assert year.on("2026-12-19") == [], "the correction counts as the stage that was due"
        admins.add(root.id)
        gil.external = None  # converted to an internal user
        assert year.on("2027-01-02") == [
            ("ann", "T-30", FEBRUARY),
            ("gil", "moved-1", FEBRUARY),
            ("ida", "T-30", FEBRUARY),
            ("root", "moved-2", JULY),
        ]
        # Microsoft moves its February by a month, and back again.
        year.edit("cutoff = 2027-02-01T00:00:00", "cutoff = 2027-03-01T00:00:00")
        march = "Sunday, 28 February 2027"
        assert year.on("2027-01-03") == [("ann", "moved-3", march), ("gil", "moved-2", march), ("ida", "moved-1", march)]
        year.edit("cutoff = 2027-03-01T00:00:00", "cutoff = 2027-02-01T00:00:00")
        assert year.on("2027-01-04") == [("ann", "moved-4", FEBRUARY), ("gil", "moved-3", FEBRUARY), ("ida", "moved-2", FEBRUARY)]
        assert year.on("2027-01-05") == []
        assert year.on("2027-02-03") == [(name, "T+2", FEBRUARY) for name in ("ann", "gil", "ida")]
        after = [(name, "T+14", FEBRUARY) for name in ("ann", "gil", "ida")]
        assert year.on("2027-05-02") == [*after, ("root", "T-60", JULY)]
        assert year.on("2027-07-03") == [("root", "T+2", JULY)]
        assert fake.violations == []
