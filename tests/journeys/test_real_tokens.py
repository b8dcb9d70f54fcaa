"""Tokens that the fake's sign-in gives, and mail servers that look at them: Postfix by Dovecot, and the one by hand (`python -m tests.graph
--mailbox`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from mailbox import Maildir
from pathlib import Path

import pytest
from graph.exchange import Exchange
from graph.server import Fake
from graph.tenant import Tenant
from journeys.test_delivery import T30, hired
from mail.authority import ca_file
from mail_peers import MailServer
from office import Office

SENDER = "security@example.com"


@contextmanager
def postfix(fake: Fake, office: Office, request: pytest.FixtureRequest) -> Iterator[MailServer]:
    with request.getfixturevalue("submission")(fake.introspection, SENDER) as server:
        by_token(office, fake, server.port, ca_file(office.folder))
        yield server


@contextmanager
def by_hand(fake: Fake, office: Office, request: pytest.FixtureRequest) -> Iterator[Maildir]:
    with Exchange(fake, SENDER, office.folder / "letters") as server:
        settings = server.settings()["mail.smtp"]
        by_token(office, fake, settings["port"], Path(settings["ca_file"]))
        yield Maildir(office.folder / "letters")


def by_token(office: Office, fake: Fake, port: int, ca: Path) -> None:
    office.safety = "allow_time_travel = true"
    office.mail = f"""transport = "smtp"
[mail.smtp]
host = "localhost"
port = {port}
ca_file = "{ca}"
rate = "1000/s"
sign_in = "xoauth2"
username = "{SENDER}"
[mail.smtp.oauth]
provider = "microsoft"
tenant = "{fake.tenant.domain}"
client_id = "{fake.client_id}"
client_secret = "{fake.secret}"
token_url = "{fake.url}/{fake.tenant.domain}/oauth2/v2.0/token"
"""


@pytest.mark.parametrize("server", [postfix, by_hand])
def test_a_token_that_is_good_for_the_mailbox_is_taken_and_no_other(
    server: Callable[..., AbstractContextManager[MailServer | Maildir]], office: Office, request: pytest.FixtureRequest
) -> None:
    hired(office, 5)
    with Fake(Tenant()) as fake, server(fake, office, request) as letters:
        fake.mailbox = "another@example.com"
        office.write()
        done = office.migrate("run", "--json", "--as-of", T30)
        assert (done.code, "does not accept the token for security@example.com" in done.err) == (6, True), done.err
        fake.mailbox = SENDER
        assert office.migrate("send", "--json", "--as-of", "2024-01-02T07:00").facts["letters"]["sent"] == 5
        assert fake.violations == []
        taken = letters.letters() if isinstance(letters, MailServer) else list(letters)
        assert len(taken) == 5
